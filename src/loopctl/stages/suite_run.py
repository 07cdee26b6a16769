"""One suite, start to judgement: cases are joined with receipts, graded and written down."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from hashlib import sha256

from loopctl.errors import Stopped
from loopctl.evidence.blame import where_of
from loopctl.evidence.grade import grade, is_of, met_target
from loopctl.evidence.judge import judge
from loopctl.journal.store import Journal
from loopctl.model.artifact import Revision
from loopctl.model.events import CasesGraded, Intent, SuiteFinished, SuiteStarted
from loopctl.model.evidence import (
    Case,
    CaseStatus,
    Collection,
    GradedCase,
    Grading,
    Receipt,
    SuiteEnd,
    SuiteJudgement,
    SuiteOutcome,
)
from loopctl.model.logs import LogWindow
from loopctl.model.plan import SuiteKind, SuiteSpec
from loopctl.model.references import Endpoint
from loopctl.ports.logs import LogError, Receipts
from loopctl.ports.suite import Suite, SuiteContext, SuiteError
from loopctl.process import Stop, TaskScope

BATCH = 100
BATCH_S = 0.5

_CLOCK_SLACK = timedelta(seconds=2)
"""How far the clocks of the test process and of the request log may differ."""

_DETAIL_LIMIT = 6000
_OUTPUT_LIMIT = 4000


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What every suite of a run is told. `health_paths` by service, `gated` URLs by service."""

    run_id: str
    environment: str
    loopback: bool
    health_paths: Mapping[str, str]
    gated: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class UnderTest:
    """Where the suite meets the services: their addresses, and the revisions that must answer."""

    endpoints: Mapping[str, Endpoint]
    revisions: Mapping[str, Revision]


@dataclass(frozen=True, slots=True)
class Ran:
    """A suite that was run; `nobody_met`: there were cases, and none reached a target."""

    judgement: SuiteJudgement
    nobody_met: bool


class SuiteRunner:
    """Runs and collects suites of every kind there is an adapter for."""

    def __init__(
        self, adapters: Mapping[SuiteKind, Suite], receipts: Receipts, facts: RunFacts
    ) -> None:
        self._adapters = adapters
        self._receipts = receipts
        self._facts = facts

    def collect(self, spec: SuiteSpec, journal: Journal, stop: Stop) -> Collection | None:
        """What the suite would run, without its services. Raises `SuiteError`."""
        gated = {name: Endpoint.of(url) for name, url in self._facts.gated.items()}
        context = self._context(spec, UnderTest(gated, {}), journal)
        return self._adapters[spec.kind].collect(spec, context, stop)

    def run(self, spec: SuiteSpec, where: UnderTest, journal: Journal, stop: Stop) -> Ran:
        """Run it; a suite that cannot be started is unproven, with the reason."""
        context = self._context(spec, where, journal)
        folder = str(context.folder.relative_to(journal.folder))
        expected = journal.fold.cycle().suites[spec.id].collected
        journal.append(SuiteStarted(folder, expected), suite=spec.id)
        targets = {name: where.revisions.get(name) for name in spec.evidence.target}
        grader = _Grader(spec, targets, self._receipts, self._facts, journal)
        try:
            end = self._run_adapter(spec, context, grader, journal, stop)
        except SuiteError as error:
            end = SuiteEnd(
                complete=False,
                exit_code=None,
                duration_s=0.0,
                detail=error.what,
                usage_error=error.what,
            )
        judgement = judge(spec, grader.graded, end, expected)
        journal.append(SuiteFinished(judgement, end), suite=spec.id)
        return Ran(judgement, grader.nobody_met())

    def not_run(self, spec: SuiteSpec, why: str, journal: Journal) -> SuiteJudgement:
        """A suite that is passed over, with its reason."""
        collected = journal.fold.cycle().suites[spec.id].collected or 0
        judgement = SuiteJudgement(SuiteOutcome.NOT_RUN, (why,), collected)
        journal.append(SuiteFinished(judgement, None), suite=spec.id)
        return judgement

    def _run_adapter(
        self,
        spec: SuiteSpec,
        context: SuiteContext,
        grader: _Grader,
        journal: Journal,
        stop: Stop,
    ) -> SuiteEnd:
        adapter = self._adapters[spec.kind]
        intent = Intent("suite", f"{journal.cycle}/{spec.id}")
        flusher = Stop()
        with journal.effect(intent, suite=spec.id), TaskScope(Stop()) as scope:
            scope.start(f"flush {spec.id}", lambda _: grader.keep_flushing(flusher))
            try:
                end = adapter.run(spec, context, grader.add, stop)
            finally:
                flusher.stop("the suite has ended")
                grader.flush()
        return end

    def _context(self, spec: SuiteSpec, where: UnderTest, journal: Journal) -> SuiteContext:
        seed = sha256(f"{self._facts.run_id}/{journal.cycle}/{spec.id}".encode()).hexdigest()[:32]
        paths = {self._facts.health_paths.get(name) for name in spec.evidence.target}
        return SuiteContext(
            endpoints=where.endpoints,
            variables={
                "LOOPCTL_RUN_ID": self._facts.run_id,
                "LOOPCTL_ENV": self._facts.environment,
                "LOOPCTL_SUITE": spec.id,
                "TRACEPARENT": f"00-{seed}-{seed[:16]}-01",
            },
            folder=journal.folder / "suites" / str(journal.cycle) / spec.id,
            trace_seed=seed,
            health_paths=tuple(sorted(path for path in paths if path)),
        )


@dataclass(slots=True)
class _Grader:
    """Takes raw cases from the suite's thread; grades and writes them in batches."""

    spec: SuiteSpec
    targets: Mapping[str, Revision | None]
    receipts: Receipts
    facts: RunFacts
    journal: Journal
    graded: list[GradedCase] = field(default_factory=list)
    _waiting: list[Case] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _flushing: threading.Lock = field(default_factory=threading.Lock)

    def add(self, case: Case) -> None:
        with self._lock:
            self._waiting.append(case)
            full = len(self._waiting) >= BATCH
        if full:
            self.flush()

    def keep_flushing(self, stop: Stop) -> None:
        with contextlib.suppress(Stopped):
            while True:
                stop.wait(BATCH_S)
                self.flush()

    def flush(self) -> None:
        with self._flushing:
            with self._lock:
                batch, self._waiting = self._waiting, []
            if not batch:
                return
            receipts, complete = self._receipts_of(batch)
            graded = tuple(self._grade(case, receipts, complete) for case in batch)
            self.graded.extend(graded)
            self.journal.append(CasesGraded(graded), suite=self.spec.id)

    def nobody_met(self) -> bool:
        ran = [case for case in self.graded if case.status is not CaseStatus.SKIPPED]
        return bool(ran) and not any(case.met_target for case in ran)

    def _receipts_of(self, batch: Sequence[Case]) -> tuple[Mapping[str, list[Receipt]], bool]:
        """Receipts by trace id, which may be empty, and whether their logs are complete."""
        found: dict[str, list[Receipt]] = {}
        traces = frozenset(t for case in batch for phase in case.phases for t in phase.traces)
        if not self.spec.evidence.receipts or not traces:
            return found, False
        since = min(case.started_at for case in batch) - _CLOCK_SLACK
        complete = True
        for name, revision in self.targets.items():
            if revision is None:
                complete = False
                continue
            try:
                met = self.receipts.of(revision, traces, LogWindow(name, since), Stop(10.0))
            except LogError:
                complete = False
                continue
            complete = complete and met.coverage.complete
            for receipt in met.receipts:
                found.setdefault(receipt.trace, []).append(receipt)
        return found, complete

    def _grade(
        self, case: Case, receipts: Mapping[str, list[Receipt]], complete: bool
    ) -> GradedCase:
        mine = [
            receipt
            for phase in case.phases
            for trace in (*phase.traces, "")
            for receipt in receipts.get(trace, ())
            if is_of(receipt, phase)
        ]
        grading = None
        status, message = self._not_laundered(case)
        if status is CaseStatus.PASSED:
            grading = grade(
                case,
                receipts=mine,
                revisions={n: r.name if r else None for n, r in self.targets.items()},
                loopback_is_target=self.facts.loopback,
                health_paths=[p for p in self.facts.health_paths.values() if p],
                receipts_available=complete,
            )
        return GradedCase(
            id=case.id,
            status=status,
            duration_s=case.duration_s,
            at=case.started_at.astimezone(UTC),
            grade=grading.grade if grading else None,
            reason=self._explained(grading, case) if grading else None,
            message=message,
            where=where_of(case.raised),
            detail=(case.longrepr or "")[-_DETAIL_LIMIT:] or None,
            output=case.output[-_OUTPUT_LIMIT:] if status is not CaseStatus.PASSED else "",
            met_target=bool(mine) or met_target(case, self.targets),
            trace=case.call.trace if case.call else None,
        )

    def _not_laundered(self, case: Case) -> tuple[CaseStatus, str | None]:
        """A pass of what failed earlier in this run on the same image is no pass."""
        if case.status is not CaseStatus.PASSED:
            return case.status, case.message
        before = self.journal.fold.failed_earlier(self.spec.id, case.id)
        if before is None:
            return case.status, case.message
        said = f"passed, and failed earlier in this run on the same image: {before}"
        return CaseStatus.FLAKY, said

    def _explained(self, grading: Grading, case: Case) -> str:
        """The reason, with every forbidden text that the test printed: it explains, no more."""
        said = [text for text in self.spec.evidence.forbid if text in case.output]
        return "; ".join(
            [grading.reason, *(f"it printed {text!r}, forbidden here" for text in said)]
        )
