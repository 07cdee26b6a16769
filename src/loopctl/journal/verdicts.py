"""What one cycle comes to, from its record alone. Pure."""

from __future__ import annotations

from typing import assert_never

from loopctl.journal.worklog import CycleRecord, StageRecord
from loopctl.model.evidence import SuiteOutcome
from loopctl.model.finding import FaultKind
from loopctl.model.state import OutcomeKind, State, Verdict


def verdict_of(cycle: CycleRecord) -> Verdict:
    """The verdict that the cycle would end the run with; green while nothing has failed."""
    failed = deciding_stage(cycle)
    return Verdict.GREEN if failed is None else _verdict(failed, cycle)


def deciding_stage(cycle: CycleRecord) -> StageRecord | None:
    """The stage that speaks for the cycle: what a stranger changed goes before all else."""
    moved = (stage for stage in cycle.stages if stage.kind is OutcomeKind.MOVED)
    return next(moved, cycle.failed_stage)


def storage_failed(stage: StageRecord) -> bool:
    """Whether a disk took no more: the run ended for that, whatever its stage was about.

    Not in PREFLIGHT, before anything was done.
    """
    ended = stage.kind is OutcomeKind.ERRORED and stage.stage is not State.PREFLIGHT
    return ended and any(fault.kind is FaultKind.STORAGE for fault in stage.faults)


def _verdict(failed: StageRecord, cycle: CycleRecord) -> Verdict:
    if failed.kind is OutcomeKind.INTERRUPTED:
        return Verdict.INTERRUPTED
    if failed.kind is OutcomeKind.MOVED:
        return Verdict.UNPROVEN
    if storage_failed(failed):
        return Verdict.UNDELIVERED
    match failed.stage:
        case State.PREFLIGHT:
            return Verdict.PREFLIGHT
        case State.BUILD | State.DEPLOY | State.HEALTH | State.PROMOTE:
            unproven = failed.kind is OutcomeKind.UNPROVEN
            return Verdict.UNPROVEN if unproven else Verdict.UNDELIVERED
        case State.VERIFY:
            return _verify_verdict(failed, cycle)
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


def _verify_verdict(failed: StageRecord, cycle: CycleRecord) -> Verdict:
    """Red also where time was up after a suite had failed: that suite has been seen to."""
    cut_short = failed.kind is OutcomeKind.UNPROVEN and any(
        suite.judgement is None and suite.facts.phase == "verify" for suite in cycle.suites.values()
    )
    red = failed.kind is OutcomeKind.FAILED or (cut_short and _any_failed(cycle, "verify"))
    return Verdict.RED if red else Verdict.UNPROVEN


def _confirm_verdict(failed: StageRecord, cycle: CycleRecord) -> Verdict:
    """A suite that failed on the public address, or a criterion that was missed there, is red; an
    address that failed is undelivered.
    """
    if failed.kind is OutcomeKind.UNPROVEN:
        return Verdict.UNPROVEN
    # A criterion that VERIFY found missed would have ended the cycle there.
    missed = any(judged.met is False for judged in cycle.criteria)
    return Verdict.RED if missed or _any_failed(cycle, "confirm") else Verdict.UNDELIVERED


def _any_failed(cycle: CycleRecord, phase: str) -> bool:
    return any(
        suite.judgement is not None
        and suite.facts.phase == phase
        and suite.judgement.outcome is SuiteOutcome.FAILED
        for suite in cycle.suites.values()
    )
