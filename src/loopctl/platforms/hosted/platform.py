"""The verbs that the platforms with a detached host have in common: they ask it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Final

from loopctl.errors import Problem, StorageError
from loopctl.files import ensure_private_dir
from loopctl.model.artifact import DeployKey, Revision, ServiceState, Target
from loopctl.platforms.host.client import HostAbsentError, HostClient, HostSilentError
from loopctl.platforms.host.control import Fields, ProtocolError
from loopctl.platforms.host.rendezvous import Rendezvous
from loopctl.platforms.hosted import answers
from loopctl.ports.leases import Held
from loopctl.ports.platform import (
    Absent,
    Dead,
    PlatformError,
    Present,
    Ready,
    Starting,
    Traffic,
    Unknown,
)
from loopctl.process import Stop

# The host waits for services within these verbs: copying and starting, restarting, stopping.
_DEPLOY_S: Final = 120.0
_ROUTE_S: Final = 60.0
_STOP_S: Final = 30.0


@contextlib.contextmanager
def only_port_errors() -> Iterator[None]:
    """An answer that is none of the protocol, or not whole, is the platform's error."""
    try:
        yield
    except ProtocolError as error:
        raise PlatformError(error.what, where=error.where, hint=error.hint) from None


class HostedPlatform:
    """All but what differs between processes and containers.

    Verbs that change something raise `LeaseLost` when `held` is not the lease any more, and then
    have changed nothing.
    """

    keeps_addresses = True

    def __init__(self, place: Rendezvous) -> None:
        self._place = place
        self._host = HostClient(place)

    def target(self, service: str) -> Target:
        """The identity that is locked: real project root, environment and service."""
        return self._place.target(service)

    @only_port_errors()
    def observe(self, service: str, stop: Stop) -> ServiceState | Absent:
        """Who serves the service now; without a host nobody does."""
        try:
            state = self._call("observe", {"service": service}, stop).part_or_none("service")
        except HostAbsentError:
            return Absent()
        return Absent() if state is None else answers.service_state(state)

    @only_port_errors()
    def find(self, key: DeployKey, stop: Stop) -> Present | Absent | Unknown:
        """Whether this deployment was made and its host still has it."""
        try:
            answer = self._call("find", {"service": key.service, "key": str(key)}, stop)
        except HostAbsentError:
            return Absent()
        except HostSilentError as error:
            return Unknown(error.what)
        found = answer.part_or_none("revision")
        if found is not None:
            return Present(answers.revision(found))
        return Unknown("it is being deployed") if answer.flag("deploying") else Absent()

    @only_port_errors()
    def status(self, revision: Revision, stop: Stop) -> Starting | Ready | Dead:
        """How far a revision is; with its host it is dead."""
        args = {"service": revision.service, "revision": revision.name}
        try:
            return answers.status(self._call("status", args, stop), revision)
        except HostAbsentError:
            return answers.gone(revision)

    @only_port_errors()
    def route(self, service: str, want: Traffic, held: Held, stop: Stop) -> ServiceState:
        """Send the service's traffic there; a revision that was stopped is started again first."""
        args = {"service": service, "traffic": dict(want), "fence": held.fence}
        return answers.service_state(self._call("route", args, stop, _ROUTE_S).part("service"))

    def discard(self, candidate: Revision, held: Held, stop: Stop) -> None:
        """Remove a revision that has no traffic; its log stays."""
        args = {
            "service": candidate.service,
            "revision": candidate.name,
            "fence": held.fence,
        }
        with contextlib.suppress(HostAbsentError):
            self._call("discard", args, stop, _STOP_S)

    def down(self, service: str, held: Held, stop: Stop) -> bool:
        """Stop the service and all its revisions; the host ends with its last service."""
        was_up = not isinstance(self.observe(service, stop), Absent)
        with contextlib.suppress(HostAbsentError):
            self._call("down", {"service": service, "fence": held.fence}, stop, _STOP_S)
        return was_up

    def close(self, keep: bool, stop: Stop) -> None:
        """The run is over. Without `keep` the services live on until no run has held a lease on
        the environment for 15 minutes; with it until `down`.
        """
        with contextlib.suppress(HostAbsentError):
            self._call("close", {"keep": keep}, stop)

    @only_port_errors()
    def _deploy(self, args: Mapping[str, object], stop: Stop) -> Revision:
        """Start a revision and return once it is accepted; the host is started if need be."""
        try:
            self._ensure(stop)
            answer = self._call("deploy", args, stop, _DEPLOY_S)
        except HostAbsentError:
            # It ended under our hands, as after the `down` of its last service. The key makes
            # asking twice safe.
            self._ensure(stop)
            answer = self._call("deploy", args, stop, _DEPLOY_S)
        return answers.revision(answer.part("revision"))

    def _host_problems(self, stop: Stop) -> list[Problem]:
        """What keeps a host from running here; empty when nothing does."""
        try:
            self._place.prepare()
            ensure_private_dir(self._place.state)
            with contextlib.suppress(HostAbsentError):
                self._call("hello", {}, stop)
        except PlatformError as error:
            return [Problem(error.what, where=error.where, hint=error.hint)]
        except StorageError as error:
            hint = error.hint or "mend its permissions, or choose another with --runs-dir"
            return [Problem(error.what, where=error.where, hint=hint)]
        return []

    def _ensure(self, stop: Stop) -> None:
        with only_port_errors():
            self._host.ensure(stop)

    def _call(
        self, verb: str, args: Mapping[str, object], stop: Stop, timeout_s: float = 10.0
    ) -> Fields:
        with only_port_errors():
            return self._host.call(verb, args, stop, timeout_s)
