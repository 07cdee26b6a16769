"""`runs`, `show`, `report` and `logs`: looking back."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loopctl import api
from loopctl.cli import output, views
from loopctl.cli.finding import found, own, runs_dir
from loopctl.cli.options import Run
from loopctl.cli.settings import Settings
from loopctl.cli.signals import interruptibly
from loopctl.errors import NotFoundError, Problem, Stopped, UsageError
from loopctl.inert import one_line
from loopctl.process import Stop

if TYPE_CHECKING:
    from loopctl.journal.suite_history import SuiteHistory, SuiteRun


def runs(
    context: typer.Context,
    loop: Annotated[str | None, typer.Option(envvar="LOOPCTL_LOOP", help="Only this loop.")] = None,
    env: Annotated[
        str | None, typer.Option("--env", envvar="LOOPCTL_ENV", help="Only this environment.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, envvar="LOOPCTL_LIMIT", help="At most so many.")
    ] = 20,
    suite: Annotated[
        str | None,
        typer.Option(envvar="LOOPCTL_SUITE", help="This suite's own history, case by case."),
    ] = None,
) -> int:
    """Earlier runs, the newest first, and what they say together."""
    settings: Settings = context.obj
    place = runs_dir(settings)
    if suite is not None:
        history = api.suite_history(place, suite, loop=loop, environment=env, limit=limit)
        return _suite(history, settings)
    chosen = api.runs(place, loop=loop, environment=env, limit=limit)
    if settings.json:
        output.document(api.runs_document(chosen))
        return 0
    if not chosen:
        output.say("no runs yet")
    encoding = sys.stdout.encoding
    for line in api.runs_lines(chosen, with_trends=not settings.quiet, encoding=encoding):
        output.say(line)
    return 0


def show(context: typer.Context, run: Run = "@latest") -> int:
    """The first screen of a run."""
    settings: Settings = context.obj
    known = found(context, run)
    worklog = api.worklog_of(known.folder)
    views.result(worklog, known.folder, settings, copy=known if known.elsewhere else None)
    return 0


def report(
    context: typer.Context,
    run: Run = "@latest",
    path: Annotated[
        bool, typer.Option("--path", envvar="LOOPCTL_PATH", help="Only say where it is.")
    ] = False,
    open_: Annotated[
        bool,
        typer.Option("--open", envvar="LOOPCTL_OPEN", help="Its page, opened in the browser."),
    ] = False,
) -> int:
    """The worklog of a run, written again from its journal."""
    settings: Settings = context.obj
    known = found(context, run)
    folder = known.folder
    if known.packed:
        return _report_of_packed(known, settings, named="--open" if open_ else "--path" * path)
    written = api.report(folder)
    if open_ and not api.open_page(folder) and not settings.quiet:
        output.warn("loopctl: no browser to open it with here; the page is the file below")
    if settings.json:
        output.document(api.result_document(api.worklog_of(folder)))
    elif open_:
        output.say(str(folder / "report.html"))
    else:
        output.say(str(written) if path else written.read_text(encoding="utf-8"))
    return 0


def _report_of_packed(run: api.FoundRun, settings: Settings, *, named: str) -> int:
    if named:
        hint = f"unpack {run.ref}, and name the run's folder"
        problem = Problem("an artefact has no file to show", where=named, hint=hint)
        raise UsageError("nothing was written", [problem])
    worklog = api.worklog_of(run.folder)
    if settings.json:
        output.document(api.result_document(worklog))
    else:
        output.say(api.worklog_text(worklog))
    return 0


def logs(
    context: typer.Context,
    run: Run = "@latest",
    service: Annotated[str | None, typer.Argument(help="Only this service.")] = None,
    cycle: Annotated[
        int | None, typer.Option(min=1, envvar="LOOPCTL_CYCLE", help="Default: the last.")
    ] = None,
    requests: Annotated[
        bool, typer.Option("--requests", envvar="LOOPCTL_REQUESTS", help="What it was asked.")
    ] = False,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", envvar="LOOPCTL_FOLLOW", help="Then what it says now, until Ctrl-C."
        ),
    ] = False,
) -> int:
    """What the services said in a run, line by line, in the order of time."""
    settings: Settings = context.obj
    folder = own(context, run, "followed") if follow else found(context, run).folder
    if follow and requests:
        hint = "leave out one of --follow and --requests"
        problem = Problem("only what a service says can be followed", where="--follow", hint=hint)
        raise UsageError("nothing was followed", [problem])
    kept = api.kept_logs(folder, service=service, cycle=cycle, requests=requests)
    if not kept and not follow:
        whose = f" of {service}" if service else ""
        raise NotFoundError(f"{folder.name} kept no logs{whose}", where=str(folder / "logs"))
    for text in api.log_lines(kept):
        if settings.json:
            output.json_line(text.rstrip("\n"))
        else:
            output.say(api.log_line(text))
    return _followed(folder, service, settings) if follow else 0


def _followed(folder: Path, service: str | None, settings: Settings) -> int:
    """Print each line as soon as it is there; the exit code of the signal that ends it."""
    output.flush()

    def work(stop: Stop) -> int:
        live = api.live_log(folder, service, stop=stop)
        if not settings.quiet:
            output.warn(f"loopctl: following {live.revision}; Ctrl-C ends it")
        for document in live.documents():
            if settings.json:
                output.line(document)
            else:
                output.say(api.log_line(json.dumps(document)))
                output.flush()
            if not output.is_read():
                break
        return 0 if stop.reason is None else int(Stopped(stop.reason).exit_code)

    try:
        return interruptibly(work)
    except Stopped as stopped:
        return int(stopped.exit_code)


def _suite(history: SuiteHistory, settings: Settings) -> int:
    if settings.json:
        output.document(history.document())
        return 0
    for run in history.runs:
        output.say(_suite_line(run))
    output.say("")
    for case in history.unstable:
        output.say(f"{one_line(case.case, 200)}   {case}")
    if not history.unstable:
        told = bool(history.cases)
        output.say("every case passed in every run" if told else "no run has kept its cases")
    return 0


def _suite_line(run: SuiteRun) -> str:
    seconds = "" if run.duration_s is None else f"{run.duration_s:8.1f} s"
    counts = ", ".join(f"{number} {status}" for status, number in run.counts.items())
    verdict, outcome = run.verdict or "no verdict", run.outcome or ""
    partial = "  PARTIAL" if run.partial else ""
    columns = f"{run.run_id:44} {verdict:12} {run.environment:10} {outcome:9} {seconds:>10}"
    return f"{columns}  {counts}{partial}".rstrip()
