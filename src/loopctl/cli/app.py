"""The typer application: its global options, and every group of commands."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, ParamSpec

import typer

from loopctl import __version__
from loopctl.cli import (
    announcing,
    author,
    compare,
    going_on,
    grade,
    look_back,
    loop,
    operate,
    output,
    signatures,
    triage,
)
from loopctl.cli.options import Ci
from loopctl.cli.settings import Settings
from loopctl.model.ci_job import CiJob, CiSystem, ci_job

P = ParamSpec("P")

app = typer.Typer(
    name="loopctl",
    help="Take a commit to proven green on a real environment, or to an evidence-backed diagnosis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"loopctl {__version__}")
        raise typer.Exit


@app.callback()
def global_options(
    context: typer.Context,
    json: Annotated[
        bool, typer.Option("--json", envvar="LOOPCTL_JSON", help="The result as one JSON document.")
    ] = False,
    events: Annotated[
        bool, typer.Option("--events", envvar="LOOPCTL_EVENTS", help="Events as JSON lines.")
    ] = False,
    no_color: Annotated[
        bool, typer.Option("--no-color", envvar="LOOPCTL_NO_COLOR", help="No colour, no animation.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", envvar="LOOPCTL_QUIET", help="The result alone.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", envvar="LOOPCTL_VERBOSE", help="Every step and case.")
    ] = False,
    runs_dir: Annotated[
        Path | None,
        typer.Option(
            "--runs-dir",
            envvar="LOOPCTL_RUNS_DIR",
            help="Where runs are kept; default: .loopctl in the project's root.",
        ),
    ] = None,
    ci: Annotated[
        Ci,
        typer.Option(
            "--ci",
            envvar="LOOPCTL_CI",
            help="Fold and mark the log of a CI job, and fill its summary; auto: where one is.",
        ),
    ] = Ci.AUTO,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="The version.")
    ] = False,
) -> None:
    """Options that every command takes, before or after its name."""
    del version
    job = _job(ci)
    output.begin(job)
    context.obj = Settings(
        json=json,
        events=events,
        color=not no_color,
        quiet=quiet,
        verbose=verbose,
        runs_dir=runs_dir,
        job=job,
    )


def _job(ci: Ci) -> CiJob | None:
    match ci:
        case Ci.OFF:
            return None
        case Ci.AUTO:
            return ci_job(os.environ)
        case Ci.GITHUB | Ci.GITLAB:
            return ci_job(os.environ, CiSystem(ci.value))


def _exits(command: Callable[P, int]) -> Callable[P, None]:
    """A command's number becomes the exit code of the process."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        raise typer.Exit(command(*args, **kwargs))

    return run


_COMMANDS: tuple[Callable[..., int], ...] = (
    loop.run,
    loop.plan,
    going_on.resume,
    going_on.watch,
    going_on.stop,
    operate.rollback,
    operate.down,
    operate.unlock,
    announcing.announce,
    look_back.runs,
    look_back.show,
    look_back.report,
    look_back.logs,
    compare.diff,
    triage.triage,
    grade.grade,
    author.init,
    author.validate,
    author.schema,
    author.doctor,
)

for _command in _COMMANDS:
    app.command(_command.__name__)(_exits(_command))

_signatures = typer.Typer(help="Keep the catalogue of known causes.", no_args_is_help=True)
_KEEPING: tuple[tuple[str, Callable[..., int]], ...] = (
    ("lint", signatures.lint),
    ("test", signatures.try_),
    ("list", signatures.list_),
    ("schema", signatures.schema),
)
for _name, _command in _KEEPING:
    _signatures.command(_name)(_exits(_command))
app.add_typer(_signatures, name="signatures")
