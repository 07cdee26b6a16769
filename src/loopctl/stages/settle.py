"""SETTLE: traffic back to where it was before the cycle's first write, the candidate discarded."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from loopctl.errors import Stopped
from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord, ServiceRecord
from loopctl.model.artifact import DeployKey, Revision, ServiceState
from loopctl.model.events import Intent, Note, Routed, ServiceObserved
from loopctl.model.finding import Fault, FaultKind
from loopctl.model.outcome import LEFT_AS_IT_IS, Outcome
from loopctl.model.plan import ServiceSpec
from loopctl.model.state import OutcomeKind
from loopctl.ports.leases import Held
from loopctl.ports.platform import Platform, PlatformError
from loopctl.process import Stop
from loopctl.stages.deploy import as_fault, made_by
from loopctl.stages.routing import send
from loopctl.stages.traffic import said, shares

_ASKED_WITHIN_S = 1.0


class Settle:
    """Restores in the reverse order of promotion. `keep` leaves the failed cycle as it is."""

    def __init__(
        self,
        services: Sequence[ServiceSpec],
        platform: Platform,
        held: Callable[[], Held],
        keep: bool,
    ) -> None:
        self._services = services
        self._platform = platform
        self._held = held
        self._keep = keep

    def __call__(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> Outcome:
        """OK, or PARTIAL after a partial run; ERRORED when something could not be put back.

        MOVED, with nothing touched, when the traffic is neither as it was nor this run's doing.
        """
        partial = any(stage.kind is OutcomeKind.PARTIAL for stage in cycle.stages)
        good = OutcomeKind.PARTIAL if partial else OutcomeKind.OK
        if self._keep:
            journal.append(Note("--keep: nothing was put back, the candidates are left running"))
            return Outcome(good, LEFT_AS_IT_IS)
        faults: list[Fault] = []
        found = self._look(cycle, faults, stop)
        moved = [fault for service in found if (fault := _moved(service)) is not None]
        if moved:
            return Outcome(OutcomeKind.MOVED, moved[0].summary, tuple(moved))
        done: list[str] = []
        restored: list[_Found] = []
        # All traffic goes back before anything is discarded: a candidate may take long to drain.
        for service in found:
            try:
                done += self._restore(service, journal, stop)
                restored.append(service)
            except PlatformError as error:
                faults.append(as_fault(service.name, error))
        for service in restored:
            try:
                done += self._discard(service, journal, stop)
            except PlatformError as error:
                faults.append(as_fault(service.name, error))
            except Stopped:
                done.append(_still_ending(service, journal))
        if faults:
            return Outcome(OutcomeKind.ERRORED, f"not put back: {faults[0].summary}", tuple(faults))
        return Outcome(good, "; ".join(done) or "nothing had been changed")

    def _look(self, cycle: CycleRecord, faults: list[Fault], stop: Stop) -> list[_Found]:
        """Every service that this cycle may have written to, the last promoted first."""
        found = []
        for spec in reversed(self._services):
            record = cycle.services[spec.name]
            if not record.observed_before:
                continue
            try:
                state = self._platform.observe(spec.name, stop)
            except PlatformError as error:
                faults.append(as_fault(spec.name, error))
                continue
            if isinstance(state, ServiceState):
                found.append(_Found(spec.name, record, state, _seen(record, state)))
            elif _served(record):
                faults.append(_gone(record))
        return found

    def _candidate(self, service: _Found, stop: Stop) -> Revision | None:
        """What this cycle deployed, also where the run was stopped before it could note that.

        The platform may still be at it: it is waited for once all traffic is back.
        """
        key = service.record.deploy_key
        if service.candidate is not None or key is None:
            return service.candidate
        return made_by(DeployKey.of(key), self._platform, stop)

    def _restore(self, service: _Found, journal: Journal, stop: Stop) -> list[str]:
        want = _served(service.record)
        if not want:
            return []
        if shares(service.state) == want:
            if service.record.wanted != want:
                return []
            # A process that was killed has sent it back, and could not write that down any more.
            journal.append(Routed(service.state, "restore"), service=service.name)
            return [f"traffic of {service.name} back to {said(service.state.traffic)}"]
        if gone := [name for name in want if service.state.revision(name) is None]:
            raise PlatformError(
                f"{', '.join(gone)} served {service.name} when this run began, and is gone",
                where=service.name,
                hint="deploy it again: its host has ended",
            )
        after = send(service.name, want, "restore", self._platform, self._held, journal, stop)
        return [f"traffic of {service.name} back to {said(after.traffic)}"]

    def _discard(self, service: _Found, journal: Journal, stop: Stop) -> list[str]:
        candidate = self._candidate(service, stop)
        if candidate is None:
            return []
        if not _served(service.record):
            # Nothing served before it, so there is nothing to go back to: it stays, unverified.
            return [f"{candidate.name} is the first revision of {service.name}, it stays"]
        intent = Intent("discard", f"{journal.cycle}/{service.name}/{candidate.name}")
        with _time_to_ask(stop) as asking, journal.effect(intent, service=service.name):
            self._platform.discard(candidate, self._held(), asking)
        self._read_back(service.name, journal, stop)
        return [f"discarded {candidate.name}"]

    def _read_back(self, name: str, journal: Journal, stop: Stop) -> None:
        # It is done: not to see it any more only makes a stranger's later write harder to tell.
        with contextlib.suppress(PlatformError, Stopped):
            state = self._platform.observe(name, stop)
            if isinstance(state, ServiceState):
                journal.append(ServiceObserved("settled", state), service=name)


@dataclass(frozen=True, slots=True)
class _Found:
    """A service as SETTLE finds it: what the run wrote down, and what is there now.

    `candidate` is what this cycle has deployed, as far as it can be seen there.
    """

    name: str
    record: ServiceRecord
    state: ServiceState
    candidate: Revision | None


@contextlib.contextmanager
def _time_to_ask(stop: Stop) -> Iterator[Stop]:
    """Long enough to be heard by the platform, also where a restore has used all the time."""
    try:
        left = stop.remaining(_ASKED_WITHIN_S)
    except Stopped:
        left = 0.0
    if left < _ASKED_WITHIN_S:
        with stop.child(_ASKED_WITHIN_S, beyond=True) as asking:
            yield asking
    else:
        yield stop


def _still_ending(service: _Found, journal: Journal) -> str:
    """Nobody is met by it any more; that it takes long to stop is no fault of the restore."""
    name = service.candidate.name if service.candidate else service.name
    journal.append(Note(f"{name} was still ending when this run had no more time to wait for it"))
    return f"{name} is ending"


def _seen(record: ServiceRecord, state: ServiceState) -> Revision | None:
    """The revision that the cycle's deployment made, by what was noted of it, else by its key."""
    recorded = record.revision
    if recorded is not None and state.revision(recorded.name) is not None:
        return recorded
    made = (each for each in state.revisions if each.key and each.key == record.deploy_key)
    return next(made, recorded if record.deploy_key is None else None)


def _served(record: ServiceRecord) -> dict[str, int]:
    """Who served before the cycle's first write; empty for a service that nobody was met by."""
    return shares(record.before)


def _moved(found: _Found) -> Fault | None:
    """Somebody else's traffic: neither what was there before nor anything this run sent it to."""
    now, record = shares(found.state), found.record
    ours = {found.candidate.name: 100} if found.candidate else None
    if not _served(record) or now in (_served(record), shares(record.routed), ours):
        return None
    summary = (
        f"{found.name}: traffic is {said(now)}, which this run did not do; it is left like that"
    )
    return Fault(FaultKind.MOVED, summary, found.name)


def _gone(record: ServiceRecord) -> Fault:
    summary = f"{record.name} is gone; {said(_served(record))} served when this run began"
    return Fault(
        FaultKind.CONTROL_PLANE, summary, record.name, hint="deploy it again: nobody serves now"
    )
