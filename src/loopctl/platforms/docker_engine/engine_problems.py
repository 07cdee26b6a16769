"""What keeps an engine that answers from running services that this machine can watch."""

from __future__ import annotations

import platform

from loopctl.engine.connection import About, Engine
from loopctl.errors import Problem


def engine_problems(engine: Engine, machine: About) -> list[Problem]:
    """Empty when there is none."""
    hint = "use an engine of this machine: DOCKER_HOST=unix:///var/run/docker.sock, say"
    if not engine.is_local:
        what = "the engine is on another machine, its containers' ports cannot be reached from here"
        return [Problem(what, where=engine.address, hint=hint)]
    if engine.environ.get("DOCKER_TLS_VERIFY"):
        what = "the engine is spoken to by TLS, in which what its services print cannot be followed"
        return [Problem(what, where=engine.address, hint=hint)]
    if machine.kernel and machine.kernel != platform.release():
        what = (
            f"the engine runs in a virtual machine (its kernel is {machine.kernel}, this one is "
            f"{platform.release()}): its containers' processes cannot be seen from here"
        )
        return [Problem(what, where=engine.address, hint=hint)]
    return []
