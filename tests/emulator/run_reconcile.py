"""From what was asked to what is: the work between a write's answer and its operation's end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from google.rpc import code_pb2

from emulator import run_conditions as conditions
from emulator import run_texts as texts
from emulator import run_traffic as traffic
from emulator.dispatch import Dispatcher
from emulator.front_doors import FrontDoors
from emulator.run_conditions import Failure
from emulator.run_deploy import Deployer
from emulator.run_messages import CommonReason, EnumPb, RevisionPb, Service, ServicePb
from emulator.run_names import short
from emulator.run_state import State


@dataclass(frozen=True, slots=True)
class Rollout:
    """A generation of a service to bring about; `revision` is the new one's full name, if any."""

    service: str
    generation: int
    operation: str
    revision: str | None


@dataclass(frozen=True, slots=True)
class _Blocked:
    """Why a generation cannot be; `code` is a `google.rpc.Code`."""

    text: str
    reason: EnumPb
    code: int = code_pb2.FAILED_PRECONDITION


class Reconciler:
    """Brings about generations of services, each in a thread; the newest one decides.

    `pause_s` goes by before a change shows, so that there is something to wait for. `lingering`: a
    latest revision that failed keeps its service from being ready, wherever traffic goes.
    """

    def __init__(
        self,
        state: State,
        deployer: Deployer,
        doors: FrontDoors,
        dispatcher: Dispatcher,
        pause_s: float,
        *,
        lingering: bool,
    ) -> None:
        self._state = state
        self._deployer = deployer
        self._doors = doors
        self._dispatcher = dispatcher
        self._pause_s = pause_s
        self._lingering = lingering
        self._ready: dict[str, int] = {}
        self._threads: list[threading.Thread] = []

    def start(self, rollout: Rollout) -> None:
        """Return at once; the rollout's operation tells of its end."""
        self._later(rollout.service, lambda: self._roll(rollout))

    def remove(self, service: ServicePb, operation: str) -> None:
        """End all that belongs to a service that is no longer there."""
        self._later(service.name, lambda: self._remove(service, operation))

    def remove_revision(self, revision: RevisionPb, operation: str) -> None:
        """End what runs of a revision that is no longer there."""

        def remove() -> None:
            self._deployer.remove(revision.name)
            with self._state.changed:
                self._state.finish(operation, revision)

        self._later(revision.service, remove)

    def close(self) -> None:
        """Wait for what is under way; the fleet is closed first, so that nothing takes long."""
        for thread in self._threads:
            thread.join()

    def _later(self, service: str, work: Callable[[], None]) -> None:
        if self._dispatcher.current_fault().stuck:
            return

        def run() -> None:
            if not self._dispatcher.closing.wait(self._pause_s):
                work()

        thread = threading.Thread(target=run, name=f"emulator-reconcile-{short(service)}")
        self._threads = [one for one in self._threads if one.is_alive()]
        self._threads.append(thread)
        thread.start()

    def _roll(self, rollout: Rollout) -> None:
        with self._state.changed:
            revision = self._state.revisions.get(rollout.revision or "")
        failure = self._deployer.deploy(revision) if revision is not None else None
        with self._state.changed:
            service = self._state.services.get(rollout.service)
            if service is None:
                text = texts.deleted_meanwhile(short(rollout.service))
                self._state.fail(rollout.operation, Service(), code_pb2.ABORTED, text)
                return
            if revision is not None:
                self._settle_revision(revision, failure)
            if failure is not None and revision is not None:
                text = texts.not_ready(short(revision.name), failure.text)
                self._fail(service, rollout, _Blocked(text, failure.reason))
            else:
                self._succeed(service, rollout)

    def _settle_revision(self, revision: RevisionPb, failure: Failure | None) -> None:
        revision.reconciling = False
        revision.observed_generation = revision.generation
        if failure is None:
            conditions.revision_retired(revision)
        else:
            conditions.revision_failed(revision, failure)
            self._deployer.tell_failure(revision, failure)
        self._state.touch(revision)

    def _succeed(self, service: ServicePb, rollout: Rollout) -> None:
        """The revision is ready. What traffic says now holds, if it can."""
        if rollout.revision is not None:
            self._note_ready(service, rollout.revision, rollout.generation)
        newest = rollout.generation == service.generation
        blocked = self._blocked(service)
        if blocked is None:
            self._serve(service)
        elif newest:
            self._fail(service, rollout, blocked)
            return
        service.observed_generation = max(service.observed_generation, rollout.generation)
        bad = self._lingers(service) if newest else None
        if bad is not None:
            self._fail(service, rollout, bad)
            return
        if newest:
            service.reconciling = False
            conditions.succeeded(service)
        self._state.touch(service)
        self._state.finish(rollout.operation, service)

    def _note_ready(self, service: ServicePb, revision: str, generation: int) -> None:
        """The latest ready revision is the one that was asked for last, not that was ready last."""
        if generation >= self._ready.get(service.uid, 0):
            self._ready[service.uid] = generation
            service.latest_ready_revision = revision

    def _blocked(self, service: ServicePb) -> _Blocked | None:
        """Why traffic cannot go where the service says."""
        absent = traffic.missing(service, self._state.revisions)
        if absent is not None:
            text = texts.revision_absent(absent)
            return _Blocked(text, CommonReason.REVISION_FAILED, code_pb2.INTERNAL)
        unready = self._unready(service)
        if unready is not None:
            text = texts.not_ready(short(unready.name), _why(unready))
            return _Blocked(text, CommonReason.REVISION_FAILED)
        return None

    def _lingers(self, service: ServicePb) -> _Blocked | None:
        latest = self._state.revisions.get(service.latest_created_revision)
        if not self._lingering or latest is None or conditions.is_healthy(latest):
            return None
        text = texts.not_ready(short(latest.name), _why(latest))
        return _Blocked(text, CommonReason.REVISION_FAILED)

    def _serve(self, service: ServicePb) -> None:
        """Send the requests where traffic says."""
        self._doors.route(service)
        service.uri = self._doors.url(service.name)
        service.urls[:] = [service.uri]
        traffic.apply_statuses(service, lambda tag: self._doors.url(service.name, tag))
        self._describe_revisions(service)

    def _unready(self, service: ServicePb) -> RevisionPb | None:
        """A revision that traffic names and that failed when it was deployed."""
        for name in traffic.named(service):
            revision = self._state.revisions.get(name)
            if revision is not None and not conditions.is_healthy(revision):
                return revision
        return None

    def _describe_revisions(self, service: ServicePb) -> None:
        """Which of the healthy ones serve, and which are retired."""
        serving = {share.revision for share in traffic.routing(service).shares}
        for revision in self._state.revisions_of(service.name):
            if not conditions.is_healthy(revision) or revision.reconciling:
                continue
            if revision.name in serving:
                conditions.revision_serving(revision)
            else:
                conditions.revision_retired(revision)

    def _fail(self, service: ServicePb, rollout: Rollout, blocked: _Blocked) -> None:
        """What served goes on serving; only the conditions tell of the failure."""
        if rollout.generation == service.generation:
            service.reconciling = False
            conditions.failed(service, blocked.text, blocked.reason)
        self._state.touch(service)
        self._state.fail(rollout.operation, service, blocked.code, blocked.text)

    def _remove(self, service: ServicePb, operation: str) -> None:
        with self._state.changed:
            names = [revision.name for revision in self._state.revisions_of(service.name)]
            for name in names:
                del self._state.revisions[name]
        self._doors.forget(service.name)
        for name in names:
            self._deployer.remove(name)
        with self._state.changed:
            self._state.finish(operation, service)


def _why(revision: RevisionPb) -> str:
    ready = conditions.find(revision, "Ready")
    return str(ready.message) if ready is not None else ""
