"""Conditions of services and revisions: facts/cloud-run.md 2.1 and 2.2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from emulator.run_messages import (
    CommonReason,
    Condition,
    ConditionPb,
    EnumPb,
    RevisionPb,
    RevisionReason,
    ServicePb,
    Severity,
    State,
)

SEVERITY_OF = {State.CONDITION_FAILED: Severity.ERROR}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a revision is not ready. `reason` is a CommonReason or a RevisionReason.

    `contained`: the container was there, it was its health that was bad.
    """

    text: str
    reason: EnumPb
    contained: bool = False


def condition(
    kind: str,
    state: EnumPb,
    message: str = "",
    reason: EnumPb | None = None,
    severity: EnumPb | None = None,
) -> ConditionPb:
    """A condition that came to be now."""
    made = Condition(type_=kind, state=int(state), message=message)
    made.last_transition_time.GetCurrentTime()
    made.severity = int(severity if severity is not None else SEVERITY_OF.get(state, 0))
    if isinstance(reason, CommonReason):
        made.reason = int(reason)
    elif reason is not None:
        made.revision_reason = int(reason)
    return made


def find(resource: Any, kind: str) -> ConditionPb | None:
    """The condition of this type."""
    return next((found for found in resource.conditions if found.type_ == kind), None)


def reconciling(service: ServicePb) -> None:
    """A service on its way to another state."""
    waiting = State.CONDITION_RECONCILING
    _service(service, [condition(kind, waiting) for kind in ("Ready", *_SERVICE_PARTS)])


def succeeded(service: ServicePb) -> None:
    done = State.CONDITION_SUCCEEDED
    _service(service, [condition(kind, done) for kind in ("Ready", *_SERVICE_PARTS)])


def failed(service: ServicePb, message: str, reason: EnumPb) -> None:
    """A service whose last change failed, whatever still serves."""
    bad = State.CONDITION_FAILED
    _service(
        service, [condition(kind, bad, message, reason) for kind in ("Ready", *_SERVICE_PARTS)]
    )


_SERVICE_PARTS = ("RoutesReady", "ConfigurationsReady")


def _service(service: ServicePb, conditions: list[ConditionPb]) -> None:
    service.terminal_condition.CopyFrom(conditions[0])
    del service.conditions[:]
    service.conditions.extend(conditions[1:])


def revision_pending(revision: RevisionPb) -> None:
    _revision(revision, [condition("Ready", State.CONDITION_RECONCILING)])


def revision_failed(revision: RevisionPb, failure: Failure) -> None:
    bad, good = State.CONDITION_FAILED, State.CONDITION_SUCCEEDED
    parts = [condition("Ready", bad, failure.text, failure.reason)]
    if failure.contained:
        parts.append(condition("ContainerReady", good))
        parts.append(condition("ContainerHealthy", bad, failure.text, failure.reason))
    else:
        parts.append(condition("ContainerReady", bad, failure.text, failure.reason))
    _revision(revision, parts)


def revision_serving(revision: RevisionPb) -> None:
    """A healthy revision that has traffic."""
    done = State.CONDITION_SUCCEEDED
    kinds = ("Ready", "Active", *_HEALTHY, "MinInstancesProvisioned")
    _revision(revision, [condition(kind, done) for kind in kinds])


def revision_retired(revision: RevisionPb) -> None:
    """A healthy revision that has none: Ready, and yet two of its conditions are FAILED."""
    done, bad = State.CONDITION_SUCCEEDED, State.CONDITION_FAILED
    retired, info = RevisionReason.RETIRED, Severity.INFO
    told = [condition("Ready", done, "", retired)]
    told.append(condition("Active", bad, "Revision retired.", retired, info))
    told += [condition(kind, done) for kind in _HEALTHY]
    told.append(condition("MinInstancesProvisioned", bad, "Revision retired.", retired, info))
    _revision(revision, told)


_HEALTHY = ("ContainerReady", "ContainerHealthy", "ResourcesAvailable")


def _revision(revision: RevisionPb, conditions: list[ConditionPb]) -> None:
    del revision.conditions[:]
    revision.conditions.extend(conditions)


def is_healthy(revision: RevisionPb) -> bool:
    """Whether its Ready says so."""
    ready = find(revision, "Ready")
    return ready is not None and ready.state == int(State.CONDITION_SUCCEEDED)
