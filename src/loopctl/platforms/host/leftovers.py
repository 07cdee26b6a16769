"""Containers that outlived the host that had started them, and their removal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from loopctl.engine import containers
from loopctl.engine.connection import Engine
from loopctl.engine.errors import EngineError
from loopctl.errors import Stopped
from loopctl.process import ProcessId, Stop, in_parallel, is_alive

#: What every label of ours begins with.
LABEL: Final = "dev.loopctl."
_AT_ONCE: Final = 4
# A new host waits for as long for a killed one's services to be gone.
_LIMIT_S: Final = 4.0
_log = logging.getLogger("loopctl.host")


def host_label(host: ProcessId) -> str:
    """How a container names the host that it belongs to."""
    return f"{host.pid}-{host.started}"


def remove_containers(environ: Mapping[str, str], names: Iterable[str]) -> None:
    """Remove these; what cannot be removed now is left to the next host. Raises nothing."""
    engine = Engine(environ)

    def remove(name: str, stop: Stop) -> None:
        try:
            containers.remove(engine, name, stop)
        except EngineError as error:
            _log.warning("container %s is left behind: %s", name, error)

    try:
        in_parallel(Stop(_LIMIT_S), _AT_ONCE, {name: _named(remove, name) for name in names})
    except Stopped:
        _log.warning("containers are left behind: the engine is too slow")


def orphans(engine: Engine, project: str, stop: Stop) -> tuple[containers.Found, ...]:
    """The containers of a project's environment whose host does not run any more.

    Raises `EngineError`.
    """
    found = containers.labelled(engine, {f"{LABEL}project": project}, stop)
    return tuple(each for each in found if not _has_host(each))


def remove_orphans(engine: Engine, project: str, stop: Stop, service: str | None = None) -> None:
    """Remove those, of one service or of all. Raises `EngineError`."""
    for each in orphans(engine, project, stop):
        if service in (None, each.labels.get(f"{LABEL}service")):
            containers.remove(engine, each.id, stop)


def _named(remove: Callable[[str, Stop], None], name: str) -> Callable[[Stop], None]:
    return lambda stop: remove(name, stop)


def _has_host(found: containers.Found) -> bool:
    pid, _, started = found.labels.get(f"{LABEL}host", "").partition("-")
    if not (pid.isdigit() and started.isdigit()):
        return False
    return is_alive(ProcessId(int(pid), int(started)))
