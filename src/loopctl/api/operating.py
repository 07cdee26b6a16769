"""Operating an environment without a run: taking it down, going back, breaking a lease."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from loopctl.api.beginning import confirmation_problems
from loopctl.api.places import runs_dir_of
from loopctl.errors import Problem, UsageError
from loopctl.journal.history import verified_revisions
from loopctl.model.plan import Plan, PlatformKind
from loopctl.process import Stop

if TYPE_CHECKING:
    from loopctl.ports.leases import Held
    from loopctl.stages.rollback import Move


def down(
    plan: Plan,
    *,
    runs_dir: Path | None = None,
    confirm: str | None = None,
    stop: Stop | None = None,
) -> Sequence[str]:
    """Stop every service of the environment; their names. Raises `LockedError` while a run uses it.

    Names only services that were there. Raises `UsageError` on cloud-run without confirmation.
    """
    from loopctl.bootstrap import world_of
    from loopctl.machine.lease import holding
    from loopctl.ports.platform import Absent

    if confirm is not None or plan.environment.platform is PlatformKind.CLOUD_RUN:
        _confirmed(replace(plan, environment=replace(plan.environment, protected=True)), confirm)
    world = world_of(plan, runs_dir_of(plan, runs_dir))
    stop = stop or Stop(120.0)
    targets = [world.platform.target(spec.name) for spec in plan.deployed]
    stopped = []
    with holding(world.leases, targets, f"down-{os.getpid()}", stop) as lease:
        for spec in reversed(plan.deployed):
            if not isinstance(world.platform.observe(spec.name, stop), Absent):
                world.platform.down(spec.name, lease.held(), stop)
                stopped.append(spec.name)
    return stopped


def rollback(
    plan: Plan,
    *,
    runs_dir: Path | None = None,
    confirm: str | None = None,
    stop: Stop | None = None,
) -> Sequence[Move]:
    """Send every service's traffic to its last verified revision; what was done, by service.

    All are looked at before any is written. Raises `PlatformError` where a service has none to go
    back to, `LockedError` while a run uses the environment, `UsageError` without confirmation.
    """
    from loopctl.bootstrap import world_of
    from loopctl.machine.lease import holding
    from loopctl.stages.rollback import go_back, moves_back

    _confirmed(plan, confirm)
    place = runs_dir_of(plan, runs_dir)
    world = world_of(plan, place)
    stop = stop or Stop(120.0)
    targets = [world.platform.target(spec.name) for spec in plan.deployed]
    verified = verified_revisions(place, plan.loop, plan.environment.name)
    services = [spec.name for spec in plan.deployed]
    with holding(world.leases, targets, f"rollback-{os.getpid()}", stop) as lease:
        moves = moves_back(services, world.platform, verified, stop)
        for move in moves:
            go_back(move, world.platform, lease.held, stop)
    return moves


@dataclass(frozen=True, slots=True)
class Unlocked:
    """A lease that was taken from its holder."""

    service: str
    run_id: str
    holder: str
    since: str


def unlock(
    plan: Plan,
    *,
    runs_dir: Path | None = None,
    confirm: str | None = None,
    stop: Stop | None = None,
) -> Sequence[Unlocked]:
    """Take the environment's leases from whoever holds them; empty where nobody alive does.

    The run that is robbed changes nothing more. Raises `UsageError`, naming the holder, unless the
    environment is named as confirmation.
    """
    from loopctl.bootstrap import world_of

    world = world_of(plan, runs_dir_of(plan, runs_dir))
    stop = stop or Stop(30.0)
    targets = [world.platform.target(spec.name) for spec in plan.deployed]
    found = [(t, held) for t in targets if (held := world.leases.peek(t, stop)) is not None]
    if found and confirm != plan.environment.name:
        raise UsageError("nothing was changed", [_robs(found[0][1], plan)])
    for _, held in found:
        world.leases.release(held)
    return [
        Unlocked(target.service, held.run_id, held.holder, f"{held.since:%Y-%m-%d %H:%M:%SZ}")
        for target, held in found
    ]


def _robs(held: Held, plan: Plan) -> Problem:
    return Problem(
        f"run {held.run_id} ({held.holder}) holds {plan.environment.name} since "
        f"{held.since:%Y-%m-%d %H:%M:%S} UTC and is alive",
        where=plan.environment.name,
        hint=f"stop that run; or take its lease: --confirm {plan.environment.name}",
    )


def _confirmed(plan: Plan, confirm: str | None) -> None:
    problems = confirmation_problems(plan, confirm)
    if problems:
        raise UsageError("nothing was changed", problems)
