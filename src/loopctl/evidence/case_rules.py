"""From a case and the target's own records to what is written down of it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC

from loopctl.evidence.blame import where_of
from loopctl.evidence.grade import grade, is_of, met_target
from loopctl.model.evidence import Case, CaseStatus, Grade, GradedCase, Grading, Receipt
from loopctl.model.plan import EvidenceSpec

NO_RECEIPTS: Mapping[str, Sequence[Receipt]] = {}
PASSES = (CaseStatus.PASSED, CaseStatus.FLAKY)

_DETAIL_LIMIT = 6000
_OUTPUT_LIMIT = 4000
_OUTPUT_OF_A_PASS = 1000
_MET_NOBODY = (Grade.CONTRADICTED, Grade.UNPROVEN, Grade.SUSPECT)


@dataclass(frozen=True, slots=True)
class CaseRules:
    """What the cases of one suite are graded by.

    `revisions` are the services that the suite is to meet, each with the name of its revision
    under test (None: any will do); `loopback`: they are on this machine; `alone`: no other test
    runs at the same time.
    """

    evidence: EvidenceSpec
    revisions: Mapping[str, str | None]
    loopback: bool
    health_paths: Sequence[str]
    alone: bool = True

    def graded(
        self,
        case: Case,
        receipts: Mapping[str, Sequence[Receipt]] = NO_RECEIPTS,
        logged: Collection[str] = (),
        unclear: Collection[str] = (),
    ) -> GradedCase:
        """The case with its grade, if it passed, and the reason.

        `receipts` are by trace id, which may be empty; `logged` are the services whose request log
        was read completely; `unclear` says what the log may hold of a case that has no receipt.
        """
        mine = [
            receipt
            for phase in case.phases
            for trace in (*phase.traces, "")
            for receipt in receipts.get(trace, ())
            if is_of(receipt, phase)
        ]
        grading = self._grading(case, mine, logged) if case.status in PASSES else None
        return GradedCase(
            id=case.id,
            status=case.status,
            duration_s=case.duration_s,
            at=case.started_at.astimezone(UTC),
            grade=grading.grade if grading else None,
            reason=self._explained(grading, case, () if mine else unclear) if grading else None,
            message=case.message,
            where=where_of(case.raised),
            detail=(case.longrepr or "")[-_DETAIL_LIMIT:] or None,
            output=_kept_output(case, grading),
            met_target=bool(mine) or met_target(case, self.revisions),
            trace=case.call.trace if case.call else None,
            samples=case.samples,
        )

    def _grading(self, case: Case, mine: Sequence[Receipt], logged: Collection[str]) -> Grading:
        contacts = case.call.contacts if case.call else ()
        met = {c.target for c in contacts if c.target in self.revisions and c.failed is None}
        return grade(
            case,
            receipts=mine,
            revisions=self.revisions,
            loopback_is_target=self.loopback,
            health_paths=self.health_paths,
            receipts_available=met <= set(logged),
            alone=self.alone,
        )

    def _explained(self, grading: Grading, case: Case, unclear: Collection[str]) -> str:
        """The reason, with every forbidden text that the test printed: it explains, no more."""
        said = [text for text in self.evidence.forbid if text in case.output]
        printed = (f"it printed {text!r}, forbidden here" for text in said)
        return "; ".join([grading.reason, *unclear, *printed])


def _kept_output(case: Case, grading: Grading | None) -> str:
    """The end of what it printed; nothing of a pass that met its target: nobody asks why."""
    if case.status is not CaseStatus.PASSED:
        return case.output[-_OUTPUT_LIMIT:]
    met_nobody = grading is not None and grading.grade in _MET_NOBODY
    return case.output[-_OUTPUT_OF_A_PASS:] if met_nobody else ""
