"""Cases whose failures are not counted until a date, because somebody answers for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from loopctl.evidence.status import stands_for_many
from loopctl.inert import one_line
from loopctl.journal.worklog import CycleRecord, SuiteRecord
from loopctl.model.evidence import CaseStatus, GradedCase

_COUNTED = (CaseStatus.PASSED, CaseStatus.LOST)
"""A pass counts as any other; that a case was lost shows that the suite did not end well."""


@dataclass(frozen=True, slots=True)
class Quarantine:
    """An entry of a suite's `quarantine`; `until` is a day (ISO)."""

    case: str
    owner: str
    until: str

    def __str__(self) -> str:
        return f"quarantined until {one_line(self.until, 20)} ({one_line(self.owner, 60)})"


@dataclass(frozen=True, slots=True)
class NotCounted:
    """A case that did not pass, and for which nothing follows from that."""

    suite: SuiteRecord
    case: GradedCase
    entry: Quarantine

    @property
    def key(self) -> str:
        """`suite::id`, as `CycleRecord.failed_cases` has it."""
        return f"{self.suite.facts.id}::{self.case.id}"

    def __str__(self) -> str:
        return f"{one_line(self.case.id, 160)} {self.case.status.value}, {self.entry}"


def entries(suite: SuiteRecord) -> dict[str, Quarantine]:
    """The suite's quarantine, by case."""
    return {case: Quarantine(case, owner, until) for case, owner, until in suite.facts.quarantine}


def not_counted(suites: Iterable[SuiteRecord]) -> tuple[NotCounted, ...]:
    """Every quarantined case that did not pass, in the order of its suite."""
    return tuple(
        NotCounted(suite, case, known[case.id])
        for suite in suites
        if (known := entries(suite))
        for case in suite.cases
        if case.id in known and case.status not in _COUNTED and not stands_for_many(case)
    )


def counted_failures(cycle: CycleRecord) -> dict[str, GradedCase]:
    """The failed cases of a cycle, by `suite::id`, without those that are not counted."""
    excused = {each.key for each in not_counted(cycle.suites.values())}
    return {key: case for key, case in cycle.failed_cases().items() if key not in excused}
