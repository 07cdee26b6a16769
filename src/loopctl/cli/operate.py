"""`rollback`, `down` and `unlock`: operating an environment without a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TypeVar

import typer

from loopctl import api
from loopctl.cli import output
from loopctl.cli.options import Confirm, Env, Loop
from loopctl.cli.settings import Settings
from loopctl.cli.signals import interruptibly
from loopctl.process import Stop

T = TypeVar("T")


def rollback(context: typer.Context, loop: Loop, env: Env = None, confirm: Confirm = None) -> int:
    """Send the traffic back to the last verified revisions."""
    settings: Settings = context.obj
    plan = api.load(loop, environment=env)
    moves = _between_services(
        lambda stop: api.rollback(plan, runs_dir=settings.runs_dir, confirm=confirm, stop=stop),
        settings,
    )
    if settings.json:
        services = [asdict(move) for move in moves]
        output.document({"schema": 1, "environment": plan.environment.name, "services": services})
    else:
        output.say("\n".join(str(move) for move in moves))
    return 0


def down(context: typer.Context, loop: Loop, env: Env = None, confirm: Confirm = None) -> int:
    """Stop the environment's services."""
    settings: Settings = context.obj
    plan = api.load(loop, environment=env)
    stopped = _between_services(
        lambda stop: api.down(plan, runs_dir=settings.runs_dir, confirm=confirm, stop=stop),
        settings,
    )
    if settings.json:
        output.document({"schema": 1, "environment": plan.environment.name, "stopped": stopped})
    else:
        output.say(f"stopped {', '.join(stopped)}" if stopped else "nothing was running")
    return 0


def unlock(context: typer.Context, loop: Loop, env: Env = None, confirm: Confirm = None) -> int:
    """Take the environment's lease from the run that holds it."""
    settings: Settings = context.obj
    plan = api.load(loop, environment=env)
    taken = _between_services(
        lambda stop: api.unlock(plan, runs_dir=settings.runs_dir, confirm=confirm, stop=stop),
        settings,
    )
    if settings.json:
        leases = [asdict(lease) for lease in taken]
        output.document({"schema": 1, "environment": plan.environment.name, "taken": leases})
        return 0
    for lease in taken:
        output.say(f"{lease.service}: taken from run {lease.run_id} ({lease.holder})")
    if not taken:
        output.say("nobody holds it")
    return 0


def _between_services(work: Callable[[Stop], T], settings: Settings) -> T:
    """Run `work`, which a first signal ends between two services, never within one."""

    def told(signal: str) -> None:
        if not settings.quiet:
            output.warn(
                f"loopctl: {signal}: what is being done to a service comes to its end first; "
                "a second signal ends loopctl at once"
            )

    def at_work(stop: Stop) -> T:
        result = work(stop)
        if stop.reason is not None and not settings.quiet:
            output.warn(f"loopctl: when {stop.reason} came nothing else was left to do")
        return result

    return interruptibly(at_work, told)
