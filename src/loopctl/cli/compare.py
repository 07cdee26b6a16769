"""`diff`: two runs beside each other."""

from __future__ import annotations

from typing import Annotated

import typer

from loopctl import api
from loopctl.cli import output
from loopctl.cli.finding import found, runs_dir
from loopctl.cli.settings import Settings
from loopctl.cli.signals import interruptibly
from loopctl.errors import ExitCode

_RUN = "A run's id, a prefix of one, @latest, @green, or a path"


def diff(
    context: typer.Context,
    a: Annotated[str, typer.Argument(metavar="A", help=f"The former. {_RUN}.")],
    b: Annotated[str, typer.Argument(metavar="B", help=f"The latter. {_RUN}.")] = "@latest",
    exit_code: Annotated[
        bool,
        typer.Option(
            "--exit-code",
            envvar="LOOPCTL_EXIT_CODE",
            help="Exit 10 when they differ in what counts: not in times or names of runs.",
        ),
    ] = False,
) -> int:
    """What is not the same in two runs, the most telling first."""
    settings: Settings = context.obj
    place = runs_dir(settings)
    folders = found(context, a).folder, found(context, b).folder
    compared = interruptibly(lambda stop: api.compare(*folders, runs_dir=place, stop=stop))
    if settings.json:
        output.document(api.compared_document(compared))
    else:
        for line in api.compared_lines(compared, verbose=settings.verbose):
            output.say(line)
    return int(ExitCode.DIFFERENCES) if exit_code and compared.differs else 0
