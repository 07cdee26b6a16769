"""Every transition of the machine, in one table; nothing here does anything.

The table is the documentation: `docs/state-machine.md` and its drawing are made from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

from loopctl.errors import LoopctlError
from loopctl.model.state import PATH, State
from loopctl.model.state import OutcomeKind as Kind


class NoTransition(LoopctlError):
    """The machine was told of an outcome that its state cannot have: a fault of loopctl."""


_GO = {
    Kind.GO_BUILD: State.BUILD,
    Kind.GO_DEPLOY: State.DEPLOY,
    Kind.GO_HEALTH: State.HEALTH,
    Kind.GO_VERIFY: State.VERIFY,
}


def _table() -> dict[tuple[State, Kind], State]:
    table: dict[tuple[State, Kind], State] = {}
    for here, following in pairwise(PATH):
        table[here, Kind.OK] = following
    for here in PATH[1:-1]:
        for kind in (Kind.FAILED, Kind.ERRORED, Kind.UNPROVEN):
            table[here, kind] = State.COLLECT
        # A run that is told to stop puts back what it changed before it goes.
        table[here, Kind.INTERRUPTED] = State.SETTLE
        # What a stranger changed is a stranger's: nothing is put back.
        table[here, Kind.MOVED] = State.STOPPED
    for kind in (Kind.FAILED, Kind.ERRORED, Kind.INTERRUPTED, Kind.MOVED):
        table[State.PREFLIGHT, kind] = State.STOPPED
    for kind, state in _GO.items():
        table[State.PREFLIGHT, kind] = state
        table[State.REMEDIATE, kind] = state
    table[State.HEALTH, Kind.MORE_WAVES] = State.DEPLOY
    # A partial run never promotes: what it deployed is discarded, and the verdict stands.
    table[State.VERIFY, Kind.PARTIAL] = State.SETTLE
    table[State.SETTLE, Kind.PARTIAL] = State.GREEN
    # Evidence that cannot be kept must not keep traffic from being put back.
    for kind in (Kind.OK, Kind.ERRORED, Kind.INTERRUPTED):
        table[State.COLLECT, kind] = State.SETTLE
    # A restore that failed is diagnosed too, and ends the run in REMEDIATE.
    for kind in (Kind.OK, Kind.ERRORED):
        table[State.SETTLE, kind] = State.DIAGNOSE
        table[State.DIAGNOSE, kind] = State.REMEDIATE
    for here in (State.SETTLE, State.DIAGNOSE, State.REMEDIATE):
        table[here, Kind.INTERRUPTED] = State.STOPPED
    for here in (State.COLLECT, State.SETTLE, State.DIAGNOSE, State.REMEDIATE):
        table[here, Kind.MOVED] = State.STOPPED
    for kind in (Kind.OK, Kind.FAILED, Kind.ERRORED):
        table[State.REMEDIATE, kind] = State.STOPPED
    return table


TRANSITIONS: Mapping[tuple[State, Kind], State] = MappingProxyType(_table())


def after(state: State, kind: Kind) -> State:
    """The state that follows; raises `NoTransition` naming both where there is no row."""
    try:
        return TRANSITIONS[state, kind]
    except KeyError:
        raise NoTransition(
            f"no transition from {state.value} for the outcome {kind.value}",
            hint="this is a fault of loopctl; please report it with the journal",
        ) from None
