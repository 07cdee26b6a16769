"""What the transition table promises: no dead row, no way into a corner, no silent gap."""

import pytest

from loopctl.machine.transitions import TRANSITIONS, NoTransition, after
from loopctl.model.state import OutcomeKind as Kind
from loopctl.model.state import State
from pages.state_diagram import svg

WORKING = [state for state in State if not state.is_end]
ON_THE_PATH = WORKING[: WORKING.index(State.COLLECT)]
CHANGES_THINGS = ON_THE_PATH[1:]


def reachable(begin: State) -> set[State]:
    seen = {begin}
    while more := {to for (here, _), to in TRANSITIONS.items() if here in seen} - seen:
        seen |= more
    return seen


def test_every_state_is_reached_from_the_first() -> None:
    assert reachable(State.PREFLIGHT) == set(State)


@pytest.mark.parametrize("state", WORKING)
def test_from_every_state_there_is_a_way_to_an_end(state: State) -> None:
    assert State.STOPPED in reachable(state)


@pytest.mark.parametrize("state", WORKING)
@pytest.mark.parametrize("kind", [Kind.OK, Kind.ERRORED, Kind.INTERRUPTED, Kind.MOVED])
def test_what_any_stage_may_come_to_has_a_row_everywhere(state: State, kind: Kind) -> None:
    after(state, kind)  # the runner makes these out of any error, signal or lost lease


@pytest.mark.parametrize("state", CHANGES_THINGS)
@pytest.mark.parametrize("kind", [Kind.FAILED, Kind.ERRORED, Kind.UNPROVEN])
def test_evidence_is_kept_before_anything_is_put_back(state: State, kind: Kind) -> None:
    assert after(state, kind) is State.COLLECT
    assert after(State.COLLECT, Kind.OK) is State.SETTLE


@pytest.mark.parametrize("state", CHANGES_THINGS)
def test_an_interrupted_run_puts_back_what_it_changed(state: State) -> None:
    assert after(state, Kind.INTERRUPTED) is State.SETTLE


@pytest.mark.parametrize("state", WORKING)
def test_what_a_stranger_changed_is_left_alone(state: State) -> None:
    assert after(state, Kind.MOVED) is State.STOPPED


def test_green_is_reached_only_by_confirming_or_by_a_partial_run() -> None:
    ways = {(here, kind) for (here, kind), to in TRANSITIONS.items() if to is State.GREEN}
    assert ways == {(State.CONFIRM, Kind.OK), (State.SETTLE, Kind.PARTIAL)}


def test_nothing_but_a_passed_verification_leads_to_promotion() -> None:
    ways = {(here, kind) for (here, kind), to in TRANSITIONS.items() if to is State.PROMOTE}
    assert ways == {(State.VERIFY, Kind.OK)}


def test_the_loop_turns_only_where_a_remedy_sends_it() -> None:
    order = list(State)
    back = {
        (here, kind)
        for (here, kind), to in TRANSITIONS.items()
        if order.index(to) <= order.index(here)
    }
    assert back == {
        (State.HEALTH, Kind.MORE_WAVES),
        (State.REMEDIATE, Kind.GO_BUILD),
        (State.REMEDIATE, Kind.GO_DEPLOY),
        (State.REMEDIATE, Kind.GO_HEALTH),
        (State.REMEDIATE, Kind.GO_VERIFY),
    }


@pytest.mark.parametrize("end", [State.GREEN, State.STOPPED])
@pytest.mark.parametrize("kind", list(Kind))
def test_an_end_is_an_end(end: State, kind: Kind) -> None:
    with pytest.raises(NoTransition):
        after(end, kind)


def test_a_missing_row_names_both_and_what_to_do() -> None:
    with pytest.raises(NoTransition) as raised:
        after(State.PREFLIGHT, Kind.PARTIAL)
    assert "preflight" in str(raised.value)
    assert "partial" in str(raised.value)
    assert "report" in str(raised.value)


def test_the_drawing_names_every_outcome_of_every_state_that_has_a_place_of_its_own() -> None:
    drawn = svg()
    for here in (State.PREFLIGHT, State.COLLECT, State.SETTLE, State.DIAGNOSE, State.REMEDIATE):
        for there in {to for (state, _), to in TRANSITIONS.items() if state is here}:
            kinds = [k.value for (s, k), to in TRANSITIONS.items() if (s, to) == (here, there)]
            assert f">{', '.join(kinds)}</text>" in drawn, f"{here.value} to {there.value}"
