"""One cycle while it is folded from its events.

A stage may be entered twice in one cycle, when a killed run was resumed: what the first attempt
left is then put aside, so that nothing counts twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from loopctl.journal.codec import JournalError
from loopctl.journal.worklog import CycleRecord, ServiceRecord, StageRecord, SuiteRecord
from loopctl.model.events import (
    BuildStep,
    CasesGraded,
    ChainChecked,
    ChangeSeen,
    CommitChanged,
    ContentProven,
    CriteriaJudged,
    Event,
    FindingMade,
    HealthJudged,
    ImageBuilt,
    ImagePublished,
    Intent,
    LogsKept,
    NovelLine,
    RemedyDecided,
    RemedyEnded,
    RevisionDeployed,
    Routed,
    RunStarted,
    ServiceObserved,
    SourceRead,
    StageEntered,
    StageFinished,
    SuiteCollected,
    SuiteFinished,
    SuiteStarted,
)
from loopctl.model.evidence import CriterionJudgement, GradedCase
from loopctl.model.finding import Change, Finding
from loopctl.model.state import OutcomeKind, State

_SAME_IMAGE = frozenset({OutcomeKind.GO_DEPLOY, OutcomeKind.GO_HEALTH, OutcomeKind.GO_VERIFY})


@dataclass(slots=True)
class CycleFold:
    """Takes the events of one cycle, in order."""

    number: int
    services: dict[str, ServiceRecord]
    suites: dict[str, SuiteRecord]
    cases: dict[str, dict[str, GradedCase]]
    started_at: datetime | None = None
    stages: list[StageRecord] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    novel: list[NovelLine] = field(default_factory=list)
    novel_services: list[str | None] = field(default_factory=list)
    commits: list[CommitChanged] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    remedy: RemedyDecided | None = None
    remedy_begun: Intent | None = None
    remedy_ended: RemedyEnded | None = None
    criteria: tuple[CriterionJudgement, ...] = ()

    @staticmethod
    def of(run: RunStarted, first: Event, before: CycleFold | None) -> CycleFold:
        """A cycle that begins; one that goes on with the images of the one `before` has them."""
        carries = before is not None and before.carries_images
        earlier = before.services if before is not None else {}
        counts = before.suites if before is not None and carries else {}
        return CycleFold(
            first.cycle,
            services={
                s.name: _next(ServiceRecord(s.name, run.run_id), earlier.get(s.name), carries)
                for s in run.services
            },
            suites={
                s.id: SuiteRecord(s, counts[s.id].collected, counts[s.id].deselected)
                if s.id in counts
                else SuiteRecord(s)
                for s in run.suites
            },
            cases={s.id: {} for s in run.suites},
            started_at=first.at,
        )

    @property
    def carries_images(self) -> bool:
        """Whether the next cycle uses the images of this one."""
        last = self.stages[-1] if self.stages else None
        return last is not None and last.stage is State.REMEDIATE and last.kind in _SAME_IMAGE

    @property
    def images(self) -> Mapping[str, str]:
        """What every service's image was made from.

        Building the same source again makes no other image, though steps that are not
        reproducible give it another digest: a failure is not washed off by that.
        """
        built = {name: service.artifact for name, service in self.services.items()}
        return {n: image.source_tree or image.digest for n, image in built.items() if image}

    def add(self, event: Event) -> None:
        """Take one event."""
        if event.service is not None and event.service in self.services:
            record = self.services[event.service]
            self.services[event.service] = _service(record, event)
        if event.suite is not None and event.suite in self.suites:
            self._add_to_suite(event.suite, event)
        match event.payload:
            case StageEntered(stage=stage):
                self._enter(stage, event)
            case StageFinished():
                self._finish(event.payload, event)
            case CriteriaJudged(criteria=criteria):
                self.criteria = criteria
            case RemedyDecided():
                self.remedy, self.remedy_begun, self.remedy_ended = event.payload, None, None
            case Intent(effect="remedy"):
                self.remedy_begun, self.remedy_ended = event.payload, None
            case RemedyEnded():
                self.remedy_ended = event.payload
            case _:
                self._diagnosed(event)

    def _diagnosed(self, event: Event) -> None:
        match event.payload:
            case FindingMade(finding=finding):
                self.findings.append(finding)
            case NovelLine():
                self.novel.append(event.payload)
                self.novel_services.append(event.service)
            case CommitChanged():
                self.commits.append(event.payload)
            case ChangeSeen(change=change):
                self.changed.append(change)
            case _:
                pass

    def _add_to_suite(self, suite: str, event: Event) -> None:
        record, payload = self.suites[suite], event.payload
        if isinstance(payload, CasesGraded):
            # By id: a case that was run again has one end, its last.
            self.cases[suite].update((case.id, case) for case in payload.cases)
        else:
            if isinstance(payload, SuiteStarted) and record.folder == payload.folder:
                self.cases[suite].clear()
            self.suites[suite] = _suite(record, event)

    def _enter(self, stage: State, event: Event) -> None:
        self.stages.append(StageRecord(stage, event.at, wave=event.wave))
        if stage is State.BUILD:
            self.services = {
                name: replace(s, source=None, artifact=None, build_steps=(), proof=None)
                for name, s in self.services.items()
            }
        elif stage is State.DEPLOY and not event.wave:
            self._forget_tests()
        elif stage is State.DIAGNOSE:
            self.findings, self.novel, self.novel_services = [], [], []
            self.commits, self.changed = [], []

    def _finish(self, end: StageFinished, event: Event) -> None:
        if not self.stages or self.stages[-1].stage is not end.stage:
            raise JournalError(
                f"event {event.seq} of the journal ends {end.stage.value}, which had not begun"
            )
        self.stages[-1] = _finished(self.stages[-1], end)

    def _forget_tests(self) -> None:
        """What was seen of revisions that are deployed anew says nothing of the new ones."""
        self.services = {
            name: replace(service, health=None, chain=None)
            for name, service in self.services.items()
        }
        self.suites = {
            name: SuiteRecord(suite.facts, suite.collected, suite.deselected)
            for name, suite in self.suites.items()
        }
        self.cases = {name: {} for name in self.cases}
        self.criteria = ()

    def snapshot(self) -> CycleRecord:
        """The cycle as of the last event."""
        return CycleRecord(
            number=self.number,
            started_at=self.started_at,
            stages=tuple(self.stages),
            services=dict(self.services),
            suites={
                name: replace(suite, cases=tuple(self.cases[name].values()))
                for name, suite in self.suites.items()
            },
            findings=tuple(self.findings),
            novel=tuple(self.novel),
            novel_sources=tuple(self.novel_services),
            commits=tuple(self.commits),
            changed=tuple(self.changed),
            remedy=self.remedy,
            remedy_begun=self.remedy_begun,
            remedy_ended=self.remedy_ended,
            criteria=self.criteria,
        )


def _next(new: ServiceRecord, earlier: ServiceRecord | None, carries: bool) -> ServiceRecord:
    if earlier is None:
        return new
    # What is not as an earlier cycle has left it is a stranger's doing.
    left = replace(new, seen=earlier.seen, writing=earlier.writing)
    if not carries:
        return left
    return replace(
        left,
        source=earlier.source,
        artifact=earlier.artifact,
        build_s=earlier.build_s,
        build_log=earlier.build_log,
        proof=earlier.proof,
    )


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
        case ImagePublished(artifact=artifact):
            return replace(record, artifact=artifact)
        case ContentProven(proof=proof):
            return replace(record, proof=proof)
        case HealthJudged() as health:
            return replace(record, health=health)
        case ChainChecked() as chain:
            return replace(record, chain=chain)
        case LogsKept() as logs:
            return replace(record, logs=logs)
        case _:
            return _written(record, event)


def _written(record: ServiceRecord, event: Event) -> ServiceRecord:
    """What this run writes to a service, and what is read back of that."""
    match event.payload:
        case ServiceObserved(when="before", state=state):
            return replace(record, observed_before=True, before=state, seen=state)
        case ServiceObserved(when="deployed" | "settled" | "verified", state=state):
            return replace(record, seen=state, wanted=None, writing=False)
        case RevisionDeployed(revision=revision, first=first):
            if record.revision is not None and record.revision.name != revision.name:
                # What was promoted is gone with its host: this one takes no traffic yet.
                record = replace(record, routed=None, promoted=False, restored=False)
            return replace(record, revision=revision, first=first)
        case Routed(state=state, why=why):
            promoted = why in ("promote", "first", "direct") or (
                record.promoted and why != "restore"
            )
            return replace(
                record,
                routed=state,
                seen=state,
                promoted=promoted,
                restored=why == "restore",
                wanted=None,
                writing=False,
            )
        case Intent(effect="deploy", key=key):
            return replace(record, deploy_key=key, writing=True)
        case Intent(effect="route", detail=detail):
            wanted = {name: percent for name, percent in detail.items() if isinstance(percent, int)}
            return replace(record, wanted=wanted, writing=True)
        case Intent(effect="discard" | "verified"):
            return replace(record, writing=True)
        case _:
            return record


def _suite(record: SuiteRecord, event: Event) -> SuiteRecord:
    match event.payload:
        case SuiteCollected(count=count, deselected=deselected):
            return replace(record, collected=count, deselected=deselected)
        case SuiteStarted(folder=folder, files=files):
            return replace(record, folder=folder, started_at=event.at, files=files)
        case SuiteFinished(judgement=judgement, end=end):
            return replace(record, judgement=judgement, end=end)
        case _:
            return record
