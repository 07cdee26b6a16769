"""Which known causes loopctl acts upon without a rule of the loop file, in mode `auto`. Pure."""

from __future__ import annotations

from typing import Final

from loopctl.triage.signatures import Signature

OWN_ACTIONS: Final = frozenset({"rebuild", "retry", "rollback", "raise-memory", "wait"})
"""What loopctl does itself; a command stands in a loop file, never in a signature."""


def acts_alone(signature: Signature) -> bool:
    """Whether its remedy is ever done without a rule: allowed, and sure enough at its surest."""
    remedy = signature.remedy
    return (
        remedy.mode == "auto"
        and remedy.action in OWN_ACTIONS
        and remedy.limit > 0
        and surest(signature) >= signature.confidence.act_at
    )


def surest(signature: Signature) -> float:
    """The confidence, from 0 to 0.99, of a finding for which all that corroborates it was seen."""
    match = signature.match
    corroborating = len(match.all) + len(match.any) - (len(match.all) or 1)
    # What it explains corroborates it as well, once.
    corroborating += bool(signature.explains)
    return round(signature.confidence.raised(corroborating), 2)
