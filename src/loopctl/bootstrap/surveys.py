"""A survey of one environment, put together: its ports, the last green run, the way without us."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, assert_never

from loopctl.bootstrap.lookups import verified_of
from loopctl.bootstrap.world import World, redactor_of
from loopctl.inert import for_terminal
from loopctl.journal.earlier_runs import EarlierRuns
from loopctl.journal.history import RUNS, RunSummary, files_of, given_in, last_green
from loopctl.journal.wording import iso
from loopctl.model.baseline import Baseline
from loopctl.model.plan import Plan, PlatformKind
from loopctl.ports.history import HistoryError, RunRecord
from loopctl.process import Stop, utc_now
from loopctl.stages import kept_logs
from loopctl.stages.survey import Survey
from loopctl.stages.survey_changes import LastGreen
from loopctl.stages.survey_next import ByHand
from loopctl.stages.survey_service import Ports
from loopctl.triage.assemble import assemble
from loopctl.triage.baseline import learn

_RECORDS: Final = 10
_MERGED: Final = 5
"""Several green windows are better than one; the rest tells little new."""

_LINES: Final = 50


def survey_of(plan: Plan, runs_dir: Path, world: World, since: datetime) -> Survey:
    """The survey of the plan's environment, with logs from `since` on."""
    earlier = EarlierRuns(world.history, plan.loop, plan.environment.name)
    ports = Ports(
        platform=world.platform,
        logs=world.logs,
        receipts=world.receipts,
        prober=world.prober,
        callers=world.callers,
        leases=world.leases,
        verified=functools.partial(_verified, plan, runs_dir, world, earlier),
        redact=redactor_of(plan).text,
    )
    return Survey(plan.deployed, plan.gated, ports, since)


def _verified(
    plan: Plan, runs_dir: Path, world: World, earlier: EarlierRuns, service: str, stop: Stop
) -> Sequence[str]:
    alone = replace(plan, services=tuple(s for s in plan.services if s.name == service))
    return verified_of(alone, runs_dir, world, earlier.past(stop)).get(service, ())


def last_green_of(plan: Plan, runs_dir: Path, world: World, stop: Stop) -> LastGreen | None:
    """What the last green run left, by the history, else by the runs folder; None without one.

    Raises `HistoryError` where the history cannot be read and the runs folder knows of none.
    """
    kept = last_green(runs_dir, plan.loop, plan.environment.name)
    try:
        records = _greens(plan, world, stop)
    except HistoryError:
        if kept is None:
            raise
        records = ()
    if records and (kept is None or kept.run_id[:15] <= records[0].run_id[:15]):
        return _of_records(records, kept, plan, runs_dir)
    return None if kept is None else _of_folder(kept, plan, runs_dir)


def _greens(plan: Plan, world: World, stop: Stop) -> Sequence[RunRecord]:
    """Whole green runs, the newest first; behind many that are not, by what those knew of."""
    place = (plan.loop, plan.environment.name)
    recent = world.history.recent(*place, _RECORDS, stop)
    found = [record for record in recent if record.is_whole_green]
    if not found and recent:
        named = world.history.named(*place, recent[0].greens[:_MERGED], stop)
        found = [record for record in named if record.is_whole_green]
    return found[:_MERGED]


def _of_records(
    records: Sequence[RunRecord], kept: RunSummary | None, plan: Plan, runs_dir: Path
) -> LastGreen:
    newest = records[0]
    took = newest.duration_s or sum(newest.durations.values())
    # What an older version has kept tells less: then the run's own folder may tell the rest.
    same = kept if kept is not None and kept.run_id == newest.run_id else None
    mine = _of_folder(same, plan, runs_dir) if same is not None else None
    return LastGreen(
        newest.run_id,
        mine.ended_at if mine else newest.started_at + timedelta(seconds=took),
        newest.commit,
        newest.verified or (mine.verified if mine else {}),
        newest.configuration or (mine.configuration if mine else None),
        newest.files or (mine.files if mine else {}),
        _merged(records) or (mine.baseline if mine else None),
        newest.hashed_by,
    )


def _merged(records: Sequence[RunRecord]) -> Baseline | None:
    """The older first: a template was seen first where it was seen first."""
    left = [record.green for record in reversed(records) if record.green is not None]
    return functools.reduce(Baseline.merged, left) if left else None


def _of_folder(kept: RunSummary, plan: Plan, runs_dir: Path) -> LastGreen:
    return LastGreen(
        kept.run_id,
        datetime.fromisoformat(kept.ended_at or kept.started_at or iso(utc_now())),
        kept.commit,
        kept.verified,
        given_in(runs_dir, kept.run_id),
        files_of(runs_dir, kept.run_id),
        _learnt(kept, plan, runs_dir),
    )


def _learnt(kept: RunSummary, plan: Plan, runs_dir: Path) -> Baseline | None:
    """What the logs tell that the last green run here has kept."""
    folder = runs_dir / RUNS / kept.run_id / "logs"
    logs = {
        spec.name: path
        for spec in plan.deployed
        for path in sorted(folder.glob(f"*/{spec.name}.jsonl"))[-1:]
    }
    if not logs:
        return None
    return learn((name, assemble(kept_logs.entries(path))) for name, path in logs.items())


def by_hand_of(plan: Plan, runs_dir: Path) -> ByHand:
    """What shows a service's log without loopctl, ready to be typed."""
    match plan.environment.platform:
        case PlatformKind.CLOUD_RUN:
            return functools.partial(_gcloud, plan)
        case PlatformKind.DOCKER:
            return functools.partial(_docker, plan, runs_dir)
        case PlatformKind.LOCAL:
            return functools.partial(_tail, plan, runs_dir)
        case _:
            assert_never(plan.environment.platform)


def _gcloud(plan: Plan, service: str, revision: str | None) -> str:
    place = plan.environment.cloud_run
    assert place is not None, "an environment on Cloud Run has a place"
    names = f'resource.labels.service_name="{service}"'
    if revision is not None:
        names += f' AND resource.labels.revision_name="{revision}"'
    query = shlex.quote(f'resource.type="cloud_run_revision" AND {names}')
    return for_terminal(
        f"gcloud logging read {query} --project={place.project} --freshness=1h --limit={_LINES}"
    )


def _docker(plan: Plan, runs_dir: Path, _service: str, revision: str | None) -> str | None:
    from loopctl.platforms.host.rendezvous import Rendezvous

    if revision is None:
        return None
    key = Rendezvous.of(plan.root, plan.environment.name, runs_dir).key
    return for_terminal(f"docker logs --tail {_LINES} loopctl-{key}-{revision}")


def _tail(plan: Plan, runs_dir: Path, service: str, revision: str | None) -> str | None:
    from loopctl.platforms.host.rendezvous import Rendezvous

    state = Rendezvous.of(plan.root, plan.environment.name, runs_dir).state
    file = state / "logs" / service / f"{revision}.jsonl"
    return for_terminal(f"tail -n {_LINES} {shlex.quote(str(file))}") if file.exists() else None
