"""Where a run that was interrupted or killed goes on, from its worklog alone. Pure.

States are stored, never a sequence of calls: the table of the version that goes on decides what
follows, so a run outlives an upgrade.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from loopctl.errors import Problem, UsageError
from loopctl.journal.commands import Commands
from loopctl.journal.verdicts import storage_failed
from loopctl.journal.worklog import CycleRecord, StageRecord, Worklog
from loopctl.machine.transitions import after
from loopctl.model.state import OutcomeKind, State, Verdict


@dataclass(frozen=True, slots=True)
class Entry:
    """Where the machine is entered.

    `again`: once this cycle has been brought to its end, a new one is begun, because it was
    stopped from outside before anything had failed.
    """

    state: State = State.PREFLIGHT
    cycle: int = 1
    wave: int | None = None
    again: bool = False
    after: Literal["killed", "interrupted"] | None = None


def entry_of(worklog: Worklog, runs_dir: Path | None = None) -> Entry:
    """Where the run goes on. Raises `UsageError` for one that has come to an end of its own.

    `runs_dir` is where the run is kept: it is named in what a person is told to type.
    """
    cycle = worklog.last
    if worklog.ended is not None and worklog.ended.verdict is not Verdict.INTERRUPTED:
        raise _has_ended(worklog, runs_dir)
    killed = worklog.ended is None
    if cycle is not None and _is_about_a_remedy(cycle, killed=killed):
        # What it has changed is looked at before anything else may rest on it.
        return Entry(State.REMEDIATE, cycle.number, after="killed" if killed else "interrupted")
    if not killed:
        if cycle is not None and _has_failed(cycle):
            # Its remedy is still to be chosen, within the limits: no cycle is begun before that.
            state = State.REMEDIATE if cycle.remedy is not None else State.DIAGNOSE
            return Entry(state, cycle.number, after="interrupted")
        return Entry(cycle=cycle.number + 1 if cycle else 1, after="interrupted")
    if cycle is None or not cycle.stages:
        return Entry(after="killed")
    last = cycle.stages[-1]
    state, number = _state(last), cycle.number
    again = cycle.says_nothing
    if last.stage is State.REMEDIATE and not state.is_end and last.kind is not None:
        return Entry(state, number + 1, after="killed")
    return Entry(state, number, _wave(last, state), again, "killed")


def _is_about_a_remedy(cycle: CycleRecord, *, killed: bool) -> bool:
    """Whether it was stopped from outside while a remedy was about, or right after it."""
    last = cycle.stages[-1] if cycle.stages else None
    if last is None or last.stage is not State.REMEDIATE:
        return False
    done = cycle.remedy is not None and cycle.remedy.result != "proposed"
    stopped = not killed or last.kind is OutcomeKind.INTERRUPTED
    return stopped and (done or cycle.remedy_begun is not None)


def _has_failed(cycle: CycleRecord) -> bool:
    """Whether it had come to an end of its own, of which a remedy may be asked for, when stopped.

    What failed in PREFLIGHT or for want of a disk is tried anew instead.
    """
    failed = cycle.failed_stage
    if failed is None or cycle.says_nothing or storage_failed(failed):
        return False
    return failed.stage is not State.PREFLIGHT


def _state(last: StageRecord) -> State:
    if last.kind is None:
        return last.stage
    following = after(last.stage, last.kind)
    # What was confirmed before a pause is confirmed again: it may have been hours.
    return State.CONFIRM if last.stage is State.CONFIRM and following.is_end else following


def _wave(last: StageRecord, state: State) -> int | None:
    if last.kind is OutcomeKind.MORE_WAVES:
        return (last.wave or 0) + 1
    return last.wave if state in (State.DEPLOY, State.HEALTH) else None


def _has_ended(worklog: Worklog, runs_dir: Path | None) -> UsageError:
    assert worklog.ended is not None
    run = worklog.run
    what = f"the run has ended {worklog.ended.verdict.value}, there is nothing to go on with"
    hint = Commands.of_run(run, runs_dir).run()
    return UsageError("nothing was changed", [Problem(what, where=run.run_id, hint=hint)])
