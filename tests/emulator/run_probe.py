"""Startup probes: whether an instance has come up."""

from __future__ import annotations

import http.client
import socket
import time
from dataclasses import dataclass
from typing import Final

from emulator import run_texts as texts
from emulator.run_messages import ContainerPb
from emulator.run_runtime import Instance
from emulator.run_template import container_name, ingress, is_default_probe

_STEP_S: Final = 0.02
# A connection to the address of a container that has just gone is neither taken nor refused.
_CONNECT_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Probe:
    """A startup probe with its times in seconds of this machine, the port as the template has it.

    `path` is None for TCP.
    """

    container: str
    port: int
    delay_s: float
    timeout_s: float
    period_s: float
    threshold: int
    default: bool
    path: str | None = None

    def passed(self, attempts: int) -> str:
        """The log's line for a success."""
        if self.default:
            return texts.tcp_probe_passed(self.container, self.port)
        kind = "TCP" if self.path is None else "HTTP"
        return texts.set_probe_passed(kind, attempts, self.container, self.port, self.path)

    def failed(self, attempts: int, *, died: bool) -> str:
        """The log's line for a failure."""
        if self.default:
            status = "CANCELLED" if died else "DEADLINE_EXCEEDED"
            return texts.tcp_probe_failed(self.container, self.port, status)
        kind = "TCP" if self.path is None else "HTTP"
        return texts.set_probe_failed(kind, attempts, self.container, self.port, self.path)


@dataclass(frozen=True, slots=True)
class Probed:
    """How it went; `attempts` counts from 1."""

    attempts: int
    passed: bool = False


def probe_of(template: object, scale: float) -> Probe:
    """The probe of the container that requests go to; every time is multiplied by `scale`."""
    container: ContainerPb = ingress(template)
    told = container.startup_probe
    kind = told.WhichOneof("probe_type")
    return Probe(
        container_name(container),
        container.ports[0].container_port,
        told.initial_delay_seconds * scale,
        max(told.timeout_seconds * scale, _STEP_S),
        max(told.period_seconds * scale, _STEP_S),
        told.failure_threshold,
        is_default_probe(container),
        told.http_get.path if kind == "http_get" else None,
    )


def run(probe: Probe, instance: Instance) -> Probed:
    """Ask until it answers, has failed often enough, or is dead."""
    instance.ended.wait(probe.delay_s)
    for attempt in range(1, probe.threshold + 1):
        began = time.monotonic()
        if _within(probe, instance, began + probe.timeout_s):
            return Probed(attempt, passed=True)
        if instance.ended.is_set():
            return Probed(attempt)
        if attempt < probe.threshold:
            instance.ended.wait(max(0.0, began + probe.period_s - time.monotonic()))
    return Probed(probe.threshold)


def _within(probe: Probe, instance: Instance, deadline: float) -> bool:
    """One attempt. A refused connection is tried again while the attempt's time lasts."""
    while not instance.ended.is_set():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        if probe.path is None:
            if _connects(instance.address, left):
                return not instance.ended.is_set()
        elif (status := _status(instance.address, probe.path, left)) is not None:
            return 200 <= status < 400
        instance.ended.wait(min(_STEP_S, left))
    return False


def _connects(address: tuple[str, int], timeout_s: float) -> bool:
    try:
        socket.create_connection(address, timeout=min(timeout_s, _CONNECT_S)).close()
    except OSError:
        return False
    return True


def _status(address: tuple[str, int], path: str, timeout_s: float) -> int | None:
    connection = http.client.HTTPConnection(*address, timeout=min(timeout_s, _CONNECT_S))
    try:
        connection.connect()
        connection.sock.settimeout(timeout_s)
        connection.request("GET", path, headers={"User-Agent": "GoogleHC/1.0"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
