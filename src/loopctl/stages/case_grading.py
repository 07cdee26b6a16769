"""Cases of one suite, as they come: joined with receipts, graded, and written down in batches."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta

from loopctl.errors import Stopped
from loopctl.evidence.blame import where_of
from loopctl.evidence.grade import grade, is_of, met_target
from loopctl.journal.store import Journal
from loopctl.model.artifact import Revision
from loopctl.model.events import CasesGraded
from loopctl.model.evidence import Case, CaseStatus, GradedCase, Grading, Receipt
from loopctl.model.logs import LogWindow
from loopctl.model.plan import SuiteSpec
from loopctl.ports.logs import LogError, Receipts
from loopctl.process import Stop

BATCH = 100
BATCH_S = 0.5

_CLOCK_SLACK = timedelta(seconds=2)
"""How far the clocks of the test process and of the request log may differ."""

_DETAIL_LIMIT = 6000
_OUTPUT_LIMIT = 4000
_PASSES = (CaseStatus.PASSED, CaseStatus.FLAKY)
_HARMLESS = (CaseStatus.PASSED, CaseStatus.SKIPPED)


@dataclass(slots=True)
class CaseGrader:
    """Takes raw cases from the suite's thread; grades and writes them.

    `graded` are the cases by id, each with its last record; `attempt` is the number of the retry
    whose cases come now, 0 for the first run.
    """

    spec: SuiteSpec
    targets: Mapping[str, Revision | None]
    receipts: Receipts
    journal: Journal
    loopback: bool
    health_paths: Sequence[str]
    graded: dict[str, GradedCase] = field(default_factory=dict)
    attempt: int = 0
    _waiting: list[Case] = field(default_factory=list)
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
            receipts, complete = self._receipts_of(batch)
            written = []
            for case in batch:
                now = self._not_laundered(self._grade(case, receipts, complete))
                self.graded[now.id] = now
                written.append(now)
            self.journal.append(CasesGraded(tuple(written)), suite=self.spec.id)

    def to_run_again(self) -> tuple[str, ...]:
        """The ids of the cases that a retry is for.

        A case that may have been cut short is run again only where running it twice harms nothing.
        """
        harmful = () if self.spec.repeatable else (CaseStatus.TIMEOUT, CaseStatus.LOST)
        again = {CaseStatus.FAILED, CaseStatus.TIMEOUT, CaseStatus.LOST}.difference(harmful)
        return tuple(case.id for case in self.graded.values() if case.status in again)

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
        if case.status in _PASSES:
            grading = grade(
                case,
                receipts=mine,
                revisions={n: r.name if r else None for n, r in self.targets.items()},
                loopback_is_target=self.loopback,
                health_paths=self.health_paths,
                receipts_available=complete,
            )
        return GradedCase(
            id=case.id,
            status=case.status,
            duration_s=case.duration_s,
            at=case.started_at.astimezone(UTC),
            grade=grading.grade if grading else None,
            reason=self._explained(grading, case) if grading else None,
            message=case.message,
            where=where_of(case.raised),
            detail=(case.longrepr or "")[-_DETAIL_LIMIT:] or None,
            output=case.output[-_OUTPUT_LIMIT:] if case.status is not CaseStatus.PASSED else "",
            met_target=bool(mine) or met_target(case, self.targets),
            trace=case.call.trace if case.call else None,
        )

    def _not_laundered(self, now: GradedCase) -> GradedCase:
        """A pass of what failed earlier in this run on the same image is no pass."""
        before = self.graded.get(now.id)
        if before is not None and before.status not in _HARMLESS:
            return _run_again(before, now, self.attempt)
        if now.status is CaseStatus.PASSED:
            said = self.journal.fold.failed_earlier(self.spec.id, now.id)
            if said is not None:
                message = f"passed, and failed earlier in this run on the same image: {said}"
                return replace(now, status=CaseStatus.FLAKY, message=message)
        return now

    def _explained(self, grading: Grading, case: Case) -> str:
        """The reason, with every forbidden text that the test printed: it explains, no more."""
        said = [text for text in self.spec.evidence.forbid if text in case.output]
        return "; ".join(
            [grading.reason, *(f"it printed {text!r}, forbidden here" for text in said)]
        )


def _run_again(before: GradedCase, now: GradedCase, attempt: int) -> GradedCase:
    """What a case comes to that did not pass, and was run again: flaky, or as bad as it was.

    A flaky case shows its first failure, and what its pass has proven.
    """
    met = before.met_target or now.met_target
    when = f"on retry {attempt}" if attempt else "when it was run again"
    if now.status in _PASSES:
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
    return replace(before, message=message, met_target=met)


def _said(case: GradedCase) -> str:
    return case.message or "no reason was given"
