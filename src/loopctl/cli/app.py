"""The typer application: its global options, and every group of commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loopctl import __version__
from loopctl.cli import author, look_back, loop
from loopctl.cli.settings import Settings, no_color_asked

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
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="The version.")
    ] = False,
) -> None:
    """Options that every command takes, before or after its name."""
    del version
    context.obj = Settings(
        json=json,
        events=events,
        color=not (no_color or no_color_asked()),
        quiet=quiet,
        verbose=verbose,
        runs_dir=runs_dir,
    )


app.command("run")(loop.run)
app.command("plan")(loop.plan)
app.command("down")(loop.down)
app.command("runs")(look_back.runs)
app.command("show")(look_back.show)
app.command("report")(look_back.report)
app.command("logs")(look_back.logs)
app.command("validate")(author.validate)
app.command("schema")(author.schema)
app.command("doctor")(author.doctor)
