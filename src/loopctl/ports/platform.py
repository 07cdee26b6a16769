"""Where services run: observe, deploy, route, discard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from loopctl.errors import PortError, Problem
from loopctl.model.artifact import (
    Artifact,
    ArtifactKind,
    DeployKey,
    Revision,
    ServiceState,
    Target,
)
from loopctl.model.finding import Fault
from loopctl.model.plan import ServiceSpec
from loopctl.model.references import Endpoint
from loopctl.ports.leases import Held
from loopctl.process import Stop

Traffic = Mapping[str, int]
"""Percent by revision name; the percents add up to 100."""


class PlatformError(PortError):
    """The platform could not do what was asked; `fault` says what it answered, where it did.

    `mend` is a whole command, ready to be typed, that does it without loopctl: None where there is
    no such command, as on `local`, whose front door only loopctl can tell where to send traffic.
    `outcome_unknown`: a write may have been done all the same, and may still be under way.
    """

    @property
    def outcome_unknown(self) -> bool:
        """Whether only a look can tell what became of it."""
        return False

    def __init__(
        self,
        what: str,
        *,
        fault: Fault | None = None,
        where: str | None = None,
        hint: str | None = None,
        mend: str | None = None,
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.fault = fault
        self.mend = mend


@dataclass(frozen=True, slots=True)
class Present:
    """The deployment with that key exists."""

    revision: Revision


@dataclass(frozen=True, slots=True)
class Absent:
    """It does not exist, for certain."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The platform cannot tell now: ask again, never act."""

    reason: str


@dataclass(frozen=True, slots=True)
class Starting:
    """Not ready yet. `told` is the port it should listen on, `listening` those it listens on.

    `loopback_only` are those of them that nobody outside of its container reaches.
    """

    told: int | None = None
    listening: tuple[int, ...] = ()
    loopback_only: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Ready:
    """It accepts connections; `url` is the revision's OWN address, whatever the traffic.

    Where the platform keeps addresses, it outlives the revision's time: other services were told
    it. Once the revision has had traffic and is retired, its address leads to what serves.
    """

    url: str
    ws_url: str


@dataclass(frozen=True, slots=True)
class Dead:
    """It will not become ready: exit code, signal, out of memory or condition, quoted."""

    fault: Fault


class Platform(Protocol):
    """One environment's services. Traffic is real on every platform.

    `keeps_addresses`: a revision's own address goes on to lead to what serves once the revision is
    retired, so that other services may be told it.
    """

    accepts: ArtifactKind
    keeps_addresses: bool

    def check(self, specs: Sequence[ServiceSpec], stop: Stop) -> Sequence[Problem]:
        """What is missing to run these; empty when nothing is."""
        ...

    def target(self, service: str) -> Target:
        """The identity that is locked."""
        ...

    def observe(self, service: str, stop: Stop) -> ServiceState | Absent:
        """Who serves the service now."""
        ...

    def find(self, key: DeployKey, stop: Stop) -> Present | Absent | Unknown:
        """Whether this deployment was made: the probe of a resumed run."""
        ...

    def from_within(self, endpoint: Endpoint) -> Endpoint:
        """What the loop reaches at `endpoint`, as a service of this environment reaches it.

        A container has a loopback interface of its own. Pure.
        """
        ...

    def deploy(
        self,
        spec: ServiceSpec,
        artifact: Artifact,
        key: DeployKey,
        env: Mapping[str, str],
        share: Literal["none", "all"],
        held: Held,
        stop: Stop,
    ) -> Revision:
        """Start a revision and return once it is accepted.

        `env` is the service's own with references filled in; secrets come from `spec`.
        """
        ...

    def status(self, revision: Revision, stop: Stop) -> Starting | Ready | Dead:
        """How far a revision is; takes up to a second where each question has its price."""
        ...

    def serves_content(self, revision: Revision, artifact: Artifact, stop: Stop) -> str | None:
        """None while the running revision still holds the artifact's content; else what differs."""
        ...

    def route(self, service: str, want: Traffic, held: Held, stop: Stop) -> ServiceState:
        """Send the service's traffic there; idempotent; the state as read back."""
        ...

    def discard(self, candidate: Revision, held: Held, stop: Stop) -> None:
        """Remove a revision that has no traffic; nothing if it is gone already."""
        ...

    def down(self, service: str, held: Held, stop: Stop) -> bool:
        """Stop the service and all its revisions; whether anything of it was there."""
        ...

    def close(self, keep: bool, stop: Stop) -> None:
        """The run is over: `keep` leaves the services up until `down`, even those nobody holds."""
        ...
