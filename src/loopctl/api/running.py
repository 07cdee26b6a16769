"""Running a loop to its end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from loopctl.api.announcing import announce, announce_beginning, tells_state, whom
from loopctl.api.beginning import check_names, check_options, run_started, unread
from loopctl.api.places import new_run, runs_dir_of
from loopctl.errors import (
    LoopctlError,
    PreflightError,
    Problem,
    Stopped,
    StorageError,
    UsageError,
)
from loopctl.journal.history import JOURNAL_NAME, read_summaries
from loopctl.journal.store import Journal
from loopctl.journal.worklog import Worklog
from loopctl.machine.resume import Entry
from loopctl.model.events import Event, RunResumed, RunStarted
from loopctl.model.options import RunOptions
from loopctl.model.plan import Plan
from loopctl.model.select import select
from loopctl.model.state import Verdict
from loopctl.process import Stop
from loopctl.redact import Redactor

if TYPE_CHECKING:
    from loopctl.bootstrap import Composition

Subscriber = Callable[[Event], None]

CLOSING_S = 5.0
CLEARING_S = 30.0

_NOT_TOLD = "the platform was not told that the run is over"


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run that has ended. `problems` are what could not be done after that: a report, tidying."""

    run_id: str
    folder: Path
    worklog: Worklog
    problems: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """What a process that made this run should exit with."""
        assert self.worklog.ended is not None
        return self.worklog.ended.exit_code


def refuse_later(plan: Plan) -> None:
    """Raise `UsageError` for every key whose behaviour this version does not have."""
    if plan.later:
        raise UsageError(
            f"{_keys(len(plan.later))} a later version of loopctl; nothing was changed",
            plan.later,
        )


def run(
    plan: Plan,
    options: RunOptions | None = None,
    *,
    runs_dir: Path | None = None,
    run_id: str | None = None,
    subscribers: Sequence[Subscriber] = (),
    stop: Stop | None = None,
) -> RunResult:
    """Run the loop to its end and write its reports.

    However it ends, red or locked, it returns: raised is only what keeps it from beginning, and a
    fault of loopctl's own. `subscribers` are called with every event as it is written, redacted, in
    the thread that writes it; one that raises ends the run as such a fault. `stop` ends the run
    early: its reason `SIGINT` or `SIGTERM` makes the verdict `interrupted`. `run_id` is that of a
    run whose folder was made for it already (`detach`). Raises `UsageError` before anything is
    done, `PreflightError` when the runs folder cannot be written, `LoopctlError` (exit code 70) for
    the fault, which `crash.txt` in the run's folder tells of.
    """
    options = options or RunOptions()
    refuse_later(plan)
    check_options(plan, options)
    place = runs_dir_of(plan, runs_dir)
    prepared = prepare(plan, options, place, run_id)
    composition, redactor = prepared.composition, prepared.redactor
    stop = stop or Stop()
    composition.earlier.past(stop)
    troubles = announce_beginning(composition, redactor, stop)
    try:
        journal = Journal(prepared.folder / JOURNAL_NAME, redactor, subscribers)
        part = Part(run_started(composition), journal, stop)
        worklog = conducted(prepared, part)
    except StorageError as error:
        raise PreflightError(
            "the run could not begin; nothing was changed",
            [Problem(error.what, error.where, hint=error.hint)],
        ) from error
    return finished(prepared, worklog, stop, troubles)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that is ready to begin or to be gone on with."""

    composition: Composition
    redactor: Redactor
    folder: Path


@dataclass(frozen=True, slots=True)
class Part:
    """What one process does of a run: the event it begins with and where it enters the machine."""

    started: RunStarted | RunResumed
    journal: Journal
    stop: Stop
    entry: Entry = field(default_factory=Entry)


def prepare(plan: Plan, options: RunOptions, runs_dir: Path, run_id: str | None) -> Prepared:
    """Put a run together: a new one where `run_id` is None. Raises `UsageError`."""
    from loopctl.bootstrap import Composition, catalogue_of, redactor_of, world_of
    from loopctl.journal.earlier_runs import EarlierRuns

    chosen = select(plan, options)
    catalogue = catalogue_of(plan)
    redactor = redactor_of(plan)
    check_names(plan, redactor)
    if run_id is None:
        run_id, folder = new_run(runs_dir, plan.loop)
    else:
        folder = runs_dir / "runs" / run_id
    world = world_of(plan, runs_dir)
    earlier = EarlierRuns(world.history, plan.loop, plan.environment.name, run_id)
    composition = Composition(chosen, plan, options, run_id, runs_dir, world, catalogue, earlier)
    return Prepared(composition, redactor, folder)


def conducted(prepared: Prepared, part: Part) -> Worklog:
    """Run to the end; closes the journal. A fault of loopctl itself is kept as `crash.txt`."""
    from loopctl.bootstrap import crash_writer
    from loopctl.machine.session import Session, conduct

    composition, redactor, folder = prepared.composition, prepared.redactor, prepared.folder
    plan, world = composition.plan, composition.world
    keep_crash = crash_writer(folder, redactor)
    try:
        # The deadline counts the time that the run goes on, not that between two processes.
        left = max(0.0, plan.limits.deadline_s - part.journal.ran_s)
        with part.stop.child(left) as limited:
            return conduct(
                Session(
                    started=part.started,
                    run_id=composition.run_id,
                    journal=part.journal,
                    stop=limited,
                    leases=world.leases,
                    targets=[world.platform.target(spec.name) for spec in plan.deployed],
                    stages=composition.stages,
                    leave=composition.leave,
                    mended_by=composition.mended_by,
                    on_crash=keep_crash,
                    rejoin=composition.rejoin() if part.entry.after else None,
                    entry=part.entry,
                    pace=world.pace,
                    unchecked=unread(composition),
                )
            )
    except LoopctlError:
        raise
    except Exception as error:
        with contextlib.suppress(StorageError):
            keep_crash(error)
        raise LoopctlError(
            redactor.text(f"a fault of loopctl itself: {type(error).__name__}: {error}"),
            where=str(folder / JOURNAL_NAME),
            hint=f"crash.txt beside it says where; look who serves: {composition.commands.plan()}",
        ) from error
    finally:
        part.journal.close()


def finished(
    prepared: Prepared, worklog: Worklog, stop: Stop, troubles: Sequence[str] = ()
) -> RunResult:
    """Tell the platform, write the reports, tell others, tidy up.

    None of this changes how the run ended, so none of it may hide that. `troubles` are those of
    telling that it began.
    """
    from loopctl.reports.write import write_reports

    composition = prepared.composition
    problems = (
        *troubles,
        *_close(composition, worklog),
        *_clear(composition, prepared.folder),
        *write_reports(worklog, prepared.folder, prepared.redactor),
        *_remembered_and_told(prepared, worklog, stop),
        *_prune(composition.runs_dir, composition.plan),
    )
    return RunResult(composition.run_id, prepared.folder, worklog, tuple(dict.fromkeys(problems)))


def _remembered_and_told(prepared: Prepared, worklog: Worklog, stop: Stop) -> Sequence[str]:
    """Keep what later runs need, then tell others; what went wrong with either, in words.

    The record comes first, and says that all were told: who ends this process now loses a message,
    not a green run. It is written again where somebody could not be told.
    """
    from loopctl.api.remembering import left_by
    from loopctl.journal.history_files import keep_record

    composition, history = prepared.composition, prepared.composition.world.history
    announcers = whom(composition)
    names = tuple(each.name for each in announcers) if tells_state(worklog) else ()
    record = replace(left_by(composition, worklog, prepared.folder), told=names)
    problems = list(keep_record(history, record, Stop(CLOSING_S)))
    told = announce(composition, announcers, worklog, prepared.folder, prepared.redactor, stop)
    untold = {each.name for each in told if each.trouble is not None}
    if untold & set(names):
        record = replace(record, told=tuple(name for name in names if name not in untold))
        problems += keep_record(history, record, Stop(CLOSING_S), again=True)
    return [*problems, *(each.trouble for each in told if each.trouble is not None)]


def _clear(composition: Composition, folder: Path) -> Sequence[str]:
    """Take the work trees of remedies away; what could not be, in words. Their branches stay."""
    try:
        composition.clear_trees(folder, Stop(CLEARING_S))
    except LoopctlError as error:
        return (f"a work tree of a remedy is still there: {error.what}",)
    except Stopped:
        return (f"a work tree of a remedy is still there after {CLEARING_S:g} s: {folder}",)
    return ()


def _close(composition: Composition, worklog: Worklog) -> Sequence[str]:
    """Tell the platform that the run is over; what went wrong with that, in words."""
    if worklog.ended is None or worklog.ended.verdict is Verdict.LOCKED:
        return ()
    try:
        composition.world.platform.close(composition.options.keep, Stop(CLOSING_S))
    except LoopctlError as error:
        return (f"{_NOT_TOLD}: {error.what}",)
    except Stopped:
        return (f"{_NOT_TOLD}: it did not answer within {CLOSING_S:g} s",)
    return ()


def _prune(runs_dir: Path, plan: Plan) -> Sequence[str]:
    """Keep the newest `worklog.keep` runs of this loop, and the last green one of each environment.

    A run that goes on is never touched. Returns what could not be removed, in words.
    """
    from loopctl.files import remove_tree

    mine = [r for r in read_summaries(runs_dir) if r.loop == plan.loop and r.state != "running"]
    greens = {r.environment: r.run_id for r in reversed(mine) if r.is_verified_green}
    problems = []
    for old in mine[plan.worklog.keep :]:
        if old.run_id in greens.values():
            continue
        try:
            remove_tree(runs_dir / "runs" / old.run_id)
        except StorageError as error:
            problems.append(f"the old run {old.run_id} is still there: {error.what}")
    return problems


def _keys(number: int) -> str:
    return "1 key of this loop needs" if number == 1 else f"{number} keys of this loop need"
