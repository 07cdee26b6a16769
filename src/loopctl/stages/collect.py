"""COLLECT: the evidence, before anything is stopped."""

from __future__ import annotations

from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord
from loopctl.model.events import NotChecked
from loopctl.model.outcome import Outcome
from loopctl.model.state import OutcomeKind
from loopctl.process import Stop
from loopctl.stages.keep_logs import LogKeeper


class Collect:
    """Keeps the logs of the failed cycle."""

    def __init__(self, keeper: LogKeeper) -> None:
        self._keeper = keeper

    def __call__(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> Outcome:
        """OK; ERRORED with what could not be kept, which never keeps traffic from going back."""
        problems = self._keeper.keep(cycle, journal, stop)
        for problem in problems:
            journal.append(NotChecked("service logs", problem))
        if problems:
            return Outcome(OutcomeKind.ERRORED, "; ".join(problems))
        kept = [s.name for s in journal.fold.cycle().services.values() if s.logs is not None]
        return Outcome(OutcomeKind.OK, f"kept the logs of {', '.join(kept) or 'nobody'}")
