"""`resume` and `watch`: a run that was begun elsewhere, or earlier."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import typer

from loopctl import api
from loopctl.cli import output, views
from loopctl.cli.finding import found, own
from loopctl.cli.options import Confirm, Named, Run
from loopctl.cli.settings import Settings
from loopctl.cli.signals import interruptibly
from loopctl.errors import ExitCode, LoopctlError, Stopped
from loopctl.process import Stop

_WAITING = "Ctrl-C ends the waiting; the run was told to stop, and does"
_LEAVING = "Ctrl-C ends the watching, not the run"


def resume(context: typer.Context, run: Run = "@latest", confirm: Confirm = None) -> int:
    """Go on with a run that was interrupted or killed."""
    settings: Settings = context.obj
    folder = own(context, run, "gone on with")

    def work(stop: Stop) -> api.RunResult:
        with views.watching(settings, _past(folder), views.STOPPING) as subscribers:
            return api.resume(folder, confirm=confirm, subscribers=subscribers, stop=stop)

    return views.ended(interruptibly(work), settings)


def watch(context: typer.Context, run: Run = "@latest") -> int:
    """Attach to a run that goes on in another process; leaving it harms nothing."""
    settings: Settings = context.obj
    known = found(context, run)
    folder = known.folder

    def work(stop: Stop) -> api.Worklog:
        with views.watching(settings, hint=_LEAVING, elsewhere=known.elsewhere) as subscribers:
            return api.watch(folder, subscribers=subscribers, stop=stop)

    try:
        worklog = interruptibly(work)
    except Stopped as stopped:
        output.warn(f"loopctl: no longer watching; back with loopctl watch {known.ref}")
        return int(stopped.exit_code)
    return _end_of(worklog, known, settings)


def _end_of(
    worklog: api.Worklog, run: api.FoundRun, settings: Settings, code: int | None = None
) -> int:
    """Show how a run has ended; `code`, else the run's own."""
    if worklog.ended is None:
        on = f"go on with loopctl resume {run.folder.name}"
        gone = "this copy of it has no end" if run.elsewhere else f"its process is gone; {on}"
        output.warn(f"loopctl: {gone}")
        return int(ExitCode.UNPROVEN)
    views.result(worklog, run.folder, settings, copy=run if run.elsewhere else None)
    return worklog.ended.exit_code if code is None else code


def stop(context: typer.Context, run: Named) -> int:
    """Stop a run that goes on in another process: it puts back what it has changed, and ends."""
    settings: Settings = context.obj
    folder = own(context, run, "stopped")
    ended_before = api.worklog_of(folder).ended is not None

    def work(stop: Stop) -> api.Worklog:
        with views.watching(settings, hint=_WAITING) as subscribers:
            return api.stop_run(folder, subscribers=subscribers, stop=stop)

    try:
        worklog = interruptibly(work)
    except Stopped as stopped:
        output.warn(f"loopctl: it was told, and ends by itself; loopctl watch {folder.name}")
        return int(stopped.exit_code)
    if ended_before:
        output.warn(f"loopctl: {folder.name} had ended before")
    return _end_of(worklog, api.FoundRun(folder, folder.name), settings, code=0)


def _past(folder: Path) -> Iterator[api.Event]:
    """The events so far, for the view; what is wrong with the journal `api.resume` will tell."""
    with contextlib.suppress(LoopctlError):
        yield from api.events_of(folder)
