"""Drives the stages: asks the table where to go, and writes down every step."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from loopctl.errors import SIGNAL_EXITS, LoopctlError, Stopped, StorageError
from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord
from loopctl.machine.lease import LEASE_LOST
from loopctl.machine.resume import Entry
from loopctl.machine.transitions import NoTransition, after
from loopctl.model.events import StageEntered, StageFinished
from loopctl.model.finding import Fault, FaultKind
from loopctl.model.outcome import Outcome
from loopctl.model.state import OutcomeKind, State
from loopctl.ports.leases import LeaseLost
from loopctl.process import Stop

T = TypeVar("T")


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
"""Seconds for the stages that must run even when the run's own time is up.

REMEDIATE has the run's own time while there is any: a remedy may take long.
"""

_AFTER_SIGNAL: Mapping[State, float] = {
    State.COLLECT: 2.0,
    State.SETTLE: 5.0,
    State.DIAGNOSE: 2.0,
    State.REMEDIATE: 2.0,
}
"""Seconds for the same stages once somebody has asked the run to stop."""

_STILL_DONE = _OWN_TIME.keys() - {State.REMEDIATE}
"""The stages that run without a disk too: they begin nothing that a later process must know of."""

_LOST = "the lease was lost to another run"
_NO_JOURNAL = "nothing more is begun: the journal cannot be written"

_BAD = frozenset(
    {
        OutcomeKind.FAILED,
        OutcomeKind.ERRORED,
        OutcomeKind.UNPROVEN,
        OutcomeKind.INTERRUPTED,
        OutcomeKind.MOVED,
    }
)


Rejoin = Callable[[CycleRecord, Stop], Outcome | None]
"""Looks at the world before a resumed run touches it.

None: go on. GO_DEPLOY: what was deployed is gone, deploy it again. Else: how the stage ends.
"""

_BEGINNING = Entry()

_LOOKS_FIRST = frozenset({State.DEPLOY, State.HEALTH, State.VERIFY, State.PROMOTE, State.CONFIRM})
"""The states that act on what an earlier process left; SETTLE looks for itself."""


@dataclass(frozen=True, slots=True)
class Walk:
    """How the machine came to its end. `internal` is a fault of loopctl itself."""

    end: State
    internal: str | None = None


class Runner:
    """Walks one run from where it is entered to an end state."""

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
        self._settled: Outcome | None = None

    def walk(self, entry: Entry = _BEGINNING, rejoin: Rejoin | None = None) -> Walk:
        """Run to the end; every transition is a row of the table.

        A run that is resumed looks at the world by `rejoin` before it acts on what it had left.
        """
        state = entry.state
        self._journal.cycle, self._journal.wave = entry.cycle, entry.wave
        if rejoin is not None and state in _LOOKS_FIRST:
            state = self._rejoined(state, rejoin)
        end = self._to_the_end(state)
        went_on = self._journal.cycle != entry.cycle
        if entry.again and end is State.STOPPED and not went_on and self._may_begin_anew():
            self._journal.cycle += 1
            end = self._to_the_end(State.PREFLIGHT)
        return Walk(end, self._internal)

    def _may_begin_anew(self) -> bool:
        """Whether what the cycle had changed is back, and nobody has said to stop."""
        if self._stop.reason is not None or not self._journal.is_durable:
            return False
        cycle = self._journal.fold.cycle()
        ends = {(stage.stage, stage.kind) for stage in cycle.stages}
        moved = any(kind is OutcomeKind.MOVED for _, kind in ends)
        unsettled = (State.SETTLE, OutcomeKind.ERRORED) in ends
        return cycle.remedy is None and not moved and not unsettled

    def _to_the_end(self, state: State) -> State:
        while not state.is_end:
            state = self._step(state)
        return state

    def _rejoined(self, state: State, rejoin: Rejoin) -> State:
        """The state to enter; what the look has settled is how its stage will end."""
        found = self._guarded(state, lambda: rejoin(self._journal.fold.cycle(), self._stop))
        if found is not None and found.kind is OutcomeKind.GO_DEPLOY:
            self._journal.wave = None
            return State.DEPLOY
        self._settled = found
        return state

    def _step(self, state: State) -> State:
        began = time.monotonic()
        outcome = self._with_row(state, self._outcome(state))
        seconds = time.monotonic() - began
        try:
            self._journal.append(_finished(state, outcome, seconds))
        except StorageError as error:
            self._journal.detach()
            if state not in _STILL_DONE and outcome.kind not in _BAD:
                # A good end that nobody can read later is none: what was changed is put back.
                outcome = _errored(FaultKind.STORAGE, error)
            self._journal.append(_finished(state, outcome, seconds))
        self._number(state, outcome.kind)
        return after(state, outcome.kind)

    def _with_row(self, state: State, outcome: Outcome) -> Outcome:
        """The outcome, or one that has a row in the table: traffic is put back whatever broke."""
        try:
            after(state, outcome.kind)
        except NoTransition as error:
            return self._crashed(error)
        return outcome

    def _outcome(self, state: State) -> Outcome:
        def work() -> Outcome:
            self._number_wave(state)
            self._enter(state)
            settled, self._settled = self._settled, None
            if not self._journal.is_durable and state not in _STILL_DONE:
                return Outcome(OutcomeKind.ERRORED, _NO_JOURNAL)
            return settled or self._run(state)

        return self._as_stopped(state, self._guarded(state, work))

    def _guarded(self, state: State, work: Callable[[], T]) -> T | Outcome:
        """What `work` gives, or the outcome that whatever it raised stands for."""
        try:
            return work()
        except Stopped as stopped:
            return self._stopped(state, stopped.reason)
        except StorageError as error:
            # Without a disk there are no more new effects, but what was changed is put back.
            self._journal.detach()
            return _errored(FaultKind.STORAGE, error)
        except LeaseLost as error:
            return Outcome(OutcomeKind.MOVED, error.what, (_fault(FaultKind.MOVED, error),))
        except LoopctlError as error:
            return _errored(FaultKind.CONTROL_PLANE, error)
        except Exception as error:  # noqa: BLE001 - traffic is put back whatever broke
            return self._crashed(error)

    def _enter(self, state: State) -> None:
        try:
            self._journal.append(StageEntered(state))
        except StorageError:
            self._journal.detach()
            self._journal.append(StageEntered(state))
            if state not in _STILL_DONE:
                raise

    def _run(self, state: State) -> Outcome:
        stage = self._stages[state]
        with self._time_for(state) as stop:
            try:
                return stage(self._journal.fold.cycle(), self._journal, stop)
            except StorageError:
                if state is not State.SETTLE or not self._journal.is_durable:
                    raise
                # The disk failed while traffic was put back: that is observed anew and repeated.
                self._journal.detach()
                return stage(self._journal.fold.cycle(), self._journal, stop)

    def _crashed(self, error: Exception) -> Outcome:
        self._internal = f"{type(error).__name__}: {error}"
        with contextlib.suppress(StorageError):
            self._on_crash(error)
        return _errored(FaultKind.CONTROL_PLANE, error)

    def _as_stopped(self, state: State, outcome: Outcome) -> Outcome:
        """A signal or a lost lease that came while a stage finished its step ends the run too.

        What the stage says after a signal is the signal's doing, so it is no evidence of anything.
        """
        if outcome.kind is OutcomeKind.MOVED:
            return outcome
        if self._stop.reason == LEASE_LOST:
            return Outcome(OutcomeKind.MOVED, _LOST, outcome.faults)
        signalled = self._stop.reason in SIGNAL_EXITS
        if signalled and (outcome.kind not in _BAD or state not in _OWN_TIME):
            return Outcome(OutcomeKind.INTERRUPTED, outcome.detail)
        if (
            state is State.SETTLE
            and outcome.kind not in _BAD
            and self._journal.fold.cycle().says_nothing
        ):
            # The process that was told to stop was killed as it put things back: no remedy is
            # asked for by a cycle that says nothing.
            return Outcome(OutcomeKind.INTERRUPTED, outcome.detail)
        return outcome

    def _stopped(self, state: State, reason: str) -> Outcome:
        if reason in SIGNAL_EXITS:
            return Outcome(OutcomeKind.INTERRUPTED, f"stopped by {reason}")
        if reason == LEASE_LOST:
            return Outcome(OutcomeKind.MOVED, _LOST)
        unproven = state in (State.VERIFY, State.CONFIRM)
        kind = OutcomeKind.UNPROVEN if unproven else OutcomeKind.ERRORED
        return Outcome(kind, f"{state.value} was not finished: {reason}")

    @contextlib.contextmanager
    def _time_for(self, state: State) -> Iterator[Stop]:
        if state not in _OWN_TIME:
            self._stop.remaining(0)
            yield self._stop
        elif self._stop.reason in SIGNAL_EXITS:
            yield Stop(_AFTER_SIGNAL[state])
        elif state is State.REMEDIATE and self._stop.reason is None:
            yield self._stop
        elif state is State.SETTLE:
            # A restore that has begun is not given up for a signal.
            yield Stop(_OWN_TIME[state])
        else:
            with self._stop.child(_OWN_TIME[state], beyond=True) as own:
                yield own

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
            self._journal.cycle, self._journal.wave = self._journal.cycle + 1, None


def _finished(state: State, outcome: Outcome, seconds: float) -> StageFinished:
    following = after(state, outcome.kind)
    return StageFinished(state, outcome.kind, following, seconds, outcome.detail, outcome.faults)


def _fault(kind: FaultKind, error: BaseException) -> Fault:
    hint = error.hint if isinstance(error, LoopctlError) else None
    what = error.what if isinstance(error, LoopctlError) else f"{type(error).__name__}: {error}"
    if isinstance(error, StorageError) and error.where:
        what = f"{what} ({error.where})"
    return Fault(kind, what, hint=hint)


def _errored(kind: FaultKind, error: BaseException) -> Outcome:
    fault = _fault(kind, error)
    return Outcome(OutcomeKind.ERRORED, fault.summary, (fault,))
