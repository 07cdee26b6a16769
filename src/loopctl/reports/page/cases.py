"""Every test of the last cycle with its status, its grade, and why it has that grade."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from markupsafe import escape

from loopctl.inert import one_line
from loopctl.journal.quarantine import Quarantine, entries
from loopctl.journal.worklog import CycleRecord, SuiteRecord
from loopctl.model.evidence import CaseStatus, Grade, GradedCase
from loopctl.reports.facts import by_priority, outcome_of
from loopctl.reports.page.course import Tone, suite_tone

_AROUND: Final = 130
"""Bytes of markup around the texts of one row."""
_OPEN: Final = 40
"""A suite with so many tests is folded when all is well with it."""

Kind = Literal["ok", "weak", "bad", "skipped"]
"""Passed as required; passed with less than what is required; not passed; skipped."""


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One test; its texts are inert and bounded. `why` is why it has its grade, or what it said."""

    id: str
    kind: Kind
    status: str
    grade: str
    why: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class SuiteCases:
    """One suite's tests, those first that did not pass; `left_out` had no room. `bad` and `weak`
    count all of those kinds.
    """

    suite: SuiteRecord
    outcome: str
    tone: Tone
    rows: tuple[CaseRow, ...]
    left_out: int
    bad: int
    weak: int
    opened: bool


def suite_cases(cycle: CycleRecord, room: int) -> tuple[SuiteCases, ...]:
    """By priority, in at most `room` bytes of HTML; a suite of which no test ran has no rows."""
    found = []
    for suite in by_priority(cycle.suites.values()):
        rows: list[CaseRow] = []
        for row in _ordered(suite):
            room -= _AROUND + sum(len(escape(text).encode()) for text in (row.id, row.why))
            if room < 0:
                break
            rows.append(row)
        outcome = outcome_of(suite)
        tone = suite_tone(outcome)
        kinds = Counter(_kind(case, Grade(suite.facts.require)) for case in suite.cases)
        bad, weak = kinds["bad"], kinds["weak"]
        opened = len(rows) <= _OPEN and (bad + weak > 0 or len(cycle.suites) == 1)
        left_out = len(suite.cases) - len(rows)
        found.append(
            SuiteCases(suite, outcome.value, tone, tuple(rows), left_out, bad, weak, opened)
        )
    return tuple(found)


def _ordered(suite: SuiteRecord) -> Iterator[CaseRow]:
    required = Grade(suite.facts.require)
    quarantine = entries(suite)
    rows: dict[Kind, list[GradedCase]] = {"bad": [], "weak": [], "skipped": [], "ok": []}
    for case in suite.cases:
        rows[_kind(case, required)].append(case)
    for kind, cases in rows.items():
        for case in cases:
            yield _row(case, kind, quarantine.get(case.id))


def _kind(case: GradedCase, required: Grade) -> Kind:
    if case.status is CaseStatus.SKIPPED:
        return "skipped"
    if case.status is not CaseStatus.PASSED:
        return "bad"
    return "ok" if (case.grade or Grade.UNPROVEN).rank >= required.rank else "weak"


def _row(case: GradedCase, kind: Kind, excused: Quarantine | None) -> CaseRow:
    passed = case.status in (CaseStatus.PASSED, CaseStatus.FLAKY)
    grade = (case.grade or Grade.UNPROVEN).value if passed else ""
    return CaseRow(
        one_line(case.id, 200),
        kind,
        case.status.value,
        grade,
        "; ".join(_whys(case, excused, passed=passed)),
        case.duration_s,
    )


def _whys(case: GradedCase, excused: Quarantine | None, *, passed: bool) -> Sequence[str]:
    said = [case.reason, case.message] if passed else [case.message, case.reason]
    told = [one_line(text, 240) for text in said if text]
    told += [one_line(str(case.control), 200)] if case.control else []
    return [*told, *([str(excused)] if excused and not passed else [])]
