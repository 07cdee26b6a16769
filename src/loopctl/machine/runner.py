"""Drives the stages: asks the table where to go, and writes down every step."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from loopctl.errors import LoopctlError, Stopped, StorageError
from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord
from loopctl.machine.lease import LEASE_LOST
from loopctl.machine.transitions import after
from loopctl.model.events import StageEntered, StageFinished
from loopctl.model.finding import Fault, FaultKind
from loopctl.model.outcome import Outcome
from loopctl.model.state import OutcomeKind, State
from loopctl.ports.leases import LeaseLost
from loopctl.process import Stop


class Stage(Protocol):
    """One step of the loop. It raises nothing on purpose but `Stopped`."""

    def __call__(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> Outcome:
        """Do the step, writing events; the outcome moves the machine."""
        ...


_OWN_TIME: Mapping[State, float] = {
    State.COLLECT: 60.0,
    State.SETTLE: 300.0,
    State.DIAGNOSE: 60.0,
    State.REMEDIATE: 60.0,
}
"""Seconds for the stages that must run even when the run's own time is up."""

RESTORE_AFTER_SIGNAL_S = 5.0

_SIGNALS = ("SIGINT", "SIGTERM")


@dataclass(frozen=True, slots=True)
class Walk:
    """How the machine came to its end. `internal` is a fault of loopctl itself."""

    end: State
    internal: str | None = None


class Runner:
    """Walks one run from PREFLIGHT to an end state."""

    def __init__(
        self,
        stages: Mapping[State, Stage],
        journal: Journal,
        stop: Stop,
        on_crash: Callable[[BaseException], None],
    ) -> None:
        self._stages = stages
        self._journal = journal
        self._stop = stop
        self._on_crash = on_crash
        self._internal: str | None = None

    def walk(self) -> Walk:
        """Run to the end; every transition is a row of the table."""
        state = State.PREFLIGHT
        self._journal.cycle = 1
        while not state.is_end:
            state = self._step(state)
        return Walk(state, self._internal)

    def _step(self, state: State) -> State:
        began = time.monotonic()
        outcome = self._outcome(state)
        following = after(state, outcome.kind)
        finished = StageFinished(
            state,
            outcome.kind,
            following,
            time.monotonic() - began,
            outcome.detail,
            outcome.faults,
        )
        self._write(finished)
        self._number(state, outcome.kind)
        return following

    def _outcome(self, state: State) -> Outcome:
        try:
            self._number_wave(state)
            self._journal.append(StageEntered(state))
            outcome = self._stages[state](
                self._journal.fold.cycle(), self._journal, self._stop_for(state)
            )
        except Stopped as stopped:
            outcome = self._stopped(state, stopped.reason)
        except StorageError as error:
            # Without a disk there are no more new effects, but what was changed is put back.
            self._journal.detach()
            outcome = _errored(FaultKind.STORAGE, error)
        except LeaseLost as error:
            outcome = Outcome(OutcomeKind.MOVED, str(error), (_fault(FaultKind.MOVED, error),))
        except LoopctlError as error:
            outcome = _errored(FaultKind.CONTROL_PLANE, error)
        except Exception as error:  # noqa: BLE001 - traffic is put back whatever broke
            self._internal = f"{type(error).__name__}: {error}"
            self._on_crash(error)
            outcome = _errored(FaultKind.CONTROL_PLANE, error)
        return self._as_interrupted(state, outcome)

    def _as_interrupted(self, state: State, outcome: Outcome) -> Outcome:
        """A signal that came while a stage finished its step: it ends the run all the same.

        What the stage says then is the signal's doing, so it is no evidence of anything.
        """
        if self._stop.reason not in _SIGNALS or outcome.kind is OutcomeKind.MOVED:
            return outcome
        good = outcome.kind in (OutcomeKind.OK, OutcomeKind.MORE_WAVES, OutcomeKind.PARTIAL)
        if good or state not in _OWN_TIME:
            return Outcome(OutcomeKind.INTERRUPTED, outcome.detail)
        return outcome

    def _stopped(self, state: State, reason: str) -> Outcome:
        if reason in _SIGNALS:
            return Outcome(OutcomeKind.INTERRUPTED, f"stopped by {reason}")
        if reason == LEASE_LOST:
            return Outcome(OutcomeKind.MOVED, "the lease was lost to another run")
        unproven = state in (State.VERIFY, State.CONFIRM)
        kind = OutcomeKind.UNPROVEN if unproven else OutcomeKind.ERRORED
        return Outcome(kind, f"{state.value} was not finished: {reason}")

    def _stop_for(self, state: State) -> Stop:
        if state not in _OWN_TIME:
            self._stop.remaining(0)
            return self._stop
        if self._stop.reason in _SIGNALS and state is State.SETTLE:
            return Stop(RESTORE_AFTER_SIGNAL_S)
        return Stop(_OWN_TIME[state])

    def _number_wave(self, state: State) -> None:
        if state in (State.PREFLIGHT, State.BUILD, State.VERIFY):
            self._journal.wave = None
        elif state is State.DEPLOY and self._journal.wave is None:
            self._journal.wave = 0

    def _number(self, state: State, kind: OutcomeKind) -> None:
        if state is State.HEALTH and kind is OutcomeKind.MORE_WAVES:
            self._journal.wave = (self._journal.wave or 0) + 1
        elif state is State.HEALTH:
            self._journal.wave = None
        elif state is State.REMEDIATE and kind.value.startswith("go-"):
            self._journal.cycle += 1

    def _write(self, finished: StageFinished) -> None:
        try:
            self._journal.append(finished)
        except StorageError:
            self._journal.detach()
            self._journal.append(finished)


def _fault(kind: FaultKind, error: BaseException) -> Fault:
    hint = error.hint if isinstance(error, LoopctlError) else None
    what = error.what if isinstance(error, LoopctlError) else f"{type(error).__name__}: {error}"
    return Fault(kind, what, hint=hint)


def _errored(kind: FaultKind, error: BaseException) -> Outcome:
    fault = _fault(kind, error)
    return Outcome(OutcomeKind.ERRORED, fault.summary, (fault,))
