"""Revisions on an emulated Cloud Run, one after the other, and when it was known of each.

`python -m bench.cloud_waiting ours|client grpc|rest waits|polled SECONDS…` deploys one for each of
these times to come up, and prints as JSON for each the delay, the seconds that were waited and the
calls that were made meanwhile. The emulator is in this process, and needs `tests` on the path.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import grpc  # type: ignore[import-untyped]
from google.cloud.run_v2 import TrafficTarget, TrafficTargetAllocationType

from emulator.faults import Fault
from emulator.rpc import RpcFault
from emulator.run_messages import ServicePb
from emulator.run_names import short
from emulator.run_runtime_process import ProcessRuntime, Program
from emulator.server import Emulator
from loopctl.model.artifact import Artifact, ArtifactKind, DeployKey
from loopctl.model.plan import (
    BuildSpec,
    CloudRunPlace,
    Environment,
    HealthSpec,
    PlatformKind,
    RunSpec,
    ServiceSpec,
)
from loopctl.platforms.cloud_run.clients import Clients
from loopctl.platforms.cloud_run.site import site_of
from loopctl.ports.platform import Dead, Ready
from loopctl.process import Stop
from loopctl.redact import Redactor
from loopctl.stages.health import LAST_POLL_S

_PROJECT, _REGION, _SERVICE = "bench", "us-central1", "web"
_DIGEST = "sha256:" + "0" * 64
_IMAGE = f"registry.example.test/apps/web@{_DIGEST}"
_NOT_THERE = Fault(RpcFault(grpc.StatusCode.UNIMPLEMENTED, "Operation is not implemented."))
_WRITES = ("CreateService", "UpdateService")
_SLOW = """
import os, socket, time
time.sleep(float(os.environ["AFTER"]))
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])), backlog=64)
while True:
    listener.accept()[0].close()
"""


@dataclass(slots=True)
class Moments:
    """By revision, when the emulator says that its service's Ready turned SUCCEEDED."""

    emulator: Emulator
    _ready: dict[str, float] = field(default_factory=dict)

    def watch(self) -> None:
        """In a thread of its own, as long as the emulator lives."""
        state = self.emulator.state
        with state.changed:
            while not state.closing:
                for service in state.services.values():
                    self._look(service)
                state.changed.wait()

    def of(self, revision: str) -> float:
        """Seconds since the epoch. Raises `KeyError`."""
        with self.emulator.state.changed:
            return self._ready[revision]

    def _look(self, service: ServicePb) -> None:
        told = service.terminal_condition
        if service.reconciling or not service.latest_ready_revision:
            return
        at = told.last_transition_time.ToNanoseconds() / 1e9
        self._ready.setdefault(short(service.latest_ready_revision), at)


class Ours:
    """The platform as a run has it, with the lease it needs."""

    def __init__(self, place: CloudRunPlace) -> None:
        self._count = 0
        environment = Environment("staging", PlatformKind.CLOUD_RUN, cloud_run=place)
        site = site_of(environment, None, Redactor({}))
        self._platform = site.platform
        self._held = site.leases.acquire([site.platform.target(_SERVICE)], "bench", 900, Stop(30))

    def deploy(self, takes_s: float) -> tuple[str, Callable[[], None]]:
        """The revision's name once the write was answered, and what waits until it is ready."""
        self._count += 1
        key = DeployKey("bench", self._count, _SERVICE, _DIGEST)
        at = datetime.now(UTC)
        artifact = Artifact(_SERVICE, ArtifactKind.IMAGE, _DIGEST, _IMAGE, "", at, elsewhere=True)
        env = {"AFTER": str(takes_s)}
        spec = ServiceSpec(
            _SERVICE, BuildSpec("docker"), RunSpec(env=env), HealthSpec(), image=_IMAGE
        )
        stop = Stop(120)
        share: Literal["none", "all"] = "all" if self._count == 1 else "none"
        made = self._platform.deploy(spec, artifact, key, env, share, self._held, stop)

        def wait() -> None:
            while not isinstance(status := self._platform.status(made, stop), Ready):
                if isinstance(status, Dead):
                    raise RuntimeError(status.fault.summary)
                stop.wait(LAST_POLL_S)

        return made.name, wait


@dataclass(slots=True)
class Theirs:
    """Google's own client, and its own way to wait; a service is there already."""

    place: CloudRunPlace
    _count: int = 0

    def deploy(self, takes_s: float) -> tuple[str, Callable[[], None]]:
        """As `Ours.deploy`."""
        self._count += 1
        services = Clients(self.place).services
        name = f"projects/{_PROJECT}/locations/{_REGION}/services/{_SERVICE}"
        service = services.get_service(name=name)
        made = f"{_SERVICE}-client-{self._count}"
        service.template.revision = made
        service.template.containers[0].env[0].value = str(takes_s)
        serving = [row for row in service.traffic if row.percent]
        kind = TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
        service.traffic = [*serving, TrafficTarget(type_=kind, revision=made, tag="candidate")]
        operation: Any = services.update_service(service=service)

        def wait() -> None:
            operation.result(timeout=120)

        return made, wait


def _measured(way: Ours | Theirs, takes_s: float, moments: Moments) -> dict[str, float]:
    revision, wait = way.deploy(takes_s)
    deployed = time.time()
    wait()
    known = time.time()
    calls = moments.emulator.calls
    write = max(n for n, each in enumerate(calls) if each.method in _WRITES)
    asked = [each for each in calls[write:] if each.at >= deployed or "Operation" in each.method]
    return {
        "delay_s": known - moments.of(revision),
        "waited_s": known - calls[write].at,
        "calls": len(asked),
    }


def main(who: str, transport: str, server: str, *times: str) -> None:
    """Print what was seen of each of these times."""
    programs = {_IMAGE: Program((sys.executable, "-S", "-c", _SLOW))}
    with Emulator(_PROJECT, _REGION, runtime=ProcessRuntime(programs)) as emulator:
        moments = Moments(emulator)
        threading.Thread(target=moments.watch).start()
        if server == "polled":
            emulator.faults.on("WaitOperation", _NOT_THERE, times=None)
        place = _place(emulator, transport)
        first = Ours(place)
        _measured(first, 0.0, moments)
        way = first if who == "ours" else Theirs(place)
        print(json.dumps([_measured(way, float(each), moments) for each in times]))


def _place(emulator: Emulator, transport: str) -> CloudRunPlace:
    if transport == "rest":
        return CloudRunPlace(_PROJECT, _REGION, endpoint=emulator.rest_endpoint, transport="rest")
    return CloudRunPlace(_PROJECT, _REGION, endpoint=emulator.grpc_endpoint)


if __name__ == "__main__":
    main(*sys.argv[1:])
