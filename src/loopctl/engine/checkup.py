"""Whether the engine has what an environment of containers needs, point by point, for `doctor`."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from loopctl.engine.build import has_buildkit
from loopctl.engine.connection import About, Engine
from loopctl.engine.errors import EngineError
from loopctl.engine.images import find_image
from loopctl.engine.networks import gateway, no_way_in
from loopctl.engine.registry import registry_answers
from loopctl.engine.whereabouts import socket_trouble
from loopctl.found import Found
from loopctl.inert import one_line
from loopctl.process import Stop

_LEAST_FREE_MIB: Final = 2048
_LOCAL_HINT: Final = "use an engine of this machine: unset DOCKER_HOST, or DOCKER_HOST=unix:///…"


def engine_checkup(
    environ: Mapping[str, str],
    registry: str | None,
    bases: Iterable[str],
    stop: Stop,
    *,
    only_builds: bool = False,
) -> Sequence[Found]:
    """Look at the engine that `environ` names, the registry `host[:port]/path` and the images.

    `only_builds`: services run elsewhere, so that nobody has to reach its containers. Changes
    nothing. Raises `Stopped` and nothing else.
    """
    engine = Engine(environ)
    found = list(_engine(engine, environ, bases, stop, only_builds))
    if registry is not None:
        found.append(_registry(registry, stop))
    return found


def _engine(
    engine: Engine, environ: Mapping[str, str], bases: Iterable[str], stop: Stop, only_builds: bool
) -> Iterator[Found]:
    stop.remaining(0)
    if (told := socket_trouble(engine, environ)) is not None:
        yield _not_there(engine, *told)
        return
    try:
        yield _there(engine, engine.about(stop))
        yield from _inside(engine, bases, stop, only_builds)
    except EngineError as error:
        yield _not_there(engine, error.what, error.hint or "see `docker info`")


def _there(engine: Engine, about: About) -> Found:
    said = f"{about.version} (API {about.api}) at {engine.address}, {about.cpus} CPUs, "
    return Found("Docker engine", ok=True, said=f"{said}{about.memory >> 20} MiB of memory")


def _not_there(engine: Engine, said: str, hint: str) -> Found:
    return Found("Docker engine", ok=False, said=said, hint=hint, where=engine.address)


def _inside(engine: Engine, bases: Iterable[str], stop: Stop, only_builds: bool) -> Iterator[Found]:
    yield _buildkit(engine, stop)
    if not only_builds:
        yield _machine(engine)
    if engine.is_local:
        if not only_builds:
            yield _bridge(engine, stop)
        yield _disk(engine, stop)
    for name in dict.fromkeys(bases):
        yield _base(engine, name, stop)


def _buildkit(engine: Engine, stop: Stop) -> Found:
    if has_buildkit(engine, stop):
        return Found("BuildKit", ok=True, said="builds images")
    # The old builder does build: what it cannot is refused by it, with the place.
    said = "not used, or not there: the old builder knows no cache mounts and no COPY --chmod"
    return Found("BuildKit", ok=True, said=said)


def _machine(engine: Engine) -> Found:
    if engine.is_local:
        return Found("engine's machine", ok=True, said="this one")
    said = f"{engine.address} is another: its containers' ports cannot be reached from here"
    return Found("engine's machine", ok=False, said=said, hint=_LOCAL_HINT, where=engine.address)


def _bridge(engine: Engine, stop: Stop) -> Found:
    if (told := no_way_in(engine, stop)) is not None:
        return Found("engine's bridge", ok=False, said=told[0], hint=told[1])
    said = f"containers reach this machine at {gateway(engine, stop)}"
    return Found("engine's bridge", ok=True, said=said)


def _disk(engine: Engine, stop: Stop) -> Found:
    with engine.api(stop) as api:
        folder = Path(str(api.info().get("DockerRootDir", "")))
    try:
        free = shutil.disk_usage(folder).free >> 20
    except OSError as error:
        return Found("engine's disk", ok=True, said=f"{folder}: {error.strerror}; not known")
    hint = "`docker system df` says what takes it; `docker builder prune` gives caches back"
    said = f"{free} MiB free in {folder}"
    return Found("engine's disk", ok=free >= _LEAST_FREE_MIB, said=said, hint=hint)


def _base(engine: Engine, name: str, stop: Stop) -> Found:
    title = f"base image {one_line(name, limit=120)}"
    held = find_image(engine, name, stop)
    if held is None:
        # Whether its registry has it is not known before it is asked for all of it.
        return Found(title, ok=True, said="not in the engine yet: the first build pulls it")
    made = f"{held.created:%Y-%m-%d %H:%M} UTC"
    told = "its registry is asked for a newer one" if held.digests else "exists here only"
    return Found(title, ok=True, said=f"in the engine, made {made}; {told}")


def _registry(prefix: str, stop: Stop) -> Found:
    prefix = prefix.rstrip("/")
    why = registry_answers(prefix, stop)
    if why is None:
        return Found("registry", ok=True, said=f"{prefix} answers")
    hint = "start it, or mend `registry` of this environment; `docker login` for a private one"
    said = f"{prefix} does not answer: {why}"
    return Found("registry", ok=False, said=said, hint=hint, where=prefix)
