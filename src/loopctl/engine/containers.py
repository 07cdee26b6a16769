"""Containers: made, started, looked at, signalled, removed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from docker.types import LogConfig

from loopctl.engine.connection import Engine
from loopctl.engine.errors import EngineRefusedError, NotInEngineError
from loopctl.process import Stop

#: What a container calls the machine that its engine runs on.
MACHINE: Final = "host.docker.internal"
#: For a person's `docker logs`; bounded, or a flood fills the disk. Compressing what was rotated
#: would cost a processor of its own.
_LOG: Final = LogConfig(
    type="local", config={"max-size": "16m", "max-file": "2", "compress": "false"}
)
_START_S: Final = 60.0
_CALL_S: Final = 10.0
_CONFLICT: Final = 409


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What a container is made of. An empty `command` is the image's own, else it is all of it.

    `port` is published on a free port of 127.0.0.1; `memory` is in bytes, swap included, `cpus` in
    processors, None is no limit. `environment` may hold secrets.
    """

    name: str
    image: str
    port: int
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)
    memory: int | None = None
    cpus: float | None = None


@dataclass(frozen=True, slots=True)
class ContainerState:
    """A container as the engine sees it. `image` is the image's id.

    `pid` is its first process on the engine's machine, 0 when it does not run; `published` the
    port of 127.0.0.1 that leads to the one asked for, None when there is none; `code` is 128 and
    the signal's number for one that was killed; `error` is why it could not be started.
    """

    id: str
    image: str
    labels: Mapping[str, str]
    running: bool
    pid: int
    code: int
    out_of_memory: bool
    error: str
    published: int | None
    stop_signal: str


@dataclass(frozen=True, slots=True)
class Found:
    """A container that a search has found."""

    id: str
    name: str
    labels: Mapping[str, str]


def create(engine: Engine, spec: ContainerSpec, stop: Stop) -> str:
    """Make a container, not yet started; its id. Raises `EngineError`.

    It is never started again by the engine itself: who serves is the host's to say.
    """
    with engine.api(stop, _START_S) as api:
        cpus = None if spec.cpus is None else int(spec.cpus * 1_000_000_000)
        host = api.create_host_config(
            port_bindings={spec.port: ("127.0.0.1", None)},
            extra_hosts={MACHINE: "host-gateway"},
            log_config=_LOG,
            mem_limit=spec.memory,
            memswap_limit=spec.memory,
            nano_cpus=cpus,
        )
        made = api.create_container(
            spec.image,
            name=spec.name,
            entrypoint=list(spec.command) or None,
            environment=[f"{name}={value}" for name, value in spec.environment.items()],
            labels=dict(spec.labels),
            ports=[spec.port],
            host_config=host,
        )
        return str(made["Id"])


def attach(engine: Engine, container: str, stop: Stop) -> int:
    """A descriptor to read all from that the container will print, as frames (see `frames`).

    Attached before the start it misses nothing. The caller closes it. Raises `EngineError`.
    """
    with engine.api(stop, _CALL_S) as api:
        wanted = {"stream": 1, "stdout": 1, "stderr": 1}
        connection = api.attach_socket(container, params=wanted)
        with contextlib.closing(connection._response):
            return os.dup(connection.fileno())


def start(engine: Engine, container: str, stop: Stop) -> None:
    """Start it. Raises `EngineError`: a refusal may be the command's fault, see `inspect`."""
    with engine.api(stop, _START_S) as api:
        api.start(container)


def inspect(engine: Engine, container: str, stop: Stop) -> ContainerState:
    """How it is now. Raises `NotInEngineError`, `EngineError`."""
    with engine.api(stop, _CALL_S) as api:
        told = cast("Mapping[str, object]", api.inspect_container(container))
    state, config = _part(told, "State"), _part(told, "Config")
    return ContainerState(
        id=str(told.get("Id", "")),
        image=str(told.get("Image", "")),
        labels={name: str(value) for name, value in _part(config, "Labels").items()},
        running=state.get("Running") is True,
        pid=_whole(state.get("Pid")),
        code=_whole(state.get("ExitCode")),
        out_of_memory=state.get("OOMKilled") is True,
        error=str(state.get("Error") or ""),
        published=_published(_part(_part(told, "NetworkSettings"), "Ports")),
        stop_signal=str(config.get("StopSignal") or "SIGTERM"),
    )


def signal(engine: Engine, container: str, name: str, stop: Stop) -> None:
    """Send a signal to its first process; nothing when it has ended. Raises `EngineError`."""
    with _unless_gone(), engine.api(stop, _CALL_S) as api:
        api.kill(container, name)


def remove(engine: Engine, container: str, stop: Stop) -> None:
    """Kill and remove it with its volumes; nothing when it is gone. Raises `EngineError`."""
    with _unless_gone(), engine.api(stop, _CALL_S) as api:
        api.remove_container(container, v=True, force=True)


@contextlib.contextmanager
def _unless_gone() -> Iterator[None]:
    """Ends well where the container has ended, or somebody else is removing it just now."""
    try:
        yield
    except NotInEngineError:
        return
    except EngineRefusedError as error:
        if error.status != _CONFLICT:
            raise


def labelled(engine: Engine, labels: Mapping[str, str], stop: Stop) -> tuple[Found, ...]:
    """All containers, running or not, that carry all of these labels. Raises `EngineError`."""
    with engine.api(stop, _CALL_S) as api:
        wanted = [f"{name}={value}" for name, value in labels.items()]
        listed = cast(
            "list[Mapping[str, object]]", api.containers(all=True, filters={"label": wanted})
        )
    return tuple(_found(each) for each in listed)


def image_id(engine: Engine, reference: str, stop: Stop) -> str:
    """The id of the image that `reference` names. Raises `NotInEngineError`, `EngineError`."""
    with engine.api(stop, _CALL_S) as api:
        return str(api.inspect_image(reference)["Id"])


def _found(listed: Mapping[str, object]) -> Found:
    names = listed.get("Names")
    name = str(names[0]).lstrip("/") if isinstance(names, list) and names else ""
    labels = {name: str(value) for name, value in _part(listed, "Labels").items()}
    return Found(str(listed.get("Id", "")), name, labels)


def _published(ports: Mapping[str, object]) -> int | None:
    for bindings in ports.values():
        for binding in bindings if isinstance(bindings, list) else ():
            if isinstance(binding, dict) and str(binding.get("HostPort", "")).isdigit():
                return int(binding["HostPort"])
    return None


def _part(document: Mapping[str, object], name: str) -> Mapping[str, object]:
    part = document.get(name)
    return part if isinstance(part, dict) else {}


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
