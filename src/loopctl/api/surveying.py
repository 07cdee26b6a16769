"""`triage` of an environment: a look at what serves, and what may be wrong with it. Read-only."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from loopctl.api.given import given_hashes
from loopctl.api.loading import duration
from loopctl.api.places import known_key, runs_dir_of
from loopctl.api.since_green import SinceGreen
from loopctl.errors import Problem, UsageError
from loopctl.journal.earlier_runs import EarlierRuns
from loopctl.model.plan import Plan
from loopctl.process import Stop, TaskScope, utc_now

if TYPE_CHECKING:
    from loopctl.bootstrap.green_run import LastGreen
    from loopctl.model.baseline import Baseline
    from loopctl.model.finding import Change
    from loopctl.stages.survey import Surveyed
    from loopctl.triage.diagnose import Diagnosis
    from loopctl.triage.triaged import ServiceLook, Triaged

WINDOW: Final = timedelta(hours=1)
"""How far logs are read back where nobody says, and the last green run is longer ago."""

LOOK_EVERY_S: Final = 10.0
"""Seconds between two looks of `triage_again`."""

LOGS_EVERY_S: Final = 60.0
"""Seconds after which it reads the logs again, also where nothing else has changed."""

_HISTORY_S: Final = 2.5
_GIT_S: Final = 2.0
_REMEMBERED_S: Final = 300.0


def triage(
    plan: Plan, *, runs_dir: Path | None = None, since: str | None = None, stop: Stop | None = None
) -> Triaged:
    """Look at the plan's environment; 15 s at the most, and what has no answer by then is unknown.

    Nothing is deployed, leased, written or left in the runs folder. `since` is from when on logs
    are read, as `30m` or an ISO time; default: since the last green run, at most an hour. Raises
    `UsageError` for a time that is none and for the user's signatures, `Stopped`.
    """
    return _Looks(plan, runs_dir, since).look(stop or Stop())


def triage_again(
    plan: Plan,
    *,
    runs_dir: Path | None = None,
    since: str | None = None,
    every_s: float = LOOK_EVERY_S,
    stop: Stop,
) -> Iterator[Triaged]:
    """`triage`, again and again, `every_s` seconds after each look; raises `Stopped` at the end.

    Logs are read again when something else has changed, or a minute later: where each read counts
    against a quota, there is enough left for others.
    """
    looks = _Looks(plan, runs_dir, since)
    last, read_at = looks.look(stop), time.monotonic()
    while True:
        yield last
        stop.wait(every_s)
        services = looks.glance(stop)
        stale = time.monotonic() - read_at >= LOGS_EVERY_S
        if stale or list(map(_how, services)) != list(map(_how, last.services)):
            last, read_at = looks.look(stop), time.monotonic()
        else:
            last = replace(last, at=utc_now())


def since_of(text: str, now: datetime) -> datetime:
    """The time that `30m` or `2025-09-10T03:00:00Z` means; raises `UsageError`. UTC if unsaid."""
    try:
        at = _moment(text, now)
    except OverflowError:
        hint = "the newest lines tell most: --since 1h"
        problem = Problem(f"{text} is before all calendars", hint=hint)
        raise UsageError("nothing was looked at", [problem]) from None
    if at >= now:
        hint = "logs are read from then on until now"
        raise UsageError("nothing was looked at", [Problem(f"{text} is yet to come", hint=hint)])
    return at


def _moment(text: str, now: datetime) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return now - timedelta(seconds=duration(text))
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).astimezone(UTC)


class _Looks:
    """Looks at one environment. Its adapters are made once, what earlier runs tell is kept."""

    def __init__(self, plan: Plan, runs_dir: Path | None, since: str | None) -> None:
        from loopctl.bootstrap import catalogue_of, world_of

        if since is not None:
            since_of(since, utc_now())
        self._plan = plan
        self._since = since
        self._place = runs_dir_of(plan, runs_dir)
        self._catalogue = catalogue_of(plan)
        self._world = world_of(plan, self._place)
        self._earlier: tuple[float, EarlierRuns] | None = None

    def look(self, stop: Stop) -> Triaged:
        """Look once."""
        from loopctl.bootstrap import survey_of
        from loopctl.bootstrap.green_run import LastGreen

        earlier = self._remembered(stop)
        past = earlier.past()
        green = LastGreen.find(self._plan, self._place, past)
        survey = survey_of(self._plan, self._place, self._world, past, self._from(green))
        wished: list[Change] = []
        with TaskScope(stop) as scope:
            # Each of these takes as long as many a service takes to answer.
            scope.start("signatures", lambda _: self._ready())
            if green is not None:
                ask = functools.partial(self._wished, green, earlier)
                scope.start("changes", lambda inner: wished.extend(ask(inner)))
            surveyed = survey(scope.stop)
        changes = _changes_of(surveyed, green, wished)
        baseline = green.baseline(self._plan, past) if green else None
        diagnosis = self._diagnosed(surveyed, baseline, changes)
        found = tuple(replace(f, seen=past.sightings(f.fingerprint)) for f in diagnosis.findings)
        stop.remaining(0)
        triaged = self._triaged(surveyed, replace(diagnosis, findings=found), changes)
        missing = (f"what earlier runs left: {past.unread}",) if past.unread else ()
        return replace(
            triaged,
            green_run=green.run_id if green else None,
            unknown=tuple(dict.fromkeys([*missing, *triaged.unknown])),
        )

    def _ready(self) -> None:
        self._catalogue()

    def glance(self, stop: Stop) -> tuple[ServiceLook, ...]:
        """Who serves and how it answers, and no more than that."""
        from loopctl.bootstrap import survey_of

        past = self._remembered(stop).past()
        plan, place, world = self._plan, self._place, self._world
        surveyed = survey_of(plan, place, world, past, utc_now() - WINDOW, glance=True)(stop)
        return tuple(looked.look for looked in surveyed.services.values())

    def _remembered(self, stop: Stop) -> EarlierRuns:
        """What earlier runs tell; asked for anew every few minutes."""
        plan, now = self._plan, time.monotonic()
        if self._earlier is None or now - self._earlier[0] > _REMEMBERED_S:
            earlier = EarlierRuns(self._world.history, plan.loop, plan.environment.name)
            with stop.child(_HISTORY_S) as limited:
                earlier.past(limited)
            stop.remaining(0)
            self._earlier = now, earlier
        return self._earlier[1]

    def _from(self, green: LastGreen | None) -> datetime:
        now = utc_now()
        if self._since is not None:
            return since_of(self._since, now)
        return max(now - WINDOW, min(now, _end_of(green))) if green else now - WINDOW

    def _wished(self, green: LastGreen, earlier: EarlierRuns, stop: Stop) -> tuple[Change, ...]:
        """What the loop and its source ask for otherwise than they did then."""
        from loopctl.bootstrap import redactor_of
        from loopctl.stages.changes import commit_change, configured_by
        from loopctl.stages.survey_commits import commits_since

        plan, key, redact = self._plan, known_key(self._place), redactor_of(self._plan).text
        since = SinceGreen(plan, self._place, earlier, green)
        names = [*since.files(), *(since.values(given_hashes(plan, key) if key else None) or ())]
        services = {spec.name for spec in plan.services}
        # What a suite is given is nothing to a service that serves.
        wished = [configured_by(name, services) for name in names if " of suite " not in name]
        with stop.child(_GIT_S) as limited:
            commits = commits_since(plan.deployed, green.commit, self._world.sources, limited)
        for service, lines in commits.items():
            wished += [commit_change(line, service) for line in lines]
        return tuple(replace(change, text=redact(change.text)) for change in wished)

    def _diagnosed(
        self, surveyed: Surveyed, baseline: Baseline | None, changes: tuple[Change, ...]
    ) -> Diagnosis:
        from loopctl.stages.survey_changes import is_pending
        from loopctl.triage.diagnose import diagnose
        from loopctl.triage.symptoms import Symptoms

        looks = surveyed.services.values()
        symptoms = Symptoms(
            stage=None,
            faults=surveyed.faults,
            logs=tuple(log for looked in looks for log in looked.logs),
            requests=tuple(log for looked in looks for log in looked.requests),
            facts=tuple(facts for looked in looks for facts in looked.facts),
            baseline=baseline,
            needs={spec.name: spec.needs for spec in self._plan.services},
            changes=tuple(change for change in changes if not is_pending(change)),
        )
        return diagnose(symptoms, self._catalogue())

    def _triaged(
        self, surveyed: Surveyed, diagnosis: Diagnosis, changes: tuple[Change, ...]
    ) -> Triaged:
        from loopctl.triage.triaged import Triaged, UnderWay

        plan, looks, held = self._plan, surveyed.services.values(), surveyed.held
        missing = [unknown for looked in looks for unknown in looked.unknown]
        return Triaged(
            at=surveyed.began,
            findings=diagnosis.findings,
            novel=diagnosis.novel,
            unknown=(*missing, *diagnosis.unknown),
            ranked_by=diagnosis.ranked_by,
            loop=plan.loop,
            environment=plan.environment.name,
            services=tuple(
                replace(each, changes=tuple(c for c in changes if c.service == each.name))
                for each in (looked.look for looked in looks)
            ),
            captured=tuple(captured for looked in looks for captured in looked.captured),
            changes=tuple(c for c in changes if c.service not in surveyed.services),
            next=self._next(surveyed, diagnosis),
            owner=plan.owner,
            runbook=plan.runbook,
            under_way=UnderWay(held.run_id, held.holder, held.since) if held else None,
        )

    def _next(self, surveyed: Surveyed, diagnosis: Diagnosis) -> tuple[str, ...]:
        from loopctl.bootstrap import by_hand_of
        from loopctl.journal.commands import Commands
        from loopctl.journal.history import newest_first
        from loopctl.stages.survey_next import Around, next_commands

        plan = self._plan
        here = (plan.loop, plan.environment.name)
        runs = (r for r in newest_first(self._place) if (r.loop, r.environment) == here)
        latest = next(runs, None)
        around = Around(
            Commands.of_plan(plan, self._place),
            {spec.name: spec.health.path for spec in plan.services},
            by_hand_of(plan, self._place),
            latest.run_id if latest else None,
        )
        return next_commands(surveyed, diagnosis.findings, around)


def _changes_of(
    surveyed: Surveyed, green: LastGreen | None, wished: Sequence[Change]
) -> tuple[Change, ...]:
    """What serves otherwise than the green run left it, then what was wished since."""
    from loopctl.stages.survey_changes import pending, served_otherwise

    if green is None:
        return ()
    states = [each.state for each in surveyed.services.values() if each.state is not None]
    served = [c for state in states for c in served_otherwise(state, green.run_id, green.verified)]
    return (*served, *pending(wished, served, states))


def _how(look: ServiceLook) -> tuple[object, ...]:
    """What of a service makes its logs worth reading anew."""
    faults = tuple(fault.kind for fault in look.faults)
    return (look.name, look.state, look.traffic, look.verified, faults)


def _end_of(green: LastGreen) -> datetime:
    """When a green run was over."""
    from loopctl.journal.history import read_summary

    kept = read_summary(green.folder) if green.folder is not None else None
    if kept is not None and (ended := kept.ended_at or kept.started_at):
        return datetime.fromisoformat(ended)
    if green.record is None:
        return utc_now() - WINDOW
    return green.record.started_at + timedelta(seconds=green.record.duration_s or 0.0)
