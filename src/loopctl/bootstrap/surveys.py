"""A survey of one environment, put together, and the way to its logs without loopctl."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final, assert_never

from loopctl.bootstrap.lookups import verified_of
from loopctl.bootstrap.world import World, redactor_of
from loopctl.inert import for_terminal
from loopctl.journal.earlier_runs import Past
from loopctl.model.plan import Plan, PlatformKind
from loopctl.process import Stop
from loopctl.stages.finding_out import ByHand
from loopctl.stages.survey import Survey
from loopctl.stages.survey_service import Ports

_LINES: Final = 50


def survey_of(
    plan: Plan, runs_dir: Path, world: World, past: Past, since: datetime, *, glance: bool = False
) -> Survey:
    """The survey of the plan's environment, with logs from `since` on; at a glance without."""
    ports = Ports(
        platform=world.platform,
        logs=world.logs,
        receipts=world.receipts,
        prober=world.prober,
        callers=world.callers,
        leases=world.leases,
        verified=functools.partial(_verified, plan, runs_dir, world, past),
        redact=redactor_of(plan).text,
    )
    return Survey(plan.deployed, plan.gated, ports, since, glance=glance)


def _verified(
    plan: Plan, runs_dir: Path, world: World, past: Past, service: str, _stop: Stop
) -> Sequence[str]:
    alone = replace(plan, services=tuple(s for s in plan.services if s.name == service))
    return verified_of(alone, runs_dir, world, past).get(service, ())


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
