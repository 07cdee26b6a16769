"""Leases as annotations of services in the emulator, as two runs on two machines see them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from emulator_rig import asking, emulating

from emulator.server import Emulator
from loopctl.model.plan import CloudRunPlace
from loopctl.platforms.cloud_run.api import Api
from loopctl.platforms.cloud_run.clients import Clients
from loopctl.platforms.cloud_run.lease_mark import LEASE
from loopctl.platforms.cloud_run.leases import AnnotationLeases
from loopctl.platforms.cloud_run.names import Names
from loopctl.platforms.cloud_run.server_clock import AskedClock
from loopctl.process import Stop

SERVICES: Final = ("auth", "chat", "web")

_HOLD_AND_DIE: Final = """
import os, sys
from loopctl.model.artifact import Target
from loopctl.model.plan import CloudRunPlace
from loopctl.platforms.cloud_run.api import Api
from loopctl.platforms.cloud_run.clients import Clients
from loopctl.platforms.cloud_run.leases import AnnotationLeases
from loopctl.platforms.cloud_run.names import Names
from loopctl.platforms.cloud_run.server_clock import AskedClock
from loopctl.process import Stop
clients = Clients(CloudRunPlace("p", "us-central1", endpoint=sys.argv[1]))
leases = AnnotationLeases(Api(clients, Names("p", "us-central1")), AskedClock(clients))
leases.acquire([Target("cloud-run", "p/us-central1", "chat")], "run-dead", 600, Stop(20))
os._exit(9)
"""


class _AheadClock(AskedClock):
    """The server's clock, which a test may put ahead."""

    ahead = timedelta()

    def now(self, stop: Stop) -> datetime:
        return super().now(stop) + self.ahead


class AnnotatedServices:
    """An emulator with some services, and leases on them by two sets of clients."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self._clients = [self._client() for _ in range(2)]
        self._clocks = [_AheadClock(each) for each in self._clients]
        self.leases, self.elsewhere = (
            AnnotationLeases(Api(clients, Names("p", "us-central1")), clock)
            for clients, clock in zip(self._clients, self._clocks, strict=True)
        )

    @property
    def dying(self) -> list[str]:
        """The command of a process that takes the lease on `chat` and ends with it."""
        return [sys.executable, "-c", _HOLD_AND_DIE, self.emulator.grpc_endpoint]

    def pass_time(self, seconds: float) -> None:
        for clock in self._clocks:
            clock.ahead += timedelta(seconds=seconds)

    def annotation(self) -> str:
        """The lease on `chat` as it is written there."""
        return str(self.emulator.state.service("chat").annotations[LEASE])

    def annotate(self, text: str) -> None:
        """Write it by another hand."""
        with self.emulator.state.changed:
            service = self.emulator.state.services[self.emulator.state.place.service("chat")]
            service.annotations[LEASE] = text
            self.emulator.state.touch(service)

    def close(self) -> None:
        for clients in self._clients:
            clients.close()

    def _client(self) -> Clients:
        return Clients(CloudRunPlace("p", "us-central1", endpoint=self.emulator.grpc_endpoint))


@contextmanager
def annotated_services() -> Iterator[AnnotatedServices]:
    with emulating() as emulator:
        with asking(emulator, "grpc") as asker:
            begun = [asker.create(name) for name in SERVICES]
            for each in begun:
                asker.result(each)
        made = AnnotatedServices(emulator)
        try:
            yield made
        finally:
            made.close()
