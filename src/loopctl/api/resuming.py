"""Going on with a run that was interrupted or killed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from loopctl import __version__
from loopctl.api.beginning import check_options, fingerprint, options_of
from loopctl.api.loading import load
from loopctl.api.running import (
    Part,
    Prepared,
    RunResult,
    Subscriber,
    conducted,
    finished,
    prepare,
    refuse_later,
)
from loopctl.errors import (
    NotFoundError,
    PreflightError,
    Problem,
    Stopped,
    StoppedEarlyError,
    StorageError,
    UsageError,
)
from loopctl.journal.history import SUMMARY_NAME, changed_files
from loopctl.journal.store import JOURNAL_NAME, Journal
from loopctl.journal.tail import read
from loopctl.journal.worklog import Worklog
from loopctl.machine.resume import Entry, entry_of
from loopctl.marked import kill_marked
from loopctl.model.events import RunResumed, RunStarted
from loopctl.model.plan import Plan
from loopctl.process import Stop, identify


def resume(
    folder: Path,
    *,
    confirm: str | None = None,
    subscribers: Sequence[Subscriber] = (),
    stop: Stop | None = None,
) -> RunResult:
    """Go on with the run in `folder` to its end, with the plan it began with.

    Raises `UsageError` when it has ended by itself, or when loop file, variables or tests are not
    what they were; `LockedError` while another process goes on with it; `JournalError` when its
    journal is not to be trusted. Nothing was changed then.
    """
    began = _began(folder)
    runs_dir = folder.parent.parent
    plan = load(began.loop_file, environment=began.environment, cwd=Path(began.root))
    refuse_later(plan)
    options = options_of(began, confirm)
    check_options(plan, options)
    prepared = prepare(plan, options, runs_dir, began.run_id)
    try:
        journal = Journal(folder / JOURNAL_NAME, prepared.redactor, subscribers)
    except StorageError as error:
        raise PreflightError(
            "the run could not be gone on with; nothing was changed",
            [Problem(error.what, error.where, hint=error.hint)],
        ) from error
    try:
        worklog = journal.fold.snapshot()
        _refuse_changes(worklog, plan, runs_dir)
        part = Part(_resumed(worklog), journal, stop or Stop(), entry_of(worklog))
        return _gone_on(prepared, part)
    finally:
        journal.close()


def _gone_on(prepared: Prepared, part: Part) -> RunResult:
    # What an earlier process had started and could not end any more: a suite, a remedy.
    kill_marked("LOOPCTL_RUN_ID", prepared.composition.run_id)
    # It tells of an end that is none any more.
    (prepared.folder / SUMMARY_NAME).unlink(missing_ok=True)
    try:
        worklog = conducted(prepared, part)
    except Stopped as stopped:
        raise StoppedEarlyError(
            f"stopped by {stopped.reason} before the run was gone on with; nothing was changed",
            hint=f"loopctl resume {prepared.composition.run_id}",
        ) from None
    return finished(prepared, worklog)


def _began(folder: Path) -> RunStarted:
    """The first event of the run; raises `NotFoundError` and `JournalError`."""
    path = folder / JOURNAL_NAME
    if not path.is_file():
        raise NotFoundError(f"{folder.name} has no journal", where=str(path))
    first = next(read(path), None)
    if first is None or not isinstance(first.payload, RunStarted):
        raise _unusable("its journal holds no beginning of a run", folder)
    if first.payload.run_id != folder.name:
        raise _unusable(f"its journal is that of run {first.payload.run_id}", folder)
    return first.payload


def _resumed(worklog: Worklog) -> RunResumed:
    me = identify(os.getpid())
    entry: Entry = entry_of(worklog)
    assert entry.after is not None
    return RunResumed(
        loopctl=__version__,
        pid=os.getpid(),
        pid_started=me.started if me else 0,
        after=entry.after,
        stage=entry.state,
    )


def _refuse_changes(worklog: Worklog, plan: Plan, runs_dir: Path) -> None:
    """A run goes on with what it began with, or not at all."""
    run = worklog.run
    again = f"start anew: loopctl run {run.loop} --env {run.environment}"
    problems = [
        Problem("was changed since the run began", where=name, hint=again)
        for name in changed_files(run.files, plan.files or {})
    ]
    version, _, was = run.plan.partition(" ")
    now = fingerprint(plan, runs_dir)
    if not problems and version == __version__ and f"{version} {was}" != now:
        what = "variables that the loop file uses have other values than when the run began"
        problems.append(Problem(what, where=run.loop_file, hint=f"set them as then, or {again}"))
    if worklog.unrecognised:
        kinds = ", ".join(worklog.unrecognised)
        what = f"its journal has events that this version does not know: {kinds}"
        hint = "go on with the loopctl that wrote it, or a later one"
        problems.append(Problem(what, where=run.run_id, hint=hint))
    if problems:
        raise UsageError("nothing was changed", problems)


def _unusable(what: str, folder: Path) -> UsageError:
    hint = "loopctl runs lists the runs; start anew with loopctl run"
    return UsageError("nothing was changed", [Problem(what, where=str(folder), hint=hint)])
