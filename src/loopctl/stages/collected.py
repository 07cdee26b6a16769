"""No remedy may turn a run green by having fewer tests. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from loopctl.journal.worklog import CycleRecord
from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.model.outcome import Outcome
from loopctl.model.state import OutcomeKind


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


def _ran_a_command(cycle: CycleRecord) -> bool:
    remedy = cycle.remedy
    return remedy is not None and remedy.action == "run" and remedy.result != "proposed"


def _fault(suite: str, before: int, now: int) -> Fault:
    summary = f"{suite} collects {now} cases after the remedy, and collected {before} before it"
    quote = Quote("test", f"suites/{suite}", summary)
    hint = "look at what the remedy changed: git diff"
    return Fault(FaultKind.REMEDY, summary, None, str(now), (quote,), hint)
