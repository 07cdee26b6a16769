"""Where a run goes on that was interrupted or killed, in every state that it can be found in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakes import BEGAN
from loop_rig import a_service, run_started

from loopctl.errors import UsageError
from loopctl.journal.fold import WorklogFold
from loopctl.journal.worklog import Worklog
from loopctl.machine.resume import Entry, entry_of
from loopctl.machine.transitions import TRANSITIONS
from loopctl.model.events import Event, Payload, RunEnded, RunResumed, StageEntered, StageFinished
from loopctl.model.state import OutcomeKind as Kind
from loopctl.model.state import State, StopReason, Verdict

STATES = [state for state in State if not state.is_end]


class Past:
    """What a run has written."""

    def __init__(self) -> None:
        self._fold = WorklogFold()
        self._seq, self.cycle = 0, 0
        self.wave: int | None = None
        self.tell(run_started([a_service()], []))
        self.cycle = 1

    def tell(self, payload: Payload) -> Past:
        self._seq += 1
        self._fold.add(Event(self._seq, BEGAN, self.cycle, payload, self.wave))
        return self

    def stage(self, state: State, kind: Kind) -> Past:
        self.tell(StageEntered(state))
        return self.tell(StageFinished(state, kind, TRANSITIONS[state, kind], 0.1))

    def ended(self, verdict: Verdict) -> Past:
        return self.tell(RunEnded(verdict, 1, StopReason.INTERRUPTED, 0.1))

    @property
    def worklog(self) -> Worklog:
        return self._fold.snapshot()


def test_killed_before_its_first_stage_it_begins_at_the_beginning() -> None:
    assert entry_of(Past().worklog) == Entry(after="killed")


@pytest.mark.parametrize("state", STATES)
def test_killed_in_a_stage_it_enters_that_stage_again(state: State) -> None:
    assert entry_of(Past().tell(StageEntered(state)).worklog) == Entry(state, 1, after="killed")


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (state, kind)
        for (state, kind), to in TRANSITIONS.items()
        if not (state in (State.REMEDIATE, State.CONFIRM) or to.is_end)
        if kind not in (Kind.INTERRUPTED, Kind.MORE_WAVES)
    ],
)
def test_killed_between_two_stages_it_enters_the_one_that_follows(state: State, kind: Kind) -> None:
    entry = entry_of(Past().stage(state, kind).worklog)
    assert entry == Entry(TRANSITIONS[state, kind], 1, after="killed")


@pytest.mark.parametrize("kind", [k for s, k in TRANSITIONS if s is State.REMEDIATE])
def test_killed_after_a_remedy_it_enters_the_next_cycle_or_ends(kind: Kind) -> None:
    entry = entry_of(Past().stage(State.REMEDIATE, kind).worklog)
    goes = not TRANSITIONS[State.REMEDIATE, kind].is_end
    assert entry.cycle == (2 if goes else 1)
    assert entry.state is TRANSITIONS[State.REMEDIATE, kind]


def test_what_was_confirmed_before_the_kill_is_confirmed_again() -> None:
    entry = entry_of(Past().stage(State.CONFIRM, Kind.OK).worklog)
    assert (entry.state, entry.cycle) == (State.CONFIRM, 1)


@pytest.mark.parametrize("state", [State.DEPLOY, State.HEALTH])
def test_a_wave_that_was_begun_goes_on(state: State) -> None:
    past = Past()
    past.wave = 1
    assert entry_of(past.tell(StageEntered(state)).worklog).wave == 1


def test_after_a_deployment_its_own_wave_is_waited_for() -> None:
    past = Past()
    past.wave = 1
    entry = entry_of(past.stage(State.DEPLOY, Kind.OK).worklog)
    assert (entry.state, entry.wave) == (State.HEALTH, 1)


@pytest.mark.parametrize("wave", [0, 1])
def test_after_a_healthy_wave_the_next_one_is_deployed(wave: int) -> None:
    past = Past()
    past.wave = wave
    entry = entry_of(past.stage(State.HEALTH, Kind.MORE_WAVES).worklog)
    assert (entry.state, entry.wave) == (State.DEPLOY, wave + 1)


@pytest.mark.parametrize("state", [State.VERIFY, State.PROMOTE, State.SETTLE])
def test_beyond_the_waves_there_is_none(state: State) -> None:
    past = Past()
    past.wave = 1
    assert entry_of(past.tell(StageEntered(state)).worklog).wave is None


def test_killed_while_it_put_back_after_a_signal_it_begins_anew_afterwards() -> None:
    past = Past().stage(State.VERIFY, Kind.INTERRUPTED).tell(StageEntered(State.SETTLE))
    assert entry_of(past.worklog) == Entry(State.SETTLE, 1, again=True, after="killed")


def test_an_interrupted_run_begins_a_new_cycle() -> None:
    past = Past().stage(State.VERIFY, Kind.INTERRUPTED).stage(State.SETTLE, Kind.OK)
    worklog = past.ended(Verdict.INTERRUPTED).worklog
    assert entry_of(worklog) == Entry(State.PREFLIGHT, 2, after="interrupted")


def test_interrupted_before_its_first_cycle_it_begins_that() -> None:
    past = Past()
    past.cycle = 0
    worklog = past.ended(Verdict.INTERRUPTED).worklog
    assert entry_of(worklog) == Entry(State.PREFLIGHT, 1, after="interrupted")


def test_killed_once_more_after_it_was_gone_on_with() -> None:
    past = Past().stage(State.VERIFY, Kind.INTERRUPTED).ended(Verdict.INTERRUPTED)
    past.tell(RunResumed("0.1.0", 2, 2, "interrupted", State.PREFLIGHT))
    past.cycle = 2
    assert entry_of(past.tell(StageEntered(State.BUILD)).worklog) == Entry(
        State.BUILD, 2, after="killed"
    )


@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.INTERRUPTED])
def test_a_run_that_has_ended_by_itself_is_refused(verdict: Verdict) -> None:
    with pytest.raises(UsageError) as refused:
        entry_of(Past().stage(State.PREFLIGHT, Kind.OK).ended(verdict).worklog)
    (problem,) = refused.value.problems
    assert verdict.value in problem.message
    assert problem.hint == "loopctl run golden-path --env local"


def test_what_is_typed_instead_names_the_protected_environment_and_where_its_runs_are() -> None:
    past = Past().ended(Verdict.GREEN).worklog
    worklog = replace(past, run=replace(past.run, protected=True))
    with pytest.raises(UsageError) as refused:
        entry_of(worklog, Path("/var/runs"))
    (problem,) = refused.value.problems
    again = "loopctl --runs-dir /var/runs run golden-path --env local --confirm local"
    assert problem.hint == again
