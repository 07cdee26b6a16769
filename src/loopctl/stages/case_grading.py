"""Cases of one suite, as they come: joined with receipts, graded, and written down in batches."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from loopctl.errors import Stopped
from loopctl.evidence.case_rules import PASSES, CaseRules
from loopctl.journal.store import Journal
from loopctl.model.artifact import Revision
from loopctl.model.events import CasesGraded
from loopctl.model.evidence import Case, CaseStatus, Control, GradedCase, Receipt
from loopctl.model.logs import LogWindow
from loopctl.model.plan import SuiteSpec
from loopctl.ports.logs import LogError, Receipts
from loopctl.process import Stop
from loopctl.stages.control_run import with_control
from loopctl.stages.late_receipts import CLOCK_SLACK, LateReceipts, late_receipts, traces_of

BATCH = 100
BATCH_S = 0.5

_HARMLESS = (CaseStatus.PASSED, CaseStatus.SKIPPED)


@dataclass(slots=True)
class CaseGrader:
    """Takes raw cases from the suite's thread; grades and writes them.

    `graded` are the cases by id, each with its last record; `passed` are those that passed, as the
    suite handed them over, where a control run may ask for them; `attempt` is the number of the
    retry whose cases come now, 0 for the first run.
    """

    spec: SuiteSpec
    targets: Mapping[str, Revision | None]
    receipts: Receipts
    journal: Journal
    rules: CaseRules
    passed: dict[str, Case] = field(default_factory=dict)
    graded: dict[str, GradedCase] = field(default_factory=dict)
    attempt: int = 0
    _waiting: list[Case] = field(default_factory=list)
    _tries: dict[str, list[tuple[int, Case]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _flushing: threading.Lock = field(default_factory=threading.Lock)

    def add(self, case: Case) -> None:
        """Take a case that has ended."""
        with self._lock:
            self._waiting.append(case)
            full = len(self._waiting) >= BATCH
        if full:
            self.flush()

    def keep_flushing(self, stop: Stop) -> None:
        """Write what waits every half second, until stopped."""
        with contextlib.suppress(Stopped):
            while True:
                stop.wait(BATCH_S)
                self.flush()

    def flush(self) -> None:
        """Grade and write what waits."""
        with self._flushing:
            with self._lock:
                batch, self._waiting = self._waiting, []
            if not batch:
                return
            receipts, logged = self._receipts_of(batch)
            written = []
            for case in batch:
                graded = self.rules.graded(case, receipts, logged)
                before = self.graded.get(case.id)
                now = self.graded[case.id] = self._not_laundered(before, graded, self.attempt)
                if self._is_late:
                    self._tries.setdefault(case.id, []).append((self.attempt, case))
                if graded.status in PASSES and self.spec.evidence.control != "off":
                    self.passed[case.id] = case
                written.append(now)
            self.journal.append(CasesGraded(tuple(written)), suite=self.spec.id)

    def join_late(self, stop: Stop) -> None:
        """Grade again what was graded without receipts, because they come late; once, at the end.

        Only what has changed is written again. A `stop` that is stopped leaves it as it is: less is
        proven then.
        """
        if not self._is_late:
            return
        cases = [case for tries in self._tries.values() for _, case in tries]
        with contextlib.suppress(Stopped):
            late = late_receipts(cases, self.targets, self.receipts, stop, alone=self.rules.alone)
            again = [self._regraded(tries, late) for tries in self._tries.values()]
            self._rewrite([now for now in again if now != self.graded[now.id]])

    def _regraded(self, tries: Sequence[tuple[int, Case]], late: LateReceipts) -> GradedCase:
        """What all attempts at a case come to together."""
        now: GradedCase | None = None
        for attempt, case in tries:
            graded = self.rules.graded(case, late.by_trace, late.logged, late.unclear(case))
            now = self._not_laundered(now, graded, attempt)
        assert now is not None
        return now

    @property
    def _is_late(self) -> bool:
        return self.receipts.late_s > 0 and self.spec.evidence.receipts

    def to_run_again(self) -> tuple[str, ...]:
        """The ids of the cases that the next attempt is for.

        A case that may have been cut short is run again only where running it twice harms nothing.
        There one that was lost has another try even without retries: its process died under it.
        """
        again = {CaseStatus.FAILED} if self.attempt < self.spec.retries else set()
        if again and self.spec.repeatable:
            again |= {CaseStatus.TIMEOUT}
        if self.spec.repeatable and self.attempt < max(self.spec.retries, 1):
            again |= {CaseStatus.LOST}
        return tuple(case.id for case in self.graded.values() if case.status in again)

    def controlled(self, found: Mapping[str, Control]) -> None:
        """Write down what the control run showed of cases that passed, by id."""
        written = [
            with_control(self.graded[name], self.passed[name], control)
            for name, control in found.items()
        ]
        self._rewrite(written)

    def _rewrite(self, written: Sequence[GradedCase]) -> None:
        self.graded.update((case.id, case) for case in written)
        for first in range(0, len(written), BATCH):
            batch = tuple(written[first : first + BATCH])
            self.journal.append(CasesGraded(batch), suite=self.spec.id)

    def _receipts_of(
        self, batch: Sequence[Case]
    ) -> tuple[Mapping[str, list[Receipt]], frozenset[str]]:
        """Receipts by trace id, which may be empty, and the services whose logs are complete."""
        found: dict[str, list[Receipt]] = {}
        logged: set[str] = set()
        traces = traces_of(batch)
        if self._is_late or not self.spec.evidence.receipts or not traces:
            return found, frozenset()
        since = min(case.started_at for case in batch) - CLOCK_SLACK
        for name, revision in self.targets.items():
            if revision is None:
                continue
            try:
                met = self.receipts.of(revision, traces, LogWindow(name, since), Stop(10.0))
            except LogError:
                continue
            if met.coverage.complete:
                logged.add(name)
            for receipt in met.receipts:
                found.setdefault(receipt.trace, []).append(receipt)
        return found, frozenset(logged)

    def _not_laundered(
        self, before: GradedCase | None, now: GradedCase, attempt: int
    ) -> GradedCase:
        """A pass of what failed earlier in this run on the same image is no pass.

        `before` is what it came to in this suite until now.
        """
        if before is not None and before.status not in _HARMLESS:
            return _run_again(before, now, attempt)
        if now.status is CaseStatus.PASSED:
            said = self.journal.fold.failed_earlier(self.spec.id, now.id)
            if said is not None:
                message = f"passed, and failed earlier in this run on the same image: {said}"
                return replace(now, status=CaseStatus.FLAKY, message=message)
        return now


def _run_again(before: GradedCase, now: GradedCase, attempt: int) -> GradedCase:
    """What a case comes to that did not pass, and was run again: flaky, or as bad as it was.

    A flaky case shows its first failure, and what its pass has proven.
    """
    met = before.met_target or now.met_target
    now = replace(now, samples=before.samples + now.samples)
    when = f"on retry {attempt}" if attempt else "when it was run again"
    if now.status in PASSES:
        return replace(
            now,
            status=CaseStatus.FLAKY,
            message=f"{before.status} first: {_said(before)}; passed {when}",
            where=before.where,
            detail=before.detail,
            output=before.output,
            met_target=met,
        )
    if now.status is before.status:
        message = f"{_said(now)} (run {attempt + 1} times, never passed)"
        return replace(now, message=message if attempt else now.message, met_target=met)
    message = f"{_said(before)}; {now.status} {when}: {_said(now)}"
    return replace(before, message=message, met_target=met, samples=now.samples)


def _said(case: GradedCase) -> str:
    return case.message or "no reason was given"
