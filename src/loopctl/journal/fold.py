"""Events → Worklog, one event at a time.

The accumulator is mutable so that a run of many thousand cases stays linear; `snapshot()` gives the
frozen view.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from loopctl.journal.codec import JournalError
from loopctl.journal.worklog import (
    CycleRecord,
    NoteRecord,
    ServiceRecord,
    StageRecord,
    SuiteRecord,
    Worklog,
)
from loopctl.model.events import (
    BuildStep,
    CasesGraded,
    ChainChecked,
    CommitChanged,
    ContentProven,
    Event,
    FindingMade,
    HealthJudged,
    ImageBuilt,
    Intent,
    LogsKept,
    NotChecked,
    Note,
    NovelLine,
    RemedyDecided,
    Result,
    RevisionDeployed,
    Routed,
    RunEnded,
    RunStarted,
    ServiceObserved,
    SourceRead,
    StageEntered,
    StageFinished,
    SuiteCollected,
    SuiteFinished,
    SuiteStarted,
    Unrecognised,
)
from loopctl.model.evidence import GradedCase
from loopctl.model.finding import Finding


@dataclass(slots=True)
class _Cycle:
    number: int
    services: dict[str, ServiceRecord]
    suites: dict[str, SuiteRecord]
    cases: dict[str, list[GradedCase]]
    started_at: datetime | None = None
    stages: list[StageRecord] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    novel: list[NovelLine] = field(default_factory=list)
    novel_services: list[str | None] = field(default_factory=list)
    commits: list[CommitChanged] = field(default_factory=list)
    remedy: RemedyDecided | None = None

    def snapshot(self) -> CycleRecord:
        return CycleRecord(
            number=self.number,
            started_at=self.started_at,
            stages=tuple(self.stages),
            services=dict(self.services),
            suites={
                name: replace(suite, cases=tuple(self.cases[name]))
                for name, suite in self.suites.items()
            },
            findings=tuple(self.findings),
            novel=tuple(self.novel),
            novel_sources=tuple(self.novel_services),
            commits=tuple(self.commits),
            remedy=self.remedy,
        )


class WorklogFold:
    """Takes events in order; raises `JournalError` when the first one is not `run.started`."""

    def __init__(self) -> None:
        self._run: RunStarted | None = None
        self._started_at: datetime | None = None
        self._ended: RunEnded | None = None
        self._ended_at: datetime | None = None
        self._cycles: list[_Cycle] = []
        self._notes: list[NoteRecord] = []
        self._not_checked: dict[tuple[str, str], NotChecked] = {}

    def add(self, event: Event) -> None:
        """Take one event."""
        payload = event.payload
        match payload:
            case RunStarted():
                self._run, self._started_at = payload, event.at
            case RunEnded():
                self._ended, self._ended_at = payload, event.at
            case Note(text=text):
                self._notes.append(NoteRecord(event.at, text))
            case NotChecked(what=what, why=why):
                self._not_checked[what, why] = payload
            case Intent() | Result() | Unrecognised():
                pass
            case _:
                self._add_to_cycle(event)

    def _add_to_cycle(self, event: Event) -> None:
        cycle = self._cycle(event)
        if event.service is not None and event.service in cycle.services:
            record = cycle.services[event.service]
            cycle.services[event.service] = _service(record, event)
        if event.suite is not None and event.suite in cycle.suites:
            if isinstance(event.payload, CasesGraded):
                cycle.cases[event.suite].extend(event.payload.cases)
            else:
                cycle.suites[event.suite] = _suite(cycle.suites[event.suite], event)
        match event.payload:
            case StageEntered(stage=stage):
                cycle.stages.append(StageRecord(stage, event.at, wave=event.wave))
            case StageFinished():
                cycle.stages[-1] = _finished(cycle.stages[-1], event.payload)
            case FindingMade(finding=finding):
                cycle.findings.append(finding)
            case NovelLine():
                cycle.novel.append(event.payload)
                cycle.novel_services.append(event.service)
            case CommitChanged():
                cycle.commits.append(event.payload)
            case RemedyDecided():
                cycle.remedy = event.payload
            case _:
                pass

    def _cycle(self, event: Event) -> _Cycle:
        if self._run is None:
            raise JournalError("the journal does not begin with its run")
        if not self._cycles or self._cycles[-1].number != event.cycle:
            self._cycles.append(
                _Cycle(
                    event.cycle,
                    services={s.name: ServiceRecord(s.name) for s in self._run.services},
                    suites={s.id: SuiteRecord(s) for s in self._run.suites},
                    cases={s.id: [] for s in self._run.suites},
                    started_at=event.at,
                )
            )
        return self._cycles[-1]

    def cycle(self) -> CycleRecord:
        """The cycle that goes on; raises `JournalError` before the first."""
        if not self._cycles:
            raise JournalError("no cycle has begun")
        return self._cycles[-1].snapshot()

    def snapshot(self) -> Worklog:
        """The worklog as of the last event; raises `JournalError` when there is no run yet."""
        if self._run is None or self._started_at is None:
            raise JournalError("the journal does not begin with its run")
        return Worklog(
            run=self._run,
            started_at=self._started_at,
            cycles=tuple(cycle.snapshot() for cycle in self._cycles),
            ended=self._ended,
            ended_at=self._ended_at,
            notes=tuple(self._notes),
            not_checked=tuple(self._not_checked.values()),
        )


def fold(events: Iterable[Event]) -> Worklog:
    """The worklog of a whole journal."""
    accumulator = WorklogFold()
    for event in events:
        accumulator.add(event)
    return accumulator.snapshot()


def _finished(record: StageRecord, end: StageFinished) -> StageRecord:
    return replace(
        record, kind=end.kind, duration_s=end.duration_s, detail=end.detail, faults=end.faults
    )


def _service(record: ServiceRecord, event: Event) -> ServiceRecord:
    match event.payload:
        case SourceRead() as source:
            return replace(record, source=source)
        case BuildStep() as step:
            return replace(record, build_steps=(*record.build_steps, step))
        case ImageBuilt(artifact=artifact, duration_s=seconds, log=log):
            return replace(record, artifact=artifact, build_s=seconds, build_log=log)
        case ContentProven(proof=proof):
            return replace(record, proof=proof)
        case ServiceObserved(when="before", state=state):
            return replace(record, observed_before=True, before=state)
        case RevisionDeployed(revision=revision, first=first):
            return replace(record, revision=revision, first=first)
        case HealthJudged() as health:
            return replace(record, health=health)
        case ChainChecked() as chain:
            return replace(record, chain=chain)
        case Routed(state=state, why=why):
            promoted = why in ("promote", "first") or (record.promoted and why != "restore")
            return replace(record, routed=state, promoted=promoted, restored=why == "restore")
        case LogsKept() as logs:
            return replace(record, logs=logs)
        case _:
            return record


def _suite(record: SuiteRecord, event: Event) -> SuiteRecord:
    match event.payload:
        case SuiteCollected(count=count, deselected=deselected):
            return replace(record, collected=count, deselected=deselected)
        case SuiteStarted(folder=folder):
            return replace(record, folder=folder, started_at=event.at)
        case SuiteFinished(judgement=judgement, end=end):
            return replace(record, judgement=judgement, end=end)
        case _:
            return record
