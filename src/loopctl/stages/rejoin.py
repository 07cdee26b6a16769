"""Before a resumed run goes on: is what it left still there, and has nobody else touched it?"""

from __future__ import annotations

from collections.abc import Sequence

from loopctl.journal.worklog import CycleRecord
from loopctl.model.outcome import Outcome
from loopctl.model.plan import ServiceSpec
from loopctl.model.state import OutcomeKind
from loopctl.ports.platform import Absent, Platform
from loopctl.process import Stop
from loopctl.stages.traffic import as_moved, traffic_moved


class Rejoin:
    """Compares every service with what the run last saw of it; writes nothing."""

    def __init__(self, services: Sequence[ServiceSpec], platform: Platform) -> None:
        self._services = services
        self._platform = platform

    def __call__(self, cycle: CycleRecord, stop: Stop) -> Outcome | None:
        """None: go on. MOVED: somebody wrote to a service. GO_DEPLOY: a revision is gone.

        Raises `PlatformError`.
        """
        gone = False
        for spec in self._services:
            record = cycle.services[spec.name]
            if not record.observed_before:
                continue
            state = self._platform.observe(spec.name, stop)
            if isinstance(state, Absent):
                # Its host has ended, as a reboot does: that is nobody's write.
                gone = gone or record.revision is not None
                continue
            if (moved := traffic_moved(record, state)) is not None:
                return as_moved(spec.name, moved)
            revision = record.revision
            gone = gone or (revision is not None and state.revision(revision.name) is None)
        return Outcome(OutcomeKind.GO_DEPLOY, "what was deployed is gone") if gone else None
