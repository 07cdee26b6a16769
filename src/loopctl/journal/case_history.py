"""What the records of many runs say together of their cases. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from loopctl.model.evidence import CaseStatus
from loopctl.ports.history import RunRecord

_RECENT = 10
_MEASURED = (CaseStatus.PASSED, CaseStatus.FLAKY, CaseStatus.FAILED, CaseStatus.TIMEOUT)
"""What came to an end of its own, or took all the time that it was given."""

_FAILED = (CaseStatus.FAILED, CaseStatus.TIMEOUT, CaseStatus.BROKEN, CaseStatus.LOST)


def durations(records: Iterable[RunRecord], suite: str) -> Mapping[str, float]:
    """Seconds by case: the median of the last ten runs that measured it; newest records first."""
    measured: dict[str, list[float]] = {}
    for record in records:
        for name, case in record.suites.get(suite, {}).items():
            seconds = measured.setdefault(name, [])
            if case.status in _MEASURED and len(seconds) < _RECENT:
                seconds.append(case.duration_s)
    return {name: median(seconds) for name, seconds in measured.items() if seconds}


def borne_out(records: Iterable[RunRecord], suite: str) -> frozenset[str]:
    """The hashes of test code whose passes a control run has borne out in these runs."""
    return frozenset(
        case.code
        for record in records
        for case in record.suites.get(suite, {}).values()
        if case.code is not None
    )


@dataclass(frozen=True, slots=True)
class Stability:
    """How one case has done over `runs` runs.

    `changes` counts how often it did otherwise than in the run before, a flaky run as one more:
    what fails always is stable. `last_failed` is the newest run in which it failed.
    """

    case: str
    runs: int
    passed: int
    failed: int
    flaky: int
    skipped: int
    changes: int
    last_failed: str | None = None

    def __str__(self) -> str:
        others = {"flaky": self.flaky, "failed": self.failed, "skipped": self.skipped}
        more = "".join(f", {number} {word}" for word, number in others.items() if number)
        last = f"; last failed in {self.last_failed}" if self.last_failed else ""
        runs = "1 run" if self.runs == 1 else f"{self.runs} runs"
        return f"{self.passed} of {runs} passed{more}{last}"


def flakiness(records: Sequence[RunRecord], suite: str) -> tuple[Stability, ...]:
    """Every case that these runs know, the most unstable first; newest records first."""
    seen: dict[str, list[tuple[str, CaseStatus]]] = {}
    for record in records:
        for name, case in record.suites.get(suite, {}).items():
            seen.setdefault(name, []).append((record.run_id, case.status))
    found = [_stability(name, runs) for name, runs in seen.items()]
    return tuple(sorted(found, key=lambda s: (-s.changes, -s.failed, -s.skipped, s.case)))


def _stability(case: str, runs: Sequence[tuple[str, CaseStatus]]) -> Stability:
    statuses = [status for _, status in runs]
    # A skip says nothing: what came before it and after it stand beside each other.
    failed = [status in _FAILED for status in statuses if status is not CaseStatus.SKIPPED]
    flaky = statuses.count(CaseStatus.FLAKY)
    return Stability(
        case=case,
        runs=len(runs),
        passed=statuses.count(CaseStatus.PASSED),
        failed=sum(failed),
        flaky=flaky,
        skipped=statuses.count(CaseStatus.SKIPPED),
        changes=flaky + sum(one != other for one, other in pairwise(failed)),
        last_failed=next((run for run, status in runs if status in _FAILED), None),
    )
