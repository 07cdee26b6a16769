"""`triage` of an environment: a look at what serves, and what may be wrong with it. Read-only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from loopctl.api.given import given_hashes
from loopctl.api.loading import duration
from loopctl.api.places import known_key, runs_dir_of
from loopctl.errors import Problem, Stopped, UsageError
from loopctl.model.plan import Plan
from loopctl.process import Stop, utc_now

if TYPE_CHECKING:
    from loopctl.bootstrap import World
    from loopctl.model.finding import Change
    from loopctl.stages.survey import Surveyed
    from loopctl.stages.survey_changes import LastGreen
    from loopctl.triage.diagnose import Diagnosis
    from loopctl.triage.triaged import Triaged

WINDOW: Final = timedelta(hours=1)
"""How far logs are read back where nobody says, and the last green run is longer ago."""

EVERY_S: Final = 10.0
"""Seconds between two looks of `watch_environment`."""

_HISTORY_S: Final = 2.5
_GIT_S: Final = 2.0


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
    every_s: float = EVERY_S,
    stop: Stop,
) -> Iterator[Triaged]:
    """`triage`, again and again, `every_s` seconds after each look; raises `Stopped` at the end."""
    looks = _Looks(plan, runs_dir, since)
    while True:
        yield looks.look(stop)
        stop.wait(every_s)


def since_of(text: str, now: datetime) -> datetime:
    """The time that `30m` or `2025-09-10T03:00:00Z` means; raises `UsageError`. UTC if unsaid."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return now - timedelta(seconds=duration(text))
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    if at >= now:
        hint = "logs are read from then on until now"
        raise UsageError("nothing was looked at", [Problem(f"{text} is yet to come", hint=hint)])
    return at


class _Looks:
    """Looks at one environment: its adapters are made once."""

    def __init__(self, plan: Plan, runs_dir: Path | None, since: str | None) -> None:
        from loopctl.bootstrap import catalogue_of, world_of

        if since is not None:
            since_of(since, utc_now())
        self._plan = plan
        self._since = since
        self._place = runs_dir_of(plan, runs_dir)
        self._catalogue = catalogue_of(plan)
        self._world = world_of(plan, self._place)

    def look(self, stop: Stop) -> Triaged:
        """Look once."""
        from loopctl.bootstrap import survey_of

        green, missing = self._green(stop)
        survey = survey_of(self._plan, self._place, self._world, self._from(green))
        surveyed = survey(stop)
        changes = self._changes(green, surveyed, stop)
        diagnosis = self._diagnosed(surveyed, green, changes)
        stop.remaining(0)
        return self._triaged(surveyed, green, changes, diagnosis, missing)

    def _from(self, green: LastGreen | None) -> datetime:
        now = utc_now()
        if self._since is not None:
            return since_of(self._since, now)
        return max(now - WINDOW, min(now, green.ended_at)) if green else now - WINDOW

    def _green(self, stop: Stop) -> tuple[LastGreen | None, tuple[str, ...]]:
        """The last green run, and why it is not known."""
        from loopctl.bootstrap import last_green_of
        from loopctl.ports.history import HistoryError

        try:
            with stop.child(_HISTORY_S) as limited:
                return last_green_of(self._plan, self._place, self._world, limited), ()
        except HistoryError as error:
            return None, (f"what the last green run left: {error.what}",)
        except Stopped:
            stop.remaining(0)
            return None, ("what the last green run left: the history did not answer in time",)

    def _changes(
        self, green: LastGreen | None, surveyed: Surveyed, stop: Stop
    ) -> tuple[Change, ...]:
        from loopctl.stages.survey_changes import Now, changes_since
        from loopctl.stages.survey_commits import commits_since

        if green is None:
            return ()
        seen = surveyed.services.items()
        with stop.child(_GIT_S) as limited:
            now = Now(
                {name: looked.state for name, looked in seen if looked.state is not None},
                commits_since(self._plan.deployed, green.commit, self._world.sources, limited),
                None if green.configuration is None else self._given(green, limited),
                self._plan.files or {},
            )
        return changes_since(green, now)

    def _given(self, green: LastGreen, stop: Stop) -> Mapping[str, str] | None:
        """What the loop gives now, under the key of what it gave then; None: it cannot be told."""
        key = (
            known_key(self._place) if green.hashed_by is None else _shared(green, self._world, stop)
        )
        return None if key is None else given_hashes(self._plan, key)

    def _diagnosed(
        self, surveyed: Surveyed, green: LastGreen | None, changes: tuple[Change, ...]
    ) -> Diagnosis:
        from loopctl.triage.diagnose import diagnose
        from loopctl.triage.symptoms import Symptoms

        looks = surveyed.services.values()
        symptoms = Symptoms(
            stage=None,
            faults=surveyed.faults,
            logs=tuple(log for looked in looks for log in looked.logs),
            requests=tuple(log for looked in looks for log in looked.requests),
            facts=tuple(facts for looked in looks for facts in looked.facts),
            baseline=green.baseline if green else None,
            needs={spec.name: spec.needs for spec in self._plan.services},
            changes=changes,
        )
        return diagnose(symptoms, self._catalogue())

    def _triaged(
        self,
        surveyed: Surveyed,
        green: LastGreen | None,
        changes: tuple[Change, ...],
        diagnosis: Diagnosis,
        missing: tuple[str, ...],
    ) -> Triaged:
        from dataclasses import replace

        from loopctl.triage.triaged import Triaged, UnderWay

        plan, looks, held = self._plan, surveyed.services.values(), surveyed.held
        return Triaged(
            at=surveyed.began,
            findings=diagnosis.findings,
            novel=diagnosis.novel,
            unknown=tuple(
                dict.fromkeys(
                    [*missing, *(u for looked in looks for u in looked.unknown), *diagnosis.unknown]
                )
            ),
            ranked_by=diagnosis.ranked_by,
            loop=plan.loop,
            environment=plan.environment.name,
            services=tuple(
                replace(
                    looked.look,
                    changes=tuple(c for c in changes if c.service == looked.look.name),
                )
                for looked in looks
            ),
            captured=tuple(captured for looked in looks for captured in looked.captured),
            changes=changes,
            green_run=green.run_id if green else None,
            next=self._next(surveyed, diagnosis),
            owner=plan.owner,
            runbook=plan.runbook,
            under_way=UnderWay(held.run_id, held.holder, held.since) if held else None,
        )

    def _next(self, surveyed: Surveyed, diagnosis: Diagnosis) -> tuple[str, ...]:
        from loopctl.bootstrap import by_hand_of
        from loopctl.journal.commands import Commands
        from loopctl.journal.history import read_summaries
        from loopctl.stages.survey_next import Around, next_commands

        plan = self._plan
        here = (plan.loop, plan.environment.name)
        runs = (r for r in read_summaries(self._place) if (r.loop, r.environment) == here)
        latest = next(runs, None)
        around = Around(
            Commands.of_plan(plan, self._place),
            {spec.name: spec.health.path for spec in plan.services},
            by_hand_of(plan, self._place),
            latest.run_id if latest else None,
        )
        return next_commands(surveyed, diagnosis.findings, around)


def _shared(green: LastGreen, world: World, stop: Stop) -> bytes | None:
    """The key that all who share the history have; asked for only where it has been made."""
    from loopctl.journal.history_codec import key_id
    from loopctl.ports.history import HistoryError

    try:
        key = world.history.key(stop)
    except (HistoryError, Stopped):
        return None
    return key if key_id(key) == green.hashed_by else None
