"""`triage`: what is wrong with an environment, or what a log export says. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from loopctl import api
from loopctl.cli import output
from loopctl.cli.looking import Looking, look
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
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            envvar="LOOPCTL_SINCE",
            help="Read the environment's logs from then on: 30m, or an ISO time; default: since "
            "the last green run, at most an hour.",
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", envvar="LOOPCTL_WATCH", help="Look again and again, until Ctrl-C."),
    ] = False,
    every: Annotated[
        str | None,
        typer.Option("--every", envvar="LOOPCTL_EVERY", help="With --watch: how often; 10s."),
    ] = None,
) -> int:
    """What is wrong, why, and what to do next: read-only."""
    settings: Settings = context.obj
    # What only the environment sets counts for the form that it goes with.
    if logs and _from_environment(context, "env"):
        env = None
    if loop is not None and _from_environment(context, "logs"):
        logs, green, signatures = None, None, None
    looking = Looking(since, watch, every)
    _check(loop, env, looking, {"--logs": logs, "--green": green, "--signatures": signatures})
    if loop is not None:
        return look(loop, env, looking, settings)
    request = api.LogsRequest(tuple(logs or ()), tuple(green or ()), tuple(signatures or ()))
    triaged = api.triage_logs(request)
    if settings.json:
        output.document(api.triaged_document(triaged))
    else:
        for line in api.triaged_lines(triaged):
            output.say(line)
    return triaged.exit_code


def _from_environment(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "ENVIRONMENT"


def _check(
    loop: str | None, env: str | None, looking: Looking, files: Mapping[str, list[Path] | None]
) -> None:
    """Raises UsageError for options that do not go together."""
    problems: list[Problem] = []
    logs = files["--logs"]
    if loop is not None and logs:
        problems.append(Problem("LOOP and --logs exclude each other", hint=_HINT))
    elif logs:
        named = [("--env", env), *looking.named()]
        told = [f"{name} goes with LOOP, not with --logs" for name, given in named if given]
        problems += [Problem(what, hint=_HINT) for what in told]
    else:
        told = [f"{name} goes with --logs" for name, given in files.items() if given]
        if loop is None and not told:
            told = ["nothing is named to look at"]
        problems += [Problem(what, hint=_HINT) for what in told]
    if looking.every is not None and not looking.watch:
        problems.append(Problem("--every goes with --watch", hint=_HINT))
    if problems:
        raise UsageError("triage cannot be asked like this", problems)
