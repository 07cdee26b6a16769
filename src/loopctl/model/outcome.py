"""How a stage ended: the only thing a stage returns."""

from __future__ import annotations

from dataclasses import dataclass

from loopctl.model.finding import Fault
from loopctl.model.state import OutcomeKind

LEFT_AS_IT_IS = "left as it is (--keep)"
"""The detail by which SETTLE, told to put nothing back, is known later."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A stage's end. `detail` is one line for people, `faults` what went wrong."""

    kind: OutcomeKind
    detail: str = ""
    faults: tuple[Fault, ...] = ()


_BADNESS = (
    OutcomeKind.OK,
    OutcomeKind.PARTIAL,
    OutcomeKind.MORE_WAVES,
    OutcomeKind.UNPROVEN,
    OutcomeKind.FAILED,
    OutcomeKind.ERRORED,
    OutcomeKind.MOVED,
    OutcomeKind.INTERRUPTED,
)


def worst(outcomes: list[Outcome]) -> Outcome:
    """Merge what ran side by side: the worst kind, the details and the faults of all."""
    if not outcomes:
        return Outcome(OutcomeKind.OK)
    ordered = sorted(outcomes, key=lambda outcome: -_BADNESS.index(outcome.kind))
    kind = ordered[0].kind
    details = [o.detail for o in ordered if o.detail and (o.kind is kind or o.faults)]
    faults = tuple(fault for outcome in ordered for fault in outcome.faults)
    return Outcome(kind, "; ".join(dict.fromkeys(details)), faults)
