"""PROMOTE: all traffic to what was verified, in the order of needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord
from loopctl.model.outcome import Outcome
from loopctl.model.plan import ServiceSpec
from loopctl.model.state import OutcomeKind
from loopctl.ports.leases import Held
from loopctl.ports.platform import Absent, Platform, PlatformError
from loopctl.process import Stop
from loopctl.stages.deploy import as_fault
from loopctl.stages.routing import send
from loopctl.stages.traffic import GONE, as_moved, traffic_moved


class Promote:
    """Sends each service's traffic to its candidate, and reads it back."""

    def __init__(
        self, services: Sequence[ServiceSpec], platform: Platform, held: Callable[[], Held]
    ) -> None:
        self._services = services
        self._platform = platform
        self._held = held

    def __call__(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> Outcome:
        """OK; MOVED where somebody else changed the traffic; ERRORED where it did not go."""
        # All are looked at before any is written: what has moved stops the run untouched.
        for step in (self._moved, self._promote):
            for spec in self._services:
                try:
                    outcome = step(spec, cycle, journal, stop)
                except PlatformError as error:
                    return Outcome(OutcomeKind.ERRORED, error.what, (as_fault(spec.name, error),))
                if outcome is not None:
                    return outcome
        names = ", ".join(spec.name for spec in self._services)
        return Outcome(OutcomeKind.OK, f"all traffic of {names} goes to what was verified")

    def _moved(
        self, spec: ServiceSpec, cycle: CycleRecord, journal: Journal, stop: Stop
    ) -> Outcome | None:
        record = cycle.services[spec.name]
        state = self._platform.observe(spec.name, stop)
        moved = f"it is gone: {GONE}" if isinstance(state, Absent) else traffic_moved(record, state)
        return as_moved(spec.name, moved) if moved else None

    def _promote(
        self, spec: ServiceSpec, cycle: CycleRecord, journal: Journal, stop: Stop
    ) -> Outcome | None:
        record = cycle.services[spec.name]
        if record.revision is None:
            return None
        moved = self._moved(spec, cycle, journal, stop)
        if moved is not None:
            return moved
        want = {record.revision.name: 100}
        send(spec.name, want, "promote", self._platform, self._held, journal, stop)
        return None
