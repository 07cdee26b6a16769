"""How a revision and its service are, by their conditions. Pure.

Ready alone decides: a healthy revision without traffic shows RETIRED and its Active has failed
(facts/cloud-run.md section 2.2).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final

from google.cloud.run_v2 import Condition, Revision, Service

from loopctl.inert import one_line
from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.platforms.cloud_run.known import advice_on
from loopctl.platforms.cloud_run.names import Names, short

_SUCCEEDED: Final = int(Condition.State.CONDITION_SUCCEEDED)
_FAILED: Final = int(Condition.State.CONDITION_FAILED)
_ERROR: Final = int(Condition.Severity.ERROR)
_LONGEST: Final = 1200
_SUMMARY: Final = 300


class Readiness(Enum):
    """What the condition Ready says."""

    READY = "ready"
    FAILED = "failed"
    WAITING = "waiting"


def readiness(revision: Revision) -> Readiness:
    """Whether a revision came to be ready; one that says nothing yet is waited for."""
    ready = _of_type(revision.conditions, "Ready")
    match _state(ready) if ready is not None else 0:
        case state if state == _SUCCEEDED:
            return Readiness.READY
        case state if state == _FAILED:
            return Readiness.FAILED
        case _:
            return Readiness.WAITING


def has_failed(service: Service) -> bool:
    """Whether the service has come to rest otherwise than it was told."""
    if service.reconciling:
        return False
    state = _state(service.terminal_condition)
    # Where the one that sums them up is missing, those that it is made of tell.
    return state == _FAILED if state else any(_is_error(each) for each in service.conditions)


def why_failed(revision: Revision | None, service: Service | None) -> tuple[str, str]:
    """The text that tells why, and the condition's type; empty where none tells.

    The revision's own Ready, then what else of it failed as an error, then the service's.
    """
    found: list[Condition] = []
    if revision is not None:
        found += _failed(revision.conditions)
    if service is not None:
        found += _failed([service.terminal_condition, *service.conditions])
    told = next((each for each in found if each.message), None)
    return (told.message, told.type_) if told is not None else ("", "")


def fault_of(text: str, condition: str, service: str, revision: str, names: Names) -> Fault:
    """The fault that a text of Cloud Run tells of; quoted, with what mends it where it is known."""
    told = one_line(text, limit=_LONGEST) or "Cloud Run gives no reason"
    advice = advice_on(f"{text} ", names, service)
    cause = advice.cause if advice is not None else one_line(text, limit=_SUMMARY) or told
    return Fault(
        advice.kind if advice is not None else FaultKind.CONTROL_PLANE,
        f"{service}: {cause}",
        service,
        quotes=(Quote("condition", f"{condition or 'operation'} of {revision}", told),),
        hint=advice.fix
        if advice is not None
        else f"gcloud run revisions describe {revision} "
        f"--region={names.region} --project={names.project}",
    )


def is_told(revision: Revision) -> bool:
    """Whether the revision itself says how far it is."""
    return _of_type(revision.conditions, "Ready") is not None


def is_newest_ready(service: Service, revision: str) -> bool:
    """Whether the newest that is ready is that one, and nothing is under way."""
    settled = not service.reconciling and not has_failed(service)
    return settled and short(service.latest_ready_revision) == revision


def has_come_to_rest(service: Service, revision: str) -> bool:
    """Whether it says of itself that it is ready, with that revision as its newest."""
    newest = short(service.latest_created_revision) == revision
    succeeded = _state(service.terminal_condition) == _SUCCEEDED
    return newest and succeeded and is_newest_ready(service, revision)


def _of_type(conditions: Iterable[Condition], name: str) -> Condition | None:
    return next((each for each in conditions if each.type_ == name), None)


def _is_error(condition: Condition) -> bool:
    """Whether it failed and matters; a severity that is not told is that of an error."""
    return _state(condition) == _FAILED and _severity(condition) in (0, _ERROR)


def _failed(conditions: Iterable[Condition]) -> list[Condition]:
    """Those that failed, the decisive first: Ready, else what is told with severity ERROR."""
    failed = [c for c in conditions if _state(c) == _FAILED]
    decisive = [c for c in failed if c.type_ == "Ready"]
    return [*decisive, *(c for c in failed if c not in decisive and _severity(c) == _ERROR)]


# A number that is newer than the client would make it warn on whoever's terminal this is.
def _state(condition: Condition) -> int:
    return int(Condition.pb(condition).state)


def _severity(condition: Condition) -> int:
    return int(Condition.pb(condition).severity)
