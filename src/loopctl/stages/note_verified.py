"""Noting where the services are that their revisions were verified: the last step of CONFIRM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from loopctl.journal.store import Journal
from loopctl.model.events import Intent, ServiceObserved
from loopctl.model.outcome import Outcome
from loopctl.model.plan import ServiceSpec
from loopctl.model.state import OutcomeKind
from loopctl.ports.leases import Held
from loopctl.ports.platform import PlatformError
from loopctl.ports.verified import VerifiedMarks
from loopctl.process import Stop
from loopctl.stages.deploy import as_fault
from loopctl.stages.routing import require

AFTER_GREEN: Final = {
    "pin": "traffic stays pinned to it",
    "latest": "traffic follows the newest revision from here on",
}


@dataclass(frozen=True, slots=True)
class NoteVerified:
    """Notes every service's revision; a note that cannot be written is a restore that is due: what
    nobody can go back to was not delivered.

    `after_green` is what becomes of the traffic with it.
    """

    run_id: str
    marks: VerifiedMarks
    held: Callable[[], Held]
    after_green: Literal["pin", "latest"]

    def __call__(self, services: Sequence[ServiceSpec], journal: Journal, stop: Stop) -> Outcome:
        """OK once all are noted and the traffic is read back as it was; else ERRORED."""
        for spec in services:
            try:
                self._note(spec.name, journal, stop)
            except PlatformError as error:
                fault = as_fault(spec.name, error)
                return Outcome(OutcomeKind.ERRORED, error.what, (fault,))
        return Outcome(OutcomeKind.OK, AFTER_GREEN[self.after_green])

    def _note(self, service: str, journal: Journal, stop: Stop) -> None:
        revision = journal.fold.cycle().services[service].revision
        if revision is None:
            return
        intent = Intent("verified", f"{journal.cycle}/{service}/{revision.name}")
        with journal.effect(intent, service=service):
            state = self.marks.record(revision, self.run_id, self.held(), stop)
        journal.append(ServiceObserved("verified", state), service=service)
        require(state, {revision.name: 100})
