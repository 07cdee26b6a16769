"""What is otherwise than the last green run has left it: what serves, and what waits. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from loopctl.journal.wording import short
from loopctl.model.artifact import ServiceState
from loopctl.model.finding import Change
from loopctl.stages.traffic import said, shares

_PENDING: Final = " (not deployed: the green run's revision serves)"


def served_otherwise(
    state: ServiceState, run_id: str, verified: Mapping[str, str]
) -> Iterator[Change]:
    """Traffic, and the image behind it. `verified` are the revisions that the run verified."""
    good, serving = verified.get(state.service), shares(state)
    if good is None or serving == {good: 100}:
        return
    text = f"{said(serving)}; run {run_id} had verified {good}"
    yield Change("traffic", good, text, state.service)
    left = state.revision(good)
    for name in serving:
        found = state.revision(name)
        if found is None or left is None or found.digest == left.digest:
            continue
        image = f"{name} has {short(found.digest)}, {good} had {short(left.digest)}"
        yield Change("image", name, image, state.service)


def pending(
    wished: Sequence[Change], served: Sequence[Change], states: Sequence[ServiceState]
) -> Iterator[Change]:
    """What the loop and its source ask for now; said to wait where what was green still serves.

    `states` are those that are known: of others nobody knows what has reached them.
    """
    still = {state.service for state in states} - {change.service for change in served}
    for change in wished:
        waits = change.service in still if change.service else bool(still) and not served
        yield replace(change, text=f"{change.text}{_PENDING}") if waits else change


def is_pending(change: Change) -> bool:
    """Whether it cannot be a cause, for it has reached nobody yet."""
    return change.text.endswith(_PENDING)
