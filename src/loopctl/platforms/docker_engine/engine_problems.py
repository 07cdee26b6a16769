"""What keeps an engine from running services that this machine can watch."""

from __future__ import annotations

import platform
from typing import Final

from loopctl.engine.connection import About, Engine
from loopctl.engine.errors import EngineError
from loopctl.engine.networks import no_way_in
from loopctl.engine.whereabouts import unusable
from loopctl.errors import Problem
from loopctl.process import Stop

_HINT: Final = "use an engine of this machine: DOCKER_HOST=unix:///var/run/docker.sock, say"


def address_problems(engine: Engine) -> list[Problem]:
    """What can be told by its address alone; empty when there is nothing."""
    if engine.is_secured:
        what = "the engine is spoken to by TLS, in which what its services print cannot be followed"
        return [Problem(what, where=engine.address, hint=_HINT)]
    if not engine.is_local and unusable(engine.environ) is None:
        what = "the engine is on another machine, its containers' ports cannot be reached from here"
        return [Problem(what, where=engine.address, hint=_HINT)]
    return []


def engine_problems(engine: Engine, machine: About, stop: Stop) -> list[Problem]:
    """The same of one that answers. Raises `Stopped`."""
    if machine.kernel and machine.kernel != platform.release():
        what = (
            f"the engine runs in a virtual machine (its kernel is {machine.kernel}, this one is "
            f"{platform.release()}): its containers' processes cannot be seen from here"
        )
        return [Problem(what, where=engine.address, hint=_HINT)]
    try:
        told = no_way_in(engine, stop)
    except EngineError as error:
        return [Problem(error.what, where=error.where, hint=error.hint)]
    return [] if told is None else [Problem(told[0], where=engine.address, hint=told[1])]
