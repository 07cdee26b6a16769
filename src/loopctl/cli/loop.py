"""`run`, `plan` and `down`: the commands that speak of an environment."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import typer

from loopctl import api
from loopctl.cli import output, views
from loopctl.cli.settings import Settings
from loopctl.cli.signals import interruptibly
from loopctl.errors import ExitCode
from loopctl.model.options import RunOptions
from loopctl.model.state import State
from loopctl.process import Stop

Loop = Annotated[str, typer.Argument(help="A loop's name (loops/NAME.yaml) or its path.")]
Env = Annotated[str | None, typer.Option("--env", envvar="LOOPCTL_ENV", help="The environment.")]


class Stage(StrEnum):
    """Where a run may enter."""

    PREFLIGHT = "preflight"
    BUILD = "build"
    VERIFY = "verify"


class Mode(StrEnum):
    """How far remedies may go."""

    OFF = "off"
    PROPOSE = "propose"
    AUTO = "auto"


def run(
    context: typer.Context,
    loop: Loop,
    env: Env = None,
    suite: Annotated[
        list[str] | None, typer.Option(envvar="LOOPCTL_SUITE", help="Only this suite; repeatable.")
    ] = None,
    service: Annotated[
        list[str] | None,
        typer.Option(envvar="LOOPCTL_SERVICE", help="Only this service; repeatable."),
    ] = None,
    priority: Annotated[
        list[str] | None,
        typer.Option(envvar="LOOPCTL_PRIORITY", help="Only suites of this priority; repeatable."),
    ] = None,
    start: Annotated[
        Stage,
        typer.Option("--from", envvar="LOOPCTL_FROM", help="Enter here; verify tests what serves."),
    ] = Stage.PREFLIGHT,
    max_cycles: Annotated[
        int | None,
        typer.Option(min=1, envvar="LOOPCTL_MAX_CYCLES", help="At most so many times round."),
    ] = None,
    deadline: Annotated[
        str | None, typer.Option(envvar="LOOPCTL_DEADLINE", help="Stop after this long: 90s, 1h.")
    ] = None,
    remediate: Annotated[
        Mode | None, typer.Option(envvar="LOOPCTL_REMEDIATE", help="How far remedies may go.")
    ] = None,
    confirm: Annotated[
        str | None, typer.Option(metavar="ENV", help="Name the protected environment you mean.")
    ] = None,
    allow_dirty: Annotated[
        bool, typer.Option("--allow-dirty", envvar="LOOPCTL_ALLOW_DIRTY", help="Where refused.")
    ] = False,
    create: Annotated[
        bool, typer.Option("--create", envvar="LOOPCTL_CREATE", help="New services on protected.")
    ] = False,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep/--no-keep", envvar="LOOPCTL_KEEP", help="Put nothing back; services stay up."
        ),
    ] = False,
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
    plan = api.load(loop, environment=env)

    def work(stop: Stop) -> api.RunResult:
        with views.watching(settings) as subscribers:
            return api.run(
                plan, options, runs_dir=settings.runs_dir, subscribers=subscribers, stop=stop
            )

    result = interruptibly(work)
    for problem in result.problems:
        output.warn(f"loopctl: {problem}")
    views.result(result.worklog, result.folder, settings)
    return result.exit_code


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


def down(context: typer.Context, loop: Loop, env: Env = None) -> int:
    """Stop the environment's services."""
    settings: Settings = context.obj
    loaded = api.load(loop, environment=env)
    stopped = api.down(loaded, runs_dir=settings.runs_dir)
    if settings.json:
        output.document({"schema": 1, "environment": loaded.environment.name, "stopped": stopped})
    else:
        output.say(f"stopped {', '.join(stopped)}" if stopped else "nothing was running")
    return 0


def _mode(mode: Mode | None) -> Literal["off", "propose", "auto"] | None:
    return None if mode is None else mode.value
