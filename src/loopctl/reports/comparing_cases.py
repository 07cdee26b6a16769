"""The suites and cases of two cycles beside each other. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from loopctl.journal.worklog import CycleRecord, SuiteRecord
from loopctl.model.evidence import CaseStatus, Grade, GradedCase
from loopctl.reports.compared import CaseChange, CaseChanges, SuiteChange
from loopctl.reports.facts import (
    by_priority,
    collected_of,
    counts_of,
    grades_of,
    lowest,
    outcome_of,
)

FAILED = (CaseStatus.FAILED, CaseStatus.TIMEOUT, CaseStatus.BROKEN, CaseStatus.LOST)
"""How a case ends that fails."""


def case_changes(a: CycleRecord | None, b: CycleRecord | None) -> CaseChanges:
    """Every case that did otherwise, or failed in both."""
    before, after = _cases(a), _cases(b)
    ended_a, ended_b = _ended(a), _ended(b)
    pairs = [(key, before.get(key), after.get(key)) for key in {**after, **before}]
    both = [(key, one, other) for key, one, other in pairs if one and other]
    gone = [pair for pair in pairs if pair[2] is None]
    new = [pair for pair in pairs if pair[1] is None]
    return CaseChanges(
        failing=_found(p for p in pairs if _fails(p[2]) and not _fails(p[1])),
        still_failing=_found(p for p in both if _fails(p[1]) and _fails(p[2])),
        flaky=_found(p for p in pairs if _is(p[2], CaseStatus.FLAKY)),
        fixed=_found(p for p in both if _fails(p[1]) and _is(p[2], CaseStatus.PASSED)),
        no_longer_flaky=_found(
            p for p in both if _is(p[1], CaseStatus.FLAKY) and _is(p[2], CaseStatus.PASSED)
        ),
        skipped=_found(
            p for p in both if _is(p[2], CaseStatus.SKIPPED) and not _is(p[1], CaseStatus.SKIPPED)
        ),
        run_again=_found(
            p for p in both if _is(p[1], CaseStatus.SKIPPED) and _is(p[2], CaseStatus.PASSED)
        ),
        # Nothing is new where the other run never came to say so, and nothing is gone.
        added=_found(p for p in new if _suite(p[0]) in ended_a),
        removed=_found(p for p in gone if _suite(p[0]) in ended_b),
        not_run=_found(p for p in gone if _suite(p[0]) not in ended_b),
        grades=tuple(_grades(both)),
    )


def suite_changes(a: CycleRecord | None, b: CycleRecord | None) -> tuple[SuiteChange, ...]:
    """Every suite of either, by priority, those of `b` first."""
    before, after = (dict(cycle.suites) if cycle else {} for cycle in (a, b))
    ordered = by_priority(after.values()) + by_priority(
        suite for name, suite in before.items() if name not in after
    )
    return tuple(_suite_change(s.facts.id, before, after) for s in ordered)


def _suite_change(
    name: str, before: Mapping[str, SuiteRecord], after: Mapping[str, SuiteRecord]
) -> SuiteChange:
    one, other = _told(before.get(name)), _told(after.get(name))
    return SuiteChange(
        name, (one[0], other[0]), (one[1], other[1]), (one[2], other[2]), counts=one != other
    )


def _told(suite: SuiteRecord | None) -> tuple[str | None, dict[str, int], str | None]:
    """Outcome, how many were collected and how they ended, and the lowest grade of a pass."""
    if suite is None:
        return None, {}, None
    counts = {status.value: number for status, number in counts_of(suite).items() if number}
    grade = lowest(grades_of(suite.cases))
    return (
        outcome_of(suite).value,
        {"collected": collected_of(suite), **counts},
        grade.value if grade else None,
    )


_Pair = tuple[str, GradedCase | None, GradedCase | None]
_Both = tuple[str, GradedCase, GradedCase]


def _cases(cycle: CycleRecord | None) -> dict[str, GradedCase]:
    return {
        f"{suite.facts.id}::{case.id}": case
        for suite in by_priority(cycle.suites.values() if cycle else ())
        for case in suite.cases
    }


def _ended(cycle: CycleRecord | None) -> frozenset[str]:
    """The suites that were run to their own end."""
    return frozenset(
        suite.facts.id
        for suite in (cycle.suites.values() if cycle else ())
        if suite.end is not None and suite.end.complete
    )


def _suite(key: str) -> str:
    return key.partition("::")[0]


def _fails(case: GradedCase | None) -> bool:
    return case is not None and case.status in FAILED


def _is(case: GradedCase | None, status: CaseStatus) -> bool:
    return case is not None and case.status is status


def _found(pairs: Iterable[_Pair | _Both]) -> tuple[CaseChange, ...]:
    return tuple(
        CaseChange(
            key,
            before.status.value if before else None,
            after.status.value if after else None,
            after.message if after and after.status in FAILED else None,
        )
        for key, before, after in pairs
    )


def _grades(both: Iterable[_Both]) -> Iterator[CaseChange]:
    for key, before, after in both:
        passed = before.status is after.status is CaseStatus.PASSED
        if passed and _grade(before) is not _grade(after):
            yield CaseChange(key, _grade(before).value, _grade(after).value)


def _grade(case: GradedCase) -> Grade:
    return case.grade or Grade.UNPROVEN
