"""`announce`: telling others of a run again."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from loopctl import api
from loopctl.cli import output
from loopctl.cli.finding import own, runs_dir
from loopctl.cli.options import Named
from loopctl.cli.settings import Settings
from loopctl.cli.signals import interruptibly


class Only(StrEnum):
    """Whom of those that the loop file names."""

    NOTIFY = "notify"
    GITHUB = "github"


def announce(
    context: typer.Context,
    run: Named = "@latest",
    only: Annotated[
        Only | None,
        typer.Option(envvar="LOOPCTL_ONLY", help="Only those of this key of the loop file."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", envvar="LOOPCTL_DRY_RUN", help="Tell nobody: show what is sent."),
    ] = False,
) -> int:
    """Tell of an ended run whomever its loop file names, whatever they were told before."""
    settings: Settings = context.obj
    place, folder = runs_dir(settings), own(context, run, "announced")
    announced = interruptibly(
        lambda stop: api.announce(
            folder,
            only=only.value if only else None,
            dry_run=dry_run,
            runs_dir=place,
            stop=stop,
        )
    )
    if settings.json:
        output.document(announced.document())
        return announced.exit_code
    for line in announced.lines():
        output.say(line)
    for trouble in announced.troubles:
        output.warn(f"loopctl: {trouble}")
    return announced.exit_code
