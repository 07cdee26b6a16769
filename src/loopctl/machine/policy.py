"""Judging a run: verdict, exit code and stop reason, from its worklog alone. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from loopctl.errors import ExitCode
from loopctl.journal.worklog import CycleRecord, StageRecord, Worklog
from loopctl.model.evidence import SuiteOutcome
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
}

SIGNAL_EXITS = {"SIGINT": ExitCode.SIGINT, "SIGTERM": ExitCode.SIGTERM}
"""The reasons by which a run is told to stop from outside, with the exit code of each."""


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
    if stopped in SIGNAL_EXITS:
        return Judgement(
            Verdict.INTERRUPTED, SIGNAL_EXITS[stopped], StopReason.INTERRUPTED, f"by {stopped}"
        )
    if cycle is None:
        return Judgement(Verdict.INTERNAL, ExitCode.INTERNAL, StopReason.FATAL, "no cycle began")
    # What a stranger changed goes before whatever this run had found until then.
    moved = (stage for stage in cycle.stages if stage.kind is OutcomeKind.MOVED)
    failed = next(moved, cycle.failed_stage)
    if failed is None:
        return _ended(Verdict.GREEN, StopReason.GREEN, "")
    verdict = _verdict(failed, cycle)
    reason = StopReason.DEADLINE if stopped == "deadline" else _stop_reason(failed)
    return _ended(verdict, reason, failed.detail)


def _ended(verdict: Verdict, reason: StopReason, detail: str) -> Judgement:
    return Judgement(verdict, _EXIT[verdict], reason, detail)


def _stop_reason(failed: StageRecord) -> StopReason:
    if failed.kind is OutcomeKind.MOVED:
        return StopReason.ENVIRONMENT_MOVED
    return StopReason.PREFLIGHT if failed.stage is State.PREFLIGHT else StopReason.NEEDS_HUMAN


def _verdict(failed: StageRecord, cycle: CycleRecord) -> Verdict:
    if failed.kind is OutcomeKind.MOVED:
        return Verdict.UNPROVEN
    match failed.stage:
        case State.PREFLIGHT:
            return Verdict.PREFLIGHT
        case State.BUILD | State.DEPLOY | State.HEALTH | State.PROMOTE:
            unproven = failed.kind is OutcomeKind.UNPROVEN
            return Verdict.UNPROVEN if unproven else Verdict.UNDELIVERED
        case State.VERIFY:
            return Verdict.RED if failed.kind is OutcomeKind.FAILED else Verdict.UNPROVEN
        case State.CONFIRM:
            return _confirm_verdict(failed, cycle)
        case (
            State.COLLECT
            | State.SETTLE
            | State.DIAGNOSE
            | State.REMEDIATE
            | State.GREEN
            | State.STOPPED
        ):
            return Verdict.UNDELIVERED
        case _:
            assert_never(failed.stage)


def _confirm_verdict(failed: StageRecord, cycle: CycleRecord) -> Verdict:
    """A suite that failed on the public address is red; an address that failed is undelivered."""
    if failed.kind is OutcomeKind.UNPROVEN:
        return Verdict.UNPROVEN
    red = any(
        suite.judgement is not None
        and suite.facts.phase == "confirm"
        and suite.judgement.outcome is SuiteOutcome.FAILED
        for suite in cycle.suites.values()
    )
    return Verdict.RED if red else Verdict.UNDELIVERED
