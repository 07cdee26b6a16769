"""What the look at one service brought, and how it is by that. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from loopctl.model.artifact import Revision, ServiceState
from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.ports.leases import Held
from loopctl.stages.traffic import GONE, shares
from loopctl.triage.symptoms import RequestLog, ServiceFacts, ServiceLog
from loopctl.triage.triaged import Captured, ServiceLook

_NEWER: Final = 3
"""Of the revisions that came after what serves, so many are looked at."""

_BEFORE: Final = timedelta(minutes=1)
_EVER: Final = datetime.min.replace(tzinfo=UTC)
_ANSWERS: Final = (FaultKind.STATUS, FaultKind.BODY, FaultKind.UNREACHABLE)


@dataclass(frozen=True, slots=True)
class Looked:
    """What the look at one service brought.

    `state` is who serves, None where nobody does or that is not known. `faults` are those that a
    cause is looked for; `held` is a run that is going on, `known_good` are the verified revisions,
    the newest first, and `dead` those that are dead, of what serves or is newer.
    """

    look: ServiceLook
    state: ServiceState | None = None
    faults: tuple[Fault, ...] = ()
    logs: tuple[ServiceLog, ...] = ()
    requests: tuple[RequestLog, ...] = ()
    facts: tuple[ServiceFacts, ...] = ()
    captured: tuple[Captured, ...] = ()
    unknown: tuple[str, ...] = ()
    held: Held | None = None
    known_good: tuple[str, ...] = ()
    dead: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """How a service answered. `faults` is None where nobody could ask it."""

    faults: tuple[Fault, ...] | None
    latency_s: float | None
    url: str | None


def absent(service: str, known_good: Sequence[str]) -> Looked:
    """Nobody serves it: it was never there, or is not there any more."""
    if known_good:
        said = f"{service} is not there any more: {GONE}"
        fault = Fault(FaultKind.UNSTABLE, said, service)
    else:
        fault = Fault(FaultKind.NEVER_READY, f"{service} was never deployed here", service)
    return Looked(ServiceLook(service, "absent", faults=(fault,)))


def unseen(service: str, why: Fault, health: Health) -> Looked:
    """Nobody could tell who serves it; how it answers may be known all the same."""
    faults = health.faults or ()
    look = ServiceLook(
        service,
        "unhealthy" if faults else "unknown",
        url=health.url,
        latency_s=health.latency_s,
        faults=(why, *faults),
    )
    return Looked(look, faults=faults)


def serving(
    state: ServiceState, known_good: Sequence[str], dead: Mapping[str, Fault], health: Health
) -> Looked:
    """Somebody serves it."""
    traffic = shares(state)
    verified = frozenset(known_good) & traffic.keys()
    answered = tuple(
        _once_healthy(fault) if traffic.keys() <= verified else fault
        for fault in health.faults or ()
        # That nobody answers for the dead says nothing new.
        if not (fault.kind is FaultKind.UNREACHABLE and traffic.keys() & dead.keys())
    )
    ill = bool(health.faults) or bool(traffic.keys() & dead.keys())
    faults = (*dead.values(), *answered)
    created = [each.created_at for each in revisions_of(state) if each.created_at > _EVER]
    look = ServiceLook(
        state.service,
        "unhealthy" if ill else "unknown" if health.faults is None else "healthy",
        traffic=traffic,
        verified=verified,
        since=max(created, default=None),
        url=health.url,
        latency_s=health.latency_s,
        faults=faults,
    )
    return Looked(look, state, faults, dead=tuple(dead))


def _once_healthy(fault: Fault) -> Fault:
    """What was verified was healthy once: its fault is that it is so no more."""
    if fault.kind not in _ANSWERS:
        return fault
    said = f"{fault.summary}, after a green run had verified it"
    return replace(fault, kind=FaultKind.UNSTABLE, summary=said)


def redacted(fault: Fault, redact: Callable[[str], str]) -> Fault:
    """The fault without any secret that the service may have said."""
    quotes = tuple(Quote(q.kind, q.source, redact(q.quote)) for q in fault.quotes)
    value = None if fault.value is None else redact(fault.value)
    return replace(fault, summary=redact(fault.summary), value=value, quotes=quotes)


def revisions_of(state: ServiceState) -> Iterator[Revision]:
    """The revisions with traffic; one that is not listed any more is known by its name alone."""
    for name in shares(state):
        yield state.revision(name) or Revision(state.service, name, "", _EVER)


def newer_than_serving(state: ServiceState, since: datetime) -> Sequence[Revision]:
    """Those made after all that serve, the newest first, none that is older than `since`."""
    takes = shares(state)
    oldest = max([since, *(r.created_at for r in state.revisions if r.name in takes)])
    newer = [r for r in state.revisions if r.created_at > oldest and r.name not in takes]
    return sorted(newer, key=lambda r: r.created_at, reverse=True)[:_NEWER]


def birth(revision: Revision) -> datetime:
    """From when on its log may begin."""
    return revision.created_at - _BEFORE if revision.created_at > _EVER + _BEFORE else _EVER
