"""COLLECT: the evidence, before anything is stopped."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord
from loopctl.model.events import NotChecked
from loopctl.model.finding import Fault
from loopctl.model.outcome import Outcome
from loopctl.model.plan import ServiceSpec
from loopctl.model.state import OutcomeKind
from loopctl.ports.probe import Prober
from loopctl.process import Stop, in_parallel
from loopctl.stages.callers import ANONYMOUS, Callers
from loopctl.stages.keep_logs import LogKeeper
from loopctl.stages.preflight import gate_faults


class Collect:
    """Keeps the logs of the failed cycle, and looks whether what it depends on is still healthy."""

    def __init__(
        self,
        keeper: LogKeeper,
        gated: Sequence[ServiceSpec],
        prober: Prober,
        callers: Callers = ANONYMOUS,
    ) -> None:
        self._keeper = keeper
        self._gated = gated
        self._prober = prober
        self._callers = callers

    def __call__(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> Outcome:
        """OK; ERRORED with what could not be kept, which never keeps traffic from going back."""
        faults = self._dependencies(stop)
        problems = self._keeper.keep(cycle, journal, stop)
        for problem in problems:
            journal.append(NotChecked("service logs", problem))
        if problems:
            return Outcome(OutcomeKind.ERRORED, "; ".join(problems), faults)
        kept = [s.name for s in journal.fold.cycle().services.values() if s.logs is not None]
        return Outcome(OutcomeKind.OK, f"kept the logs of {', '.join(kept) or 'nobody'}", faults)

    def _dependencies(self, stop: Stop) -> tuple[Fault, ...]:
        """Those that were healthy in PREFLIGHT and are not any more: no fault of what is tested."""
        checks: dict[str, Callable[[Stop], Sequence[Fault]]] = {
            spec.name: functools.partial(gate_faults, spec, self._prober, self._callers)
            for spec in self._gated
        }
        found = in_parallel(stop, len(checks), checks)
        return tuple(fault for faults in found.values() for fault in faults)
