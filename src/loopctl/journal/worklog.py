"""The worklog: a run as everyone sees it, folded from its journal.

Frozen; whatever a report, the live view or the next stage needs to know stands here. Cycles are in
order, the last one speaks for the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from loopctl.model.artifact import Artifact, ContentProof, Revision, ServiceState
from loopctl.model.events import (
    BuildStep,
    ChainChecked,
    CommitChanged,
    HealthJudged,
    Intent,
    LogsKept,
    NotChecked,
    NovelLine,
    RemedyDecided,
    RemedyEnded,
    RunEnded,
    RunResumed,
    RunStarted,
    SourceRead,
    SuiteFacts,
)
from loopctl.model.evidence import (
    CaseStatus,
    CriterionJudgement,
    GradedCase,
    SuiteEnd,
    SuiteJudgement,
)
from loopctl.model.finding import Change, Fault, Finding
from loopctl.model.state import OutcomeKind, State


@dataclass(frozen=True, slots=True)
class StageRecord:
    """One stage; `kind` and `duration_s` are None while it runs. `wave` counts from 0."""

    stage: State
    started_at: datetime
    wave: int | None = None
    kind: OutcomeKind | None = None
    duration_s: float | None = None
    detail: str = ""
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """One service in one cycle. `before` is who served before the cycle's first write.

    `observed_before` tells a service that did not exist then from one that nobody has looked at.
    `seen` is the last state that was read after a write of this run, of an earlier cycle too, until
    this one has looked. `deploy_key` is that of the last deployment that was begun, `wanted` the
    traffic that was asked for and not read back yet, and `writing` tells that some write of this
    run has not been read back. `run_id` is what the keys of this run's deployments begin with.
    """

    name: str
    run_id: str = ""
    source: SourceRead | None = None
    artifact: Artifact | None = None
    build_steps: tuple[BuildStep, ...] = ()
    build_s: float | None = None
    build_log: str | None = None
    proof: ContentProof | None = None
    observed_before: bool = False
    before: ServiceState | None = None
    revision: Revision | None = None
    first: bool = False
    health: HealthJudged | None = None
    chain: ChainChecked | None = None
    routed: ServiceState | None = None
    promoted: bool = False
    restored: bool = False
    logs: LogsKept | None = None
    seen: ServiceState | None = None
    deploy_key: str | None = None
    wanted: Mapping[str, int] | None = None
    writing: bool = False


@dataclass(frozen=True, slots=True)
class SuiteRecord:
    """One suite in one cycle; `judgement` is None until it ended."""

    facts: SuiteFacts
    collected: int | None = None
    deselected: int = 0
    folder: str | None = None
    started_at: datetime | None = None
    cases: tuple[GradedCase, ...] = ()
    judgement: SuiteJudgement | None = None
    end: SuiteEnd | None = None
    files: str | None = None


@dataclass(frozen=True, slots=True)
class CycleRecord:
    """One time round.

    `remedy_begun` is a remedy of which nobody has written down what it did, `remedy_ended` how its
    command ended, where it got so far. `commits` and `changed` are what is not as in the last green
    run, beside the configuration, which the run's beginning tells.
    """

    number: int
    started_at: datetime | None
    stages: tuple[StageRecord, ...]
    services: Mapping[str, ServiceRecord]
    suites: Mapping[str, SuiteRecord]
    findings: tuple[Finding, ...] = ()
    novel: tuple[NovelLine, ...] = ()
    novel_sources: tuple[str | None, ...] = ()
    commits: tuple[CommitChanged, ...] = ()
    changed: tuple[Change, ...] = ()
    remedy: RemedyDecided | None = None
    remedy_begun: Intent | None = None
    remedy_ended: RemedyEnded | None = None
    criteria: tuple[CriterionJudgement, ...] = ()

    @property
    def says_nothing(self) -> bool:
        """Whether it was stopped before anything else had failed."""
        return self.failed_stage is not None and self.failed_stage.kind is OutcomeKind.INTERRUPTED

    @property
    def failed_stage(self) -> StageRecord | None:
        """The stage that sent this cycle off the green path, None while all is well."""
        return next((s for s in self.stages if s.kind in _OFF_THE_PATH), None)

    @property
    def settled(self) -> StageRecord | None:
        """How SETTLE went, the last time; None when the cycle never came to it."""
        return next((s for s in reversed(self.stages) if s.stage is State.SETTLE), None)

    def failed_cases(self) -> Mapping[str, GradedCase]:
        """Every case that did not pass or skip, by `suite::id`."""
        return {
            f"{suite.facts.id}::{case.id}": case
            for suite in self.suites.values()
            for case in suite.cases
            if case.status not in (CaseStatus.PASSED, CaseStatus.SKIPPED)
        }


_OFF_THE_PATH = frozenset(
    {
        OutcomeKind.FAILED,
        OutcomeKind.ERRORED,
        OutcomeKind.UNPROVEN,
        OutcomeKind.INTERRUPTED,
        OutcomeKind.MOVED,
    }
)


@dataclass(frozen=True, slots=True)
class NoteRecord:
    """A note with its time."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Changes:
    """The last cycle compared with the one before it: cases by `suite::id`."""

    fixed: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    persisting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Worklog:
    """A run. `ended` is None while it goes on, or when it was killed.

    `resumed` tells of every process that went on with it, `ran_s` for how long it ran in all, in
    seconds, pauses left out. `unrecognised` are kinds of events that this version does not know.
    """

    run: RunStarted
    started_at: datetime
    cycles: tuple[CycleRecord, ...]
    ended: RunEnded | None = None
    ended_at: datetime | None = None
    notes: tuple[NoteRecord, ...] = ()
    not_checked: tuple[NotChecked, ...] = ()
    resumed: tuple[RunResumed, ...] = ()
    ran_s: float = 0.0
    unrecognised: tuple[str, ...] = ()

    @property
    def counted_cycles(self) -> tuple[CycleRecord, ...]:
        """Those that came to an end of their own, and the last."""
        earlier = (cycle for cycle in self.cycles[:-1] if not cycle.says_nothing)
        return (*earlier, *self.cycles[-1:])

    @property
    def last(self) -> CycleRecord | None:
        """The cycle that speaks for the run; None when it ended before its first."""
        return self.cycles[-1] if self.cycles else None

    def changes(self) -> Changes:
        """What the last cycle mended, broke and left as it was."""
        if len(self.counted_cycles) < 2:
            return Changes()
        earlier, last = self.counted_cycles[-2:]
        before, after = set(earlier.failed_cases()), set(last.failed_cases())
        return Changes(
            fixed=tuple(sorted(before - after)),
            new=tuple(sorted(after - before)),
            persisting=tuple(sorted(before & after)),
        )
