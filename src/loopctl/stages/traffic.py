"""Who serves what share: compared, and in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from loopctl.journal import wording
from loopctl.journal.worklog import ServiceRecord
from loopctl.model.artifact import ServiceState


def traffic_moved(record: ServiceRecord, state: ServiceState) -> str | None:
    """What a stranger did to the traffic since this run last wrote or read it; None: nothing."""
    expected = record.routed or record.before
    if expected is None or shares(expected) == shares(state):
        return None
    return (
        f"traffic was {said(expected.traffic)} when this run last wrote or read it, "
        f"and is {said(state.traffic)} now"
    )


def shares(state: ServiceState | None) -> dict[str, int]:
    """Who serves, by name; revisions without a share are left out, none for a service not there."""
    traffic = state.traffic if state else {}
    return {name: percent for name, percent in traffic.items() if percent}


def said(traffic: Mapping[str, int]) -> str:
    """Traffic in words, within a sentence: `chat-00001-abc 100 %`, `nobody's`."""
    return wording.traffic(traffic) if any(traffic.values()) else "nobody's"
