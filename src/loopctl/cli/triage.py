"""`triage`: what is wrong with an environment, or what a log export says. Changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loopctl import api
from loopctl.cli import output
from loopctl.cli.options import Env
from loopctl.cli.settings import Settings
from loopctl.errors import Problem, UsageError

_HINT = "loopctl triage LOOP --env E, or loopctl triage --logs FILE"


def triage(
    context: typer.Context,
    loop: Annotated[
        str | None, typer.Argument(help="A loop's name (loops/NAME.yaml) or its path.")
    ] = None,
    env: Env = None,
    logs: Annotated[
        list[Path] | None,
        typer.Option(
            "--logs",
            envvar="LOOPCTL_LOGS",
            help="A log export, with no loop: `gcloud logging read --format=json`, JSON lines, "
            "docker or pytest output, any text; .gz too, - for standard input; repeatable.",
        ),
    ] = None,
    green: Annotated[
        list[Path] | None,
        typer.Option(
            "--green",
            envvar="LOOPCTL_GREEN",
            help="Logs of a good time to compare those of --logs with; repeatable.",
        ),
    ] = None,
    signatures: Annotated[
        list[Path] | None,
        typer.Option(
            "--signatures",
            envvar="LOOPCTL_SIGNATURES",
            help="Known causes of your own, for --logs; a loop file names its own.",
        ),
    ] = None,
) -> int:
    """What is wrong, why, and what to do next: read-only."""
    settings: Settings = context.obj
    _check(loop, env, logs, green, signatures)
    request = api.LogsRequest(tuple(logs or ()), tuple(green or ()), tuple(signatures or ()))
    triaged = api.triage_logs(request)
    if settings.json:
        output.document(api.triaged_document(triaged))
    else:
        for line in api.triaged_lines(triaged):
            output.say(line)
    return triaged.exit_code


def _check(
    loop: str | None,
    env: str | None,
    logs: list[Path] | None,
    green: list[Path] | None,
    signatures: list[Path] | None,
) -> None:
    """Raises UsageError for options that do not go together."""
    problems: list[Problem] = []
    if loop is not None and logs:
        problems.append(Problem("LOOP and --logs exclude each other", hint=_HINT))
    elif logs and env is not None:
        problems.append(Problem("--env goes with LOOP, not with --logs", hint=_HINT))
    elif not logs:
        for name, given in (("--green", green), ("--signatures", signatures)):
            if given:
                problems.append(Problem(f"{name} goes with --logs", hint=_HINT))
        if not problems:
            problems.append(Problem("nothing is named to look at", hint=_HINT))
    if problems:
        raise UsageError("triage cannot be asked like this", problems)
