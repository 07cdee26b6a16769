"""Who serves what share: compared, and in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from loopctl.journal import wording
from loopctl.journal.worklog import ServiceRecord
from loopctl.model.artifact import ServiceState
from loopctl.model.finding import Fault, FaultKind
from loopctl.model.outcome import Outcome
from loopctl.model.state import OutcomeKind

GONE = "it was taken down, or its host has ended"
"""Of a service that was there: no run takes it away."""


def traffic_moved(record: ServiceRecord, state: ServiceState) -> str | None:
    """What a stranger did to the service since this run last wrote or read it; None: nothing.

    A write of this run whose end nobody has seen, as a killed process leaves it, is no stranger's.
    """
    expected = record.seen
    if expected is None and not record.observed_before:
        return None
    now = shares(state)
    known = [shares(expected), *(_unread(record, state) if record.writing else ())]
    if expected is None:
        created = f"it was not there when this run looked, and {said(state.traffic)} serves now"
        return None if now in known or _was_made_by(record.run_id, state) else created
    if now not in known:
        return (
            f"traffic was {said(expected.traffic)} when this run last wrote or read it, "
            f"and is {said(state.traffic)} now"
        )
    if record.writing or state.generation == expected.generation:
        return None
    return (
        f"somebody has written to {state.service} since this run last did "
        f"(generation {state.generation}, not {expected.generation})"
    )


def as_moved(service: str, what: str) -> Outcome:
    """MOVED: somebody else has written to the service."""
    fault = Fault(FaultKind.MOVED, f"{service}: {what}", service)
    return Outcome(OutcomeKind.MOVED, fault.summary, (fault,))


def _unread(record: ServiceRecord, state: ServiceState) -> list[dict[str, int]]:
    """The traffic that a write of this run, begun and not read back, may have led to."""
    ours = (r.name for r in state.revisions if r.key is not None and r.key == record.deploy_key)
    return [dict(record.wanted or {}), *({name: 100} for name in ours)]


def _was_made_by(run_id: str, state: ServiceState) -> bool:
    """Whether all that serves is this run's own: a disk that broke may have lost its intent."""
    serving = [state.revision(name) for name in shares(state)]
    keys = [revision.key if revision else None for revision in serving]
    return all(key is not None and key.startswith(f"{run_id}/") for key in keys)


def shares(state: ServiceState | None) -> dict[str, int]:
    """Who serves, by name; revisions without a share are left out, none for a service not there."""
    traffic = state.traffic if state else {}
    return {name: percent for name, percent in traffic.items() if percent}


def said(traffic: Mapping[str, int]) -> str:
    """Traffic in words, within a sentence: `chat-00001-abc 100 %`, `nobody's`."""
    return wording.traffic(traffic) if any(traffic.values()) else "nobody's"
