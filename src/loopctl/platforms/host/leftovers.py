"""Containers that outlived the host that had started them, and their removal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from loopctl.engine import containers
from loopctl.engine.connection import Engine
from loopctl.engine.errors import EngineError
from loopctl.engine.owners import is_orphan
from loopctl.errors import Stopped
from loopctl.inert import one_line
from loopctl.process import Stop, in_parallel

#: What every label of ours begins with.
LABEL: Final = "dev.loopctl."
_AT_ONCE: Final = 4
_LONGEST: Final = 600
# A new host waits for as long for a killed one's services to be gone.
_LIMIT_S: Final = 4.0
# Of the 30 s that a deployment's preparations may take.
_SWEEP_S: Final = 8.0
_log = logging.getLogger("loopctl.host")


def remove_containers(environ: Mapping[str, str], names: Iterable[str]) -> None:
    """Remove these; what cannot be removed now is left to the next host. Raises nothing."""
    _try_to_remove(Engine(environ), tuple(names), Stop(_LIMIT_S))


def orphans(engine: Engine, project: str, stop: Stop) -> tuple[containers.Found, ...]:
    """The containers of a project's environment whose host does not run any more.

    One whose host nobody can look for from here is none. Raises `EngineError`.
    """
    found = containers.labelled(engine, {f"{LABEL}project": project}, stop)
    return tuple(each for each in found if is_orphan(each.labels.get(f"{LABEL}host", "")))


def remove_orphans(engine: Engine, project: str, stop: Stop, service: str | None = None) -> int:
    """Remove those, of one service or of all; how many there were. Raises `EngineError`."""
    removed = 0
    for each in orphans(engine, project, stop):
        if service in (None, each.labels.get(f"{LABEL}service")):
            containers.remove(engine, each.id, stop)
            removed += 1
    return removed


def sweep_orphans(engine: Engine, project: str, stop: Stop) -> None:
    """Remove what can be removed of them in bounded time; the rest is the next host's to remove.

    Raises `EngineError` when the engine does not say which there are.
    """
    found = orphans(engine, project, stop)
    with stop.child(_SWEEP_S) as limited:
        _try_to_remove(engine, [each.name or each.id for each in found], limited)


def _try_to_remove(engine: Engine, names: Sequence[str], stop: Stop) -> None:
    left = set(names)

    def remove(name: str, inner: Stop) -> None:
        try:
            containers.remove(engine, name, inner)
        except EngineError as error:
            _log.warning("container %s is left behind: %s", name, error)
        left.discard(name)

    try:
        in_parallel(stop, _AT_ONCE, {name: _named(remove, name) for name in names})
    except Stopped:
        told = one_line(", ".join(sorted(left)), limit=_LONGEST)
        _log.warning("left to the next host, the engine is too slow to remove them: %s", told)


def _named(remove: Callable[[str, Stop], None], name: str) -> Callable[[Stop], None]:
    return lambda stop: remove(name, stop)
