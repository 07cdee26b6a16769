"""What a service may use, checked against what the engine's machine has."""

from __future__ import annotations

from typing import Final

from loopctl.engine.connection import About
from loopctl.errors import Problem
from loopctl.model.plan import ServiceSpec
from loopctl.model.quantity import size

#: The least that an engine grants a container.
LEAST_MEMORY: Final = 6 * 1024 * 1024


def processors(cpu: str | None) -> float | None:
    """`1`, `0.5` or `500m` as a number; None for no limit."""
    if cpu is None:
        return None
    return int(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)


def problems(spec: ServiceSpec, machine: About) -> list[Problem]:
    """What the machine does not have."""
    found: list[Problem] = []
    memory, cpus = spec.run.memory, processors(spec.run.cpu)
    if memory is not None and machine.memory and memory > machine.memory:
        what = f"run.memory is {size(memory)}, the engine has {size(machine.memory)}"
        found.append(Problem(what, where=spec.name, hint="ask for less, or use a larger machine"))
    if memory is not None and memory < LEAST_MEMORY:
        what = f"run.memory is {size(memory)}, an engine gives no container less than 6Mi"
        found.append(Problem(what, where=spec.name, hint="ask for more"))
    if cpus is not None and machine.cpus and not 0.01 <= cpus <= machine.cpus:
        what = f"run.cpu is {spec.run.cpu}, the engine has {machine.cpus} processors"
        found.append(Problem(what, where=spec.name, hint=f"ask for 0.01 to {machine.cpus}"))
    return found
