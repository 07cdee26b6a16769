"""SETTLE: traffic back to where it was before the cycle's first write, the candidate discarded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord, ServiceRecord
from loopctl.model.artifact import Revision, ServiceState
from loopctl.model.events import Intent, Note, Routed
from loopctl.model.finding import Fault
from loopctl.model.outcome import Outcome
from loopctl.model.plan import ServiceSpec
from loopctl.model.state import OutcomeKind
from loopctl.ports.leases import Held
from loopctl.ports.platform import Absent, Platform, PlatformError
from loopctl.process import Stop
from loopctl.stages.deploy import as_fault
from loopctl.stages.verify import said


class Settle:
    """Restores in the reverse order of promotion. `keep` leaves the failed cycle as it is."""

    def __init__(
        self,
        services: Sequence[ServiceSpec],
        platform: Platform,
        held: Callable[[], Held],
        keep: bool,
        run_id: str,
    ) -> None:
        self._services = services
        self._platform = platform
        self._held = held
        self._keep = keep
        self._run_id = run_id

    def __call__(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> Outcome:
        """OK, or PARTIAL after a partial run; ERRORED when something could not be put back."""
        partial = any(stage.kind is OutcomeKind.PARTIAL for stage in cycle.stages)
        good = OutcomeKind.PARTIAL if partial else OutcomeKind.OK
        if self._keep:
            journal.append(Note("--keep: nothing was put back, the candidates are left running"))
            return Outcome(good, "left as it is (--keep)")
        faults: list[Fault] = []
        done: list[str] = []
        for spec in reversed(self._services):
            try:
                done += self._settle(cycle.services[spec.name], journal, stop)
            except PlatformError as error:
                faults.append(as_fault(spec.name, error))
        if faults:
            return Outcome(OutcomeKind.ERRORED, f"not put back: {faults[0].summary}", tuple(faults))
        return Outcome(good, "; ".join(done) or "nothing had been changed")

    def _settle(self, record: ServiceRecord, journal: Journal, stop: Stop) -> list[str]:
        if not record.observed_before:
            return []
        state = self._platform.observe(record.name, stop)
        if isinstance(state, Absent):
            return []
        done = []
        if record.before is not None and record.before.traffic:
            done += self._restore(record, record.before, state, journal, stop)
        candidate = record.revision or self._unrecorded(state, journal.cycle)
        if candidate is None:
            return done
        if record.first:
            # Nothing served before it, so there is nothing to go back to: it stays, unverified.
            return [*done, f"{candidate.name} is the first revision of {record.name}, it stays"]
        self._discard(record, candidate, journal, stop)
        return [*done, f"discarded {candidate.name}"]

    def _unrecorded(self, state: ServiceState, cycle: int) -> Revision | None:
        """A deployment that was accepted while the run was being stopped, found by its key."""
        ours = f"{self._run_id}/{cycle}/"
        found = (r for r in state.revisions if r.key is not None and r.key.startswith(ours))
        return next((r for r in found if not state.traffic.get(r.name)), None)

    def _restore(
        self,
        record: ServiceRecord,
        before: ServiceState,
        state: ServiceState,
        journal: Journal,
        stop: Stop,
    ) -> list[str]:
        want = {name: percent for name, percent in before.traffic.items() if percent}
        if {n: p for n, p in state.traffic.items() if p} == want:
            return []
        intent = Intent("route", f"{journal.cycle}/{record.name}/restore", dict(want))
        with journal.effect(intent, service=record.name):
            after = self._platform.route(record.name, want, self._held(), stop)
        journal.append(Routed(after, "restore"), service=record.name)
        return [f"traffic of {record.name} back to {said(after.traffic)}"]

    def _discard(
        self, record: ServiceRecord, candidate: Revision, journal: Journal, stop: Stop
    ) -> None:
        intent = Intent("discard", f"{journal.cycle}/{record.name}/{candidate.name}")
        with journal.effect(intent, service=record.name):
            self._platform.discard(candidate, self._held(), stop)
