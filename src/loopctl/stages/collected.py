"""No remedy may turn a run green by having fewer tests, or by relaxing one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from loopctl.journal.worklog import CycleRecord
from loopctl.model.evidence import CaseStatus
from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.model.outcome import Outcome
from loopctl.model.state import OutcomeKind
from loopctl.stages.suite_paths import CONFTEST


def fewer_than_before(cycles: Sequence[CycleRecord]) -> Outcome | None:
    """UNPROVEN where the last cycle collected less of a suite than one before a command's remedy.

    None elsewhere.
    What an earlier cycle that somebody stopped had collected counts too.
    """
    *earlier, now = cycles
    if not any(_ran_a_command(cycle) for cycle in earlier):
        return None
    faults = [
        _fault(name, most, suite.collected)
        for name, suite in now.suites.items()
        if suite.collected is not None
        and (most := max((c.suites[name].collected or 0 for c in earlier), default=0))
        > suite.collected
    ]
    if not faults:
        return None
    return Outcome(OutcomeKind.UNPROVEN, faults[0].summary, tuple(faults))


def relaxed_since(cycles: Sequence[CycleRecord]) -> Outcome | None:
    """UNPROVEN where a case passes, or is gone, that failed before a remedy changed what judges it.

    None elsewhere. Whether the test or the service was mended then only a person can tell. One that
    was broken is another matter: it said nothing of the service before.
    """
    *earlier, now = cycles
    changed = {path for c in earlier if c.remedy is not None for path in c.remedy.judging}
    if not changed:
        return None
    failed = {
        (suite.facts.id, case.id)
        for cycle in earlier
        for suite in cycle.suites.values()
        for case in suite.cases
        if case.status in _FAILED and _judged_by(case.id, changed)
    }
    faults = [
        _relaxed(suite, case, gone=status is None)
        for suite, case in sorted(failed)
        if (status := _status(now, suite, case)) in _PASSED or _is_gone(now, suite, status)
    ]
    return Outcome(OutcomeKind.UNPROVEN, faults[0].summary, tuple(faults)) if faults else None


def _status(cycle: CycleRecord, suite: str, case: str) -> CaseStatus | None:
    return next((c.status for c in cycle.suites[suite].cases if c.id == case), None)


def _is_gone(cycle: CycleRecord, suite: str, status: CaseStatus | None) -> bool:
    """Whether a suite that came to its end has no such case any more."""
    end = cycle.suites[suite].end
    return status is None and end is not None and end.complete


_FAILED = (CaseStatus.FAILED, CaseStatus.TIMEOUT)
_PASSED = (CaseStatus.PASSED, CaseStatus.FLAKY)


def _judged_by(case: str, changed: Iterable[str]) -> bool:
    """Whether one of the files is the case's own; settings and helpers are every case's."""
    own = PurePosixPath(case.partition("::")[0]).name
    names = {PurePosixPath(path).name for path in changed}
    return own in names or any(name == CONFTEST or "test" not in name.lower() for name in names)


def _relaxed(suite: str, case: str, *, gone: bool) -> Fault:
    then = "is gone now" if gone else "passes now"
    summary = f"{case} failed before a remedy changed what judges it, and {then}"
    quote = Quote("test", f"suites/{suite}", summary)
    hint = "relaxing a test is never automatic: look at what changed (git diff), and run again"
    return Fault(FaultKind.REMEDY, summary, None, case, (quote,), hint)


def _ran_a_command(cycle: CycleRecord) -> bool:
    remedy = cycle.remedy
    return remedy is not None and remedy.action == "run" and remedy.result != "proposed"


def _fault(suite: str, before: int, now: int) -> Fault:
    summary = f"{suite} collects {now} cases after the remedy, and collected {before} before it"
    quote = Quote("test", f"suites/{suite}", summary)
    hint = "look at what the remedy changed: git diff"
    return Fault(FaultKind.REMEDY, summary, None, str(now), (quote,), hint)
