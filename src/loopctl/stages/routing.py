"""Sending a service's traffic somewhere, and reading back where it went."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from loopctl.journal.store import Journal
from loopctl.model.artifact import ServiceState
from loopctl.model.events import Intent, Routed
from loopctl.ports.leases import Held
from loopctl.ports.platform import Platform, PlatformError
from loopctl.process import Stop
from loopctl.stages.traffic import said, shares


def send(
    service: str,
    want: Mapping[str, int],
    why: Literal["promote", "restore"],
    platform: Platform,
    held: Callable[[], Held],
    journal: Journal,
    stop: Stop,
) -> ServiceState:
    """Send the traffic there, as the journal tells; the state as read back.

    Raises `PlatformError`, also when the traffic did not go where it should.
    """
    intent = Intent("route", f"{journal.cycle}/{service}/{why}", dict(want))
    with journal.effect(intent, service=service):
        after = platform.route(service, want, held(), stop)
    journal.append(Routed(after, why), service=service)
    require(after, want)
    return after


def require(state: ServiceState, want: Mapping[str, int]) -> None:
    """Raises `PlatformError` when the traffic is not where it should be."""
    if shares(state) != dict(want):
        raise PlatformError(
            f"traffic of {state.service} is {said(state.traffic)}, not {said(want)}",
            where=state.service,
        )
