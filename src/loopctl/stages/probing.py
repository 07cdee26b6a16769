"""Asking a service how it is, by the rules of its health spec: one way for every stage."""

from __future__ import annotations

from typing import Final

from loopctl.model.plan import HealthSpec
from loopctl.ports.probe import Answer, Prober, Unreachable
from loopctl.process import Stop
from loopctl.stages.callers import NOBODY, Caller

PROBE_TIMEOUT_S: Final = 10.0


def ask(
    prober: Prober, url: str, health: HealthSpec, stop: Stop, caller: Caller = NOBODY
) -> Answer | Unreachable:
    """GET the health path below `url`, for at most ten seconds of what `stop` leaves."""
    timeout = stop.remaining(PROBE_TIMEOUT_S)
    follow = health.redirects == "follow"
    bearer = caller.token.secret if caller.token else None
    return prober.get(url.rstrip("/") + health.path, timeout, follow, stop, bearer)
