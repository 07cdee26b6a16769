"""Judging a run: verdict, exit code and stop reason, from its worklog alone. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from loopctl.errors import SIGNAL_EXITS, ExitCode
from loopctl.journal.verdicts import deciding_stage, storage_failed, verdict_of
from loopctl.journal.worklog import CycleRecord, StageRecord, Worklog
from loopctl.model.finding import FaultKind
from loopctl.model.state import OutcomeKind, State, StopReason, Verdict


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the run comes to."""

    verdict: Verdict
    exit_code: int
    stop_reason: StopReason
    detail: str = ""


_EXIT = {
    Verdict.GREEN: ExitCode.GREEN,
    Verdict.RED: ExitCode.RED,
    Verdict.UNPROVEN: ExitCode.UNPROVEN,
    Verdict.PREFLIGHT: ExitCode.PREFLIGHT,
    Verdict.UNDELIVERED: ExitCode.UNDELIVERED,
    Verdict.LOCKED: ExitCode.LOCKED,
    Verdict.INTERNAL: ExitCode.INTERNAL,
    Verdict.INTERRUPTED: ExitCode.SIGINT,
}


def judge(worklog: Worklog, stopped: str | None, internal: str | None) -> Judgement:
    """The judgement of a run whose machine has come to its end.

    `stopped` is why the run was told to stop (`SIGINT`, `SIGTERM`, `deadline`), `internal` the
    text of a fault of loopctl itself.
    """
    if internal is not None:
        return Judgement(Verdict.INTERNAL, ExitCode.INTERNAL, StopReason.FATAL, internal)
    cycle = worklog.last
    settle = cycle.settled if cycle else None
    if settle is not None and settle.kind is OutcomeKind.ERRORED:
        # Also after a signal: users may be met by a revision that nobody has verified.
        return _ended(Verdict.UNDELIVERED, StopReason.RESTORE_FAILED, settle.detail)
    failed = deciding_stage(cycle) if cycle else None
    if cycle is not None and failed is not None and failed.kind is OutcomeKind.MOVED:
        # Also after a signal: what this run had changed was not put back.
        return _ended(verdict_of(cycle), StopReason.ENVIRONMENT_MOVED, failed.detail)
    if stopped in SIGNAL_EXITS:
        return Judgement(
            Verdict.INTERRUPTED, SIGNAL_EXITS[stopped], StopReason.INTERRUPTED, f"by {stopped}"
        )
    if cycle is None:
        return Judgement(Verdict.INTERNAL, ExitCode.INTERNAL, StopReason.FATAL, "no cycle began")
    if failed is None:
        return _ended(Verdict.GREEN, StopReason.GREEN, "")
    reason = StopReason.DEADLINE if stopped == "deadline" else _stop_reason(failed, cycle)
    return _ended(verdict_of(cycle), reason, failed.detail)


def _ended(verdict: Verdict, reason: StopReason, detail: str) -> Judgement:
    return Judgement(verdict, _EXIT[verdict], reason, detail)


def _stop_reason(failed: StageRecord, cycle: CycleRecord) -> StopReason:
    if failed.kind is OutcomeKind.INTERRUPTED:
        return StopReason.INTERRUPTED
    if failed.stage is State.PREFLIGHT:
        return StopReason.PREFLIGHT
    if storage_failed(failed):
        return StopReason.FATAL
    if any(fault.kind is FaultKind.REMEDY for fault in failed.faults):
        return StopReason.REMEDY_REFUSED
    ends = cycle.remedy.ends if cycle.remedy else None
    return ends or StopReason.NEEDS_HUMAN
