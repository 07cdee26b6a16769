"""`run` and `plan`: a loop, and what it would do."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from loopctl import api
from loopctl.cli import output, views
from loopctl.cli.options import (
    AllowDirty,
    Confirm,
    Create,
    Deadline,
    Detach,
    Env,
    Keep,
    Loop,
    MaxCycles,
    Mode,
    Priorities,
    Remediate,
    Services,
    Stage,
    Start,
    Suites,
)
from loopctl.cli.settings import Settings
from loopctl.cli.signals import interruptibly
from loopctl.errors import ExitCode, Problem, UsageError
from loopctl.model.options import RunOptions
from loopctl.model.state import State
from loopctl.process import Stop


def run(
    context: typer.Context,
    loop: Loop,
    env: Env = None,
    suite: Suites = None,
    service: Services = None,
    priority: Priorities = None,
    start: Start = Stage.PREFLIGHT,
    max_cycles: MaxCycles = None,
    deadline: Deadline = None,
    remediate: Remediate = None,
    confirm: Confirm = None,
    allow_dirty: AllowDirty = False,
    create: Create = False,
    keep: Keep = False,
    detach: Detach = False,
) -> int:
    """Rebuild, deploy, test and prove, until green or a reason to stop."""
    settings: Settings = context.obj
    options = RunOptions(
        suites=tuple(suite or ()),
        services=tuple(service or ()),
        priorities=tuple(p.upper() for p in priority or ()),
        start=State(start.value),
        max_cycles=max_cycles,
        deadline_s=None if deadline is None else api.duration(deadline),
        remediate=_mode(remediate),
        confirm=confirm,
        allow_dirty=allow_dirty,
        create=create,
        keep=keep,
    )
    if detach:
        return _detached(loop, env, options, settings)
    plan = api.load(loop, environment=env)

    def work(stop: Stop) -> api.RunResult:
        with views.watching(settings, hint=views.STOPPING) as subscribers:
            return api.run(
                plan, options, runs_dir=settings.runs_dir, subscribers=subscribers, stop=stop
            )

    return views.ended(interruptibly(work), settings)


def _detached(loop: str, env: str | None, options: RunOptions, settings: Settings) -> int:
    if settings.events:
        hint = "leave it out: loopctl watch RUN --events tells them all"
        problem = Problem("a run in another process tells no events here", "--events", hint=hint)
        raise UsageError("nothing was changed", [problem])
    begun = interruptibly(
        lambda stop: api.detach(
            loop,
            env,
            options,
            runs_dir=settings.runs_dir,
            verbose=settings.verbose,
            stop=stop,
        )
    )
    if begun.ended is not None and begun.ended.ended is not None:
        views.result(begun.ended, begun.folder, settings)
        return begun.ended.ended.exit_code
    if settings.json:
        output.document(
            {
                "schema": 1,
                "run_id": begun.run_id,
                "pid": begun.pid,
                "folder": str(begun.folder),
                "watch": begun.watch,
                "stop": begun.stop,
            }
        )
    else:
        output.say(f"RUN: {begun.run_id} goes on in process {begun.pid}")
        output.say(f"NEXT: {begun.watch}\nNEXT: {begun.stop}")
    return 0


def plan(
    context: typer.Context,
    loop: Loop,
    env: Env = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit 10 when a run would change something.")
    ] = False,
) -> int:
    """What a run would do, what it would ask, and what is missing; changes nothing."""
    settings: Settings = context.obj
    loaded = api.load(loop, environment=env)
    api.refuse_later(loaded)
    outlook = api.outlook(loaded, runs_dir=settings.runs_dir)
    if settings.json:
        output.document(outlook.document())
    else:
        output.say("\n".join(outlook.lines()))
    if outlook.missing:
        return int(ExitCode.PREFLIGHT)
    return int(ExitCode.DIFFERENCES) if exit_code and outlook.differs else 0


def _mode(mode: Mode | None) -> Literal["off", "propose", "auto"] | None:
    return None if mode is None else mode.value
