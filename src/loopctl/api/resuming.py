"""Going on with a run that was interrupted or killed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from loopctl import __version__
from loopctl.api.announcing import announce_beginning
from loopctl.api.beginning import check_options, fingerprint, options_of
from loopctl.api.given import given_hashes
from loopctl.api.loading import load
from loopctl.api.places import journal_of, project_key
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
    LockedError,
    PreflightError,
    Problem,
    Stopped,
    StoppedEarlyError,
    StorageError,
    UsageError,
)
from loopctl.journal.codec import JournalError
from loopctl.journal.commands import Commands, runs
from loopctl.journal.fold import fold
from loopctl.journal.history import JOURNAL_NAME, SUMMARY_NAME, changed_names
from loopctl.journal.store import Journal
from loopctl.journal.tail import read
from loopctl.journal.worklog import Worklog
from loopctl.machine.resume import Entry, entry_of
from loopctl.marked import kill_marked
from loopctl.model.events import VERSION, Event, RunResumed, RunStarted
from loopctl.model.plan import Plan
from loopctl.model.state import Verdict
from loopctl.process import ProcessId, Stop, identify, is_alive


def resume(
    folder: Path,
    *,
    confirm: str | None = None,
    subscribers: Sequence[Subscriber] = (),
    stop: Stop | None = None,
) -> RunResult:
    """Go on with the run in `folder` to its end, with the plan it began with.

    One that was killed between its end and its reports is only given these.
    Raises `UsageError` when it has ended by itself, or when loop file, variables or secrets are not
    what they were; `LockedError` while another process goes on with it; `PreflightError` when its
    journal cannot be read or is not to be trusted. Nothing was changed then.
    """
    with _unbroken():
        began = _began(folder)
    runs_dir = folder.parent.parent
    plan = load(began.loop_file, environment=began.environment, cwd=Path(began.root))
    refuse_later(plan)
    options = options_of(began, confirm)
    check_options(plan, options)
    prepared = prepare(plan, options, runs_dir, began.run_id)
    told, stop = (_forgets_the_end(folder), *subscribers), stop or Stop()
    with _unbroken():
        try:
            journal = Journal(folder / JOURNAL_NAME, prepared.redactor, told)
        except LockedError as error:
            raise _goes_on(folder) from error
    try:
        worklog = journal.fold.snapshot()
        if _only_unreported(worklog, folder):
            return finished(prepared, worklog, stop)
        _refuse_changes(worklog, plan, runs_dir)
        entry = entry_of(worklog, runs_dir)
        part = Part(_resumed(entry), journal, stop, entry)
        return _gone_on(prepared, part)
    finally:
        journal.close()


def _only_unreported(worklog: Worklog, folder: Path) -> bool:
    """Whether the run had come to its end when its process was killed, and not to its reports."""
    from loopctl.reports.write import are_written

    ended = worklog.ended
    at_an_end = ended is not None and ended.verdict is not Verdict.INTERRUPTED
    return at_an_end and not are_written(worklog, folder)


@contextlib.contextmanager
def _unbroken() -> Iterator[None]:
    """Whatever is wrong with the journal was found before anything was done."""
    try:
        yield
    except (JournalError, StorageError) as error:
        raise PreflightError(
            "the run could not be gone on with; nothing was changed",
            [Problem(error.what, error.where, hint=error.hint)],
        ) from error


def _forgets_the_end(folder: Path) -> Subscriber:
    """Takes the summary away once the run goes on: it tells of an end that is none any more."""

    def told(event: Event) -> None:
        if isinstance(event.payload, RunResumed):
            with contextlib.suppress(OSError):
                (folder / SUMMARY_NAME).unlink(missing_ok=True)

    return told


def _goes_on(folder: Path) -> LockedError:
    worklog = fold(read(folder / JOURNAL_NAME))
    commands = Commands.of_run(worklog.run, folder.parent.parent)
    last = worklog.resumed[-1] if worklog.resumed else worklog.run
    # One that has just begun to go on with it has not written its number yet.
    known = is_alive(ProcessId(last.pid, last.pid_started))
    return LockedError(
        f"run {folder.name} goes on in {f'process {last.pid}' if known else 'another process'}",
        hint=f"wait for it, or stop it: {commands.stop(folder.name)}; "
        f"{commands.watch(folder.name)} shows it",
    )


def _gone_on(prepared: Prepared, part: Part) -> RunResult:
    # What an earlier process had started and could not end any more: a suite, a remedy.
    kill_marked("LOOPCTL_RUN_ID", prepared.composition.run_id)
    troubles = announce_beginning(prepared.composition, prepared.redactor, part.stop)
    try:
        worklog = conducted(prepared, part)
    except Stopped as stopped:
        raise StoppedEarlyError(
            f"stopped by {stopped.by} before the run was gone on with; nothing was changed",
            stopped,
            hint=prepared.composition.commands.resume(prepared.composition.run_id),
        ) from None
    return finished(prepared, worklog, part.stop, troubles)


def _began(folder: Path) -> RunStarted:
    """The first event of the run; raises `NotFoundError`, `JournalError`, `StorageError`."""
    first = next(read(journal_of(folder)), None)
    if first is not None and first.v > VERSION:
        what = f"its journal was written by a later version of loopctl (version {first.v})"
        raise _unusable(what, folder, _NEWER)
    if first is None or not isinstance(first.payload, RunStarted):
        raise _unusable("its journal holds no beginning of a run", folder)
    if first.payload.run_id != folder.name:
        raise _unusable(f"its journal is that of run {first.payload.run_id}", folder)
    return first.payload


def _resumed(entry: Entry) -> RunResumed:
    me = identify(os.getpid())
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
    # The loop file may protect its environment by now.
    commands = Commands.of_plan(plan, runs_dir, create=bool(run.options.get("create")))
    again = f"start anew: {commands.run()}"
    problems = [
        Problem("was changed since the run began", where=name, hint=again)
        for name in changed_names(run.files, plan.files or {})
    ]
    version, _, was = run.plan.partition(" ")
    now = fingerprint(plan, runs_dir)
    if not problems and version == __version__ and f"{version} {was}" != now:
        what = "variables that the loop file uses have other values than when the run began"
        given = given_hashes(plan, project_key(runs_dir))
        if named := changed_names(run.given, given) if run.given else ():
            what += f": {', '.join(named)}"
        problems.append(Problem(what, where=run.loop_file, hint=f"set them as then, or {again}"))
    if worklog.unrecognised:
        kinds = ", ".join(worklog.unrecognised)
        what = f"its journal has events that this version does not know: {kinds}"
        problems.append(Problem(what, where=run.run_id, hint=_NEWER))
    if problems:
        raise UsageError("nothing was changed", problems)


_NEWER = "go on with the loopctl that wrote it, or a later one"


def _unusable(what: str, folder: Path, hint: str | None = None) -> UsageError:
    hint = hint or f"{runs(folder.parent.parent)} lists the runs; start anew: loopctl run LOOP"
    return UsageError("nothing was changed", [Problem(what, where=str(folder), hint=hint)])
