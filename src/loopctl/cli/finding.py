"""The run that a command is given: one of this project's, or one that lies somewhere."""

from __future__ import annotations

from pathlib import Path

import typer

from loopctl import api
from loopctl.cli.settings import Settings
from loopctl.errors import Problem, UsageError


def runs_dir(settings: Settings) -> Path:
    """Where this project's runs are kept."""
    return api.project_runs_dir(Path.cwd(), settings.runs_dir)


def found(context: typer.Context, run: str) -> api.FoundRun:
    """The run; what had to be unpacked for it is gone when the command has ended."""
    place = runs_dir(context.obj)
    return context.with_resource(api.found_run(place, run))


def own(context: typer.Context, run: str, what: str) -> Path:
    """The folder of a run of this project; raises `UsageError` for any other: `what` needs more."""
    known = found(context, run)
    if known.elsewhere:
        problem = Problem(
            f"only a run of this project's runs folder can be {what}: a copy has no services, "
            "no lease and nobody who is to be told",
            where=known.ref,
            hint="do it where the run was made; for another project's own runs, --runs-dir",
        )
        raise UsageError("nothing was changed", [problem])
    return known.folder
