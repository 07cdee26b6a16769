"""Operating an environment without a run: taking it down, going back, breaking a lease."""

from __future__ import annotations

import functools
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from loopctl.api.beginning import confirmation_problems
from loopctl.api.places import runs_dir_of
from loopctl.api.stepping import Step, stepwise
from loopctl.errors import Problem, UsageError
from loopctl.journal.commands import Commands
from loopctl.journal.earlier_runs import EarlierRuns
from loopctl.model.plan import Plan, PlatformKind
from loopctl.process import Stop

if TYPE_CHECKING:
    from loopctl.machine.lease import Lease
    from loopctl.ports.leases import Held, Leases
    from loopctl.ports.platform import Platform
    from loopctl.stages.rollback import Move

LIMIT_S = 120.0
"""Seconds that `down` and `rollback` may take."""

_DELETES = "is on Cloud Run, where `down` deletes the services that loopctl created"

UNLOCK_LIMIT_S = 30.0


def down(
    plan: Plan,
    *,
    runs_dir: Path | None = None,
    confirm: str | None = None,
    stop: Stop | None = None,
) -> Sequence[str]:
    """Stop every service of the environment; their names. Raises `LockedError` while a run uses it.

    Names only services that were there. Raises `UsageError` on cloud-run without confirmation,
    `StoppedEarlyError` once `stop` is told to stop by a signal and the service in hand is down, and
    `PlatformError` when not all are down within 120 s. These two say which are down.
    """
    from loopctl.bootstrap import world_of
    from loopctl.machine.lease import holding

    if confirm is not None or plan.environment.platform is PlatformKind.CLOUD_RUN:
        why = "is protected" if plan.environment.protected else _DELETES
        plan = replace(plan, environment=replace(plan.environment, protected=True))
        _confirmed(plan, confirm, why)
    place = runs_dir_of(plan, runs_dir)
    world = world_of(plan, place)
    platform, names = world.platform, [spec.name for spec in reversed(plan.deployed)]
    targets = [platform.target(name) for name in names]
    with (
        stepwise(Commands.of_plan(plan, place).down(), stop, LIMIT_S) as steps,
        holding(world.leases, targets, f"down-{os.getpid()}", steps.stop, world.pace) as lease,
    ):
        # Of a service that nobody knows any more something may be left all the same.
        up: list[str] = []
        down = functools.partial(_take_down, up, platform, lease)
        steps.take([Step(name, functools.partial(down, name)) for name in names])
    return up


def _take_down(up: list[str], platform: Platform, lease: Lease, service: str, stop: Stop) -> None:
    if platform.down(service, lease.held(), stop):
        up.append(service)


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
    Raises `StoppedEarlyError` once `stop` is told to stop by a signal and the service in hand has
    its traffic, and `PlatformError` when not all have it within 120 s. These two say which do.
    """
    from loopctl.bootstrap import verified_of, world_of
    from loopctl.machine.lease import holding
    from loopctl.stages.rollback import go_back, moves_back

    _confirmed(plan, confirm)
    place = runs_dir_of(plan, runs_dir)
    world = world_of(plan, place)
    platform, names = world.platform, [spec.name for spec in plan.deployed]
    targets = [platform.target(name) for name in names]
    commands = Commands.of_plan(plan, place)
    earlier = EarlierRuns(world.history, plan.loop, plan.environment.name)
    verified = verified_of(plan, place, world, earlier.past(stop))
    with (
        stepwise(commands.rollback(), stop, LIMIT_S) as steps,
        holding(world.leases, targets, _rollback_id(), steps.stop, world.pace) as lease,
    ):
        moves = moves_back(names, platform, verified, commands, steps.stop)
        due = [move for move in moves if move.want is not None]
        steps.take([Step(str(m), functools.partial(go_back, m, platform, lease.held)) for m in due])
    return moves


def _rollback_id() -> str:
    # A lease in a bucket is seen by many machines, on which processes have the same numbers.
    return f"rollback-{os.getpid()}-{secrets.token_hex(2)}"


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
    environment is named as confirmation; `StoppedEarlyError` once `stop` is told to stop by a
    signal, and `PlatformError` when not all are taken within 30 s. These two say which are.
    """
    from loopctl.bootstrap import world_of

    place = runs_dir_of(plan, runs_dir)
    world = world_of(plan, place)
    targets = [world.platform.target(spec.name) for spec in plan.deployed]
    again = Commands.of_plan(plan, place).unlock()
    with stepwise(again, stop, UNLOCK_LIMIT_S) as steps:
        peeked = [(target, world.leases.peek(target, steps.stop)) for target in targets]
        found = [(target, held) for target, held in peeked if held is not None]
        if found and confirm != plan.environment.name:
            raise UsageError("nothing was changed", [_robs(found[0][1], plan)])
        steps.take(
            [
                Step(t.service, functools.partial(_take_from, world.leases, held))
                for t, held in found
            ]
        )
    return [
        Unlocked(target.service, held.run_id, held.holder, f"{held.since:%Y-%m-%d %H:%M:%SZ}")
        for target, held in found
    ]


def _take_from(leases: Leases, held: Held, _stop: Stop) -> None:
    leases.release(held)


def _robs(held: Held, plan: Plan) -> Problem:
    return Problem(
        f"run {held.run_id} ({held.holder}) holds {plan.environment.name} since "
        f"{held.since:%Y-%m-%d %H:%M:%S} UTC and is alive",
        where=plan.environment.name,
        hint=f"stop that run; or take its lease: --confirm {plan.environment.name}",
    )


def _confirmed(plan: Plan, confirm: str | None, why: str = "is protected") -> None:
    problems = confirmation_problems(plan, confirm, why)
    if problems:
        raise UsageError("nothing was changed", problems)
