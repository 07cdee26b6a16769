"""Suites by cycles: outcome, counts and the lowest grade of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from loopctl.journal.worklog import CycleRecord, SuiteRecord, Worklog
from loopctl.model.evidence import CaseStatus, Grade
from loopctl.reports.facts import (
    by_priority,
    collected_of,
    counts_of,
    grades_of,
    lowest,
    outcome_of,
)
from loopctl.reports.page.course import Tone, suite_tone

_MOST_CYCLES: Final = 20


@dataclass(frozen=True, slots=True)
class Cell:
    """One suite in one cycle. `others` are the counts of what did not pass, in words."""

    outcome: str
    tone: Tone
    passed: int
    collected: int
    others: tuple[str, ...]
    grade: Grade | None
    enough: bool
    why: str


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One suite over the cycles, None where a cycle does not know it."""

    suite: SuiteRecord
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """The last cycles, and a row for each suite, by priority."""

    cycles: tuple[CycleRecord, ...]
    rows: tuple[MatrixRow, ...]


def matrix(worklog: Worklog) -> Matrix:
    """Empty where there is no cycle, or no suite."""
    cycles = worklog.cycles[-_MOST_CYCLES:]
    if not cycles:
        return Matrix((), ())
    suites = by_priority(cycles[-1].suites.values())
    return Matrix(
        cycles,
        tuple(
            MatrixRow(suite, tuple(_cell(cycle.suites.get(suite.facts.id)) for cycle in cycles))
            for suite in suites
        ),
    )


def _cell(suite: SuiteRecord | None) -> Cell | None:
    if suite is None:
        return None
    outcome, counts = outcome_of(suite), counts_of(suite)
    least = lowest(grades_of(suite.cases))
    others = [
        f"{number} {status.value}"
        for status, number in counts.items()
        if number and status is not CaseStatus.PASSED
    ]
    reasons = suite.judgement.reasons if suite.judgement else ("the run ended before it",)
    return Cell(
        outcome.value,
        suite_tone(outcome),
        counts[CaseStatus.PASSED],
        collected_of(suite),
        tuple(others),
        least,
        least is None or least.rank >= Grade(suite.facts.require).rank,
        "; ".join(reasons),
    )
