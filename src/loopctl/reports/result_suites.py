"""The suites and criteria of `result.json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from loopctl.evidence.criteria import nearest_rank, series_of
from loopctl.journal.quarantine import entries
from loopctl.journal.worklog import SuiteRecord
from loopctl.model.evidence import CaseStatus, CriterionJudgement, GradedCase
from loopctl.reports.facts import collected_of, counts_of, grades_of, lowest, outcome_of

Document: TypeAlias = dict[str, object]


def suite_document(suite: SuiteRecord) -> Document:
    """A suite with its cases and the metrics that they have recorded."""
    counts = counts_of(suite)
    grades = grades_of(suite.cases)
    least = lowest(grades)
    judgement = suite.judgement
    quarantine = entries(suite)
    return {
        "id": suite.facts.id,
        "priority": suite.facts.priority,
        "outcome": outcome_of(suite).value,
        "reasons": list(judgement.reasons) if judgement else ["the run ended before it"],
        "collected": collected_of(suite),
        **{status.value: number for status, number in counts.items()},
        "grade": least.value if least else None,
        "grades": {grade.value: number for grade, number in grades.items()},
        "duration_s": rounded(judgement.duration_s if judgement else 0.0),
        "metrics": _metrics(suite.cases),
        "cases": [_case(case, quarantined=case.id in quarantine) for case in suite.cases],
    }


def _metrics(cases: Sequence[GradedCase]) -> Document:
    """Each series in short: the samples themselves stand in the journal."""
    return {
        name: {
            "count": len(samples),
            "p50": nearest_rank(ordered, 50),
            "p95": nearest_rank(ordered, 95),
            "max": ordered[-1],
        }
        for name, samples in sorted(series_of(cases).items())
        if (ordered := sorted(samples))
    }


def criterion_document(judged: CriterionJudgement) -> Document:
    """A criterion with what was measured; `met` is null with too few samples."""
    # The value is not rounded: it must not look as if it met a limit that it misses.
    return {
        "metric": judged.metric,
        "op": judged.op,
        "limit": judged.limit,
        "value": judged.value,
        "samples": judged.samples,
        "met": judged.met,
    }


def _case(case: GradedCase, *, quarantined: bool) -> Document:
    passed = case.status in (CaseStatus.PASSED, CaseStatus.FLAKY)
    return {
        "id": case.id,
        "status": case.status.value,
        "grade": case.grade.value if case.grade and passed else None,
        "reason": case.reason,
        "duration_s": rounded(case.duration_s),
        "message": case.message,
        "control": str(case.control) if case.control else None,
        "quarantined": quarantined,
    }


def rounded(value: float | None) -> float | None:
    """Seconds to the millisecond."""
    return None if value is None else round(value, 3)
