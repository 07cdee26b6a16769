"""One run from its first event to its last: lease, walk, judgement, what is left behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from loopctl.errors import ExitCode, LoopctlError, Stopped, StorageError
from loopctl.journal.store import Journal
from loopctl.journal.verdicts import deciding_stage
from loopctl.journal.worklog import CycleRecord, Worklog
from loopctl.machine.lease import PACE, Lease, Pace, holding
from loopctl.machine.policy import Judgement, judge
from loopctl.machine.resume import Entry
from loopctl.machine.runner import Rejoin, Runner, Stage, Walk
from loopctl.model.artifact import Target
from loopctl.model.events import Left, NotChecked, RunEnded, RunResumed, RunStarted
from loopctl.model.outcome import LEFT_AS_IT_IS
from loopctl.model.state import OutcomeKind, State, StopReason, Verdict
from loopctl.ports.leases import HeldByOther, LeaseError, Leases
from loopctl.process import Stop

LEAVING_S = 10.0
MENDING_S = 5.0


@dataclass(frozen=True, slots=True)
class Session:
    """What a run is made of. The callables are given what only the session knows.

    `started` is the event that it begins with, `unchecked` what could not be looked at before it.
    A resumed run is entered by `entry` and looks at the world by `rejoin`.
    """

    started: RunStarted | RunResumed
    run_id: str
    journal: Journal
    stop: Stop
    leases: Leases
    targets: Sequence[Target]
    stages: Callable[[Lease], Mapping[State, Stage]]
    leave: Callable[[bool, Journal, Stop], tuple[Left, ...]]
    mended_by: Callable[[Stop], str]
    on_crash: Callable[[BaseException], None]
    rejoin: Rejoin | None = None
    entry: Entry = field(default_factory=Entry)
    pace: Pace = PACE
    unchecked: Sequence[NotChecked] = ()


def conduct(session: Session) -> Worklog:
    """Run to the end; the worklog holds the judgement. Raises `StorageError` when even the first
    event cannot be written.

    A resumed run that does not get its lease stays as it is: it raises `HeldByOther`, `LeaseError`
    or `Stopped`, and has written nothing.
    """
    if session.entry.after is None:
        _begin(session)
        _write_end(session.journal, _begun(session))
    else:
        _write_end(session.journal, _walked(session))
    return session.journal.fold.snapshot()


def _begin(session: Session) -> None:
    session.journal.append(session.started)
    for each in session.unchecked:
        session.journal.append(each)


def _begun(session: Session) -> RunEnded:
    try:
        return _walked(session)
    except HeldByOther as other:
        return _unbegun(_LOCKED, other, session)
    except LeaseError as error:
        return _unbegun(_NO_LEASE, error, session)
    except Stopped as stopped:
        return _never_begun(session, stopped.reason)


def _walked(session: Session) -> RunEnded:
    leases, pace = session.leases, session.pace
    with holding(leases, session.targets, session.run_id, session.stop, pace) as lease:
        if session.entry.after is not None:
            _begin(session)
        runner = Runner(session.stages(lease), session.journal, session.stop, session.on_crash)
        walk = runner.walk(session.entry, session.rejoin)
        ended = _as_kept(session.journal, _judged(session, walk))
        return replace(ended, left=_left(session, ended))


def _judged(session: Session, walk: Walk) -> RunEnded:
    worklog = session.journal.fold.snapshot()
    # A signal that comes after the last stage has confirmed the traffic finds nothing to stop.
    stopped = None if walk.end is State.GREEN else session.stop.reason
    judgement = judge(worklog, stopped, walk.internal)
    cycle = worklog.last
    failed = cycle.failed_stage if cycle else None
    return RunEnded(
        verdict=judgement.verdict,
        exit_code=judgement.exit_code,
        stop_reason=judgement.stop_reason,
        duration_s=session.journal.ran_s,
        detail=judgement.detail,
        problems=tuple(fault.summary for fault in failed.faults) if failed else (),
        restored=_restored(cycle),
        mend=_mend(cycle, session),
    )


_JOURNAL_LOST = Judgement(
    Verdict.UNDELIVERED, ExitCode.UNDELIVERED, StopReason.FATAL, "the journal was lost"
)
_LOCKED = Judgement(Verdict.LOCKED, ExitCode.LOCKED, StopReason.LOCKED)
_NO_LEASE = Judgement(Verdict.PREFLIGHT, ExitCode.PREFLIGHT, StopReason.PREFLIGHT)
_TOO_LATE = Judgement(Verdict.UNPROVEN, ExitCode.UNPROVEN, StopReason.DEADLINE)


def _unbegun(judgement: Judgement, why: LoopctlError, session: Session) -> RunEnded:
    # A record that cannot be written is named; who holds a lease says so himself.
    named = why.where is not None and not isinstance(why, HeldByOther)
    what = f"{why.what} ({why.where})" if named else why.what
    return RunEnded(
        verdict=judgement.verdict,
        exit_code=judgement.exit_code,
        stop_reason=judgement.stop_reason,
        duration_s=session.journal.ran_s,
        detail=what,
        problems=(what,) if why.hint is None else (what, why.hint),
    )


def _never_begun(session: Session, reason: str) -> RunEnded:
    """The run was stopped while it waited for its lease."""
    told = reason != "deadline"
    judgement = judge(session.journal.fold.snapshot(), reason, None) if told else _TOO_LATE
    waiting = LoopctlError(f"stopped by {reason} before the first step; nothing was changed")
    return _unbegun(judgement, waiting, session)


def _left(session: Session, ended: RunEnded) -> tuple[Left, ...]:
    """What serves now. Not to know that never hides how the run ended."""
    try:
        return session.leave(ended.verdict is Verdict.GREEN, session.journal, Stop(LEAVING_S))
    except StorageError:
        session.journal.detach()
        return session.leave(False, session.journal, Stop(LEAVING_S))  # noqa: FBT003
    except (LoopctlError, Stopped):
        return ()


def _restored(
    cycle: CycleRecord | None,
) -> Literal["done", "failed", "not-needed", "kept", "moved"]:
    settle = cycle.settled if cycle else None
    if cycle is not None and _was_moved_over(cycle):
        return "moved"
    if cycle is None or settle is None:
        return "not-needed"
    if settle.kind is OutcomeKind.ERRORED:
        return "failed"
    if settle.detail == LEFT_AS_IT_IS:
        return "kept"
    return "done" if any(s.restored for s in cycle.services.values()) else "not-needed"


def _was_moved_over(cycle: CycleRecord) -> bool:
    """Whether this run had taken traffic and found somebody else's writing: then all stays."""
    deciding = deciding_stage(cycle)
    moved = deciding is not None and deciding.kind is OutcomeKind.MOVED
    return moved and any(s.promoted and not s.restored for s in cycle.services.values())


def _mend(cycle: CycleRecord | None, session: Session) -> str | None:
    """The command that puts back what could not be: without loopctl where there is one."""
    settle = cycle.settled if cycle else None
    if settle is None or settle.kind is not OutcomeKind.ERRORED:
        return None
    known = next((fault.mend for fault in settle.faults if fault.mend), None)
    return known or session.mended_by(Stop(MENDING_S))


def _write_end(journal: Journal, ended: RunEnded) -> None:
    try:
        journal.append(_as_kept(journal, ended))
    except StorageError:
        journal.detach()
        journal.append(_as_kept(journal, ended))


def _as_kept(journal: Journal, ended: RunEnded) -> RunEnded:
    """A green that nobody can read later is none."""
    if journal.is_durable or ended.verdict is not Verdict.GREEN:
        return ended
    return replace(
        ended,
        verdict=_JOURNAL_LOST.verdict,
        exit_code=_JOURNAL_LOST.exit_code,
        stop_reason=_JOURNAL_LOST.stop_reason,
        detail=_JOURNAL_LOST.detail,
    )
