"""Troubles on demand: what goes wrong with the next calls and the next deploys."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum, auto

import grpc  # type: ignore[import-untyped]
from google.longrunning import operations_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2

from emulator.rpc import RpcFault


class Drop(Exception):
    """The connection that asked is cut, without an answer."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to a call of a method.

    `after`: the effect is done first, so that the caller cannot know of it. `delay_s` goes before
    everything. `stuck`: the operation that the call starts never ends. `answer` is given instead,
    and nothing is done.
    """

    error: RpcFault | Drop | None = None
    after: bool = False
    delay_s: float = 0.0
    stuck: bool = False
    answer: Message | None = None


class DeployTrouble(StrEnum):
    """What keeps a revision from being started at all."""

    IMAGE_ABSENT = auto()
    IMAGE_DENIED = auto()
    CPU_QUOTA = auto()
    SECRET_DENIED = auto()
    MAX_SCALE = auto()


@dataclass(slots=True)
class _Planned:
    what: Fault | DeployTrouble
    left: int | None


@dataclass(slots=True)
class Faults:
    """Faults by the name of the method, or of the service for deploys; each for the next calls.

    Those of one method happen in the order in which they were planned.
    """

    _calls: dict[str, list[_Planned]] = field(default_factory=dict)
    _deploys: dict[str, list[_Planned]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    no_instance: set[str] = field(default_factory=set)
    """Services whose requests find no instance: 429."""
    lacking: set[str] = field(default_factory=set)
    """Permissions that TestIamPermissions says nobody has."""

    def on(self, method: str, fault: Fault | RpcFault | Drop, *, times: int | None = 1) -> None:
        """`method` as `UpdateService`; `*` for every one. `times` None: until `clear`."""
        what = fault if isinstance(fault, Fault) else Fault(fault)
        with self._lock:
            self._calls.setdefault(method, []).append(_Planned(what, times))

    def on_deploy(
        self, trouble: DeployTrouble, *, service: str = "*", times: int | None = 1
    ) -> None:
        """The next new revisions of `service` fail so."""
        with self._lock:
            self._deploys.setdefault(service, []).append(_Planned(trouble, times))

    def clear(self, method: str | None = None) -> None:
        """Nothing goes wrong any more, with one method or at all."""
        with self._lock:
            if method is not None:
                self._calls.pop(method, None)
                return
            self._calls.clear()
            self._deploys.clear()
            self.no_instance.clear()
            self.lacking.clear()

    def of_call(self, method: str) -> Fault:
        """What happens to this call; it is used up by asking."""
        taken = self._take(self._calls, method)
        return taken if isinstance(taken, Fault) else Fault()

    def of_deploy(self, service_id: str) -> DeployTrouble | None:
        """What happens to this revision; it is used up by asking."""
        taken = self._take(self._deploys, service_id)
        return taken if isinstance(taken, DeployTrouble) else None

    def _take(self, plans: dict[str, list[_Planned]], key: str) -> Fault | DeployTrouble | None:
        with self._lock:
            for found in (plans.get(key), plans.get("*")):
                if found:
                    return _use(found)
        return None


def _use(plans: list[_Planned]) -> Fault | DeployTrouble:
    first = plans[0]
    if first.left is not None:
        first.left -= 1
        if first.left <= 0:
            plans.pop(0)
    return first.what


def unavailable(text: str = "The service is currently unavailable.") -> RpcFault:
    return RpcFault(grpc.StatusCode.UNAVAILABLE, text)


def deadline_exceeded() -> RpcFault:
    return RpcFault(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline exceeded.")


def aborted(service_id: str, given: str = "1", current: str = "2") -> RpcFault:
    text = (
        f"Conflict for resource '{service_id}': version '{given}' was specified but current "
        f"version is '{current}'."
    )
    return RpcFault(grpc.StatusCode.ABORTED, text)


def overtaken(service_id: str) -> Fault:
    """The change is accepted, and its operation finds that another write came between."""
    operation = operations_pb2.Operation(name="projects/p/locations/r/operations/late", done=True)
    operation.error.code = code_pb2.ABORTED
    operation.error.message = aborted(service_id).message
    return Fault(answer=operation)


def quota_exceeded(
    metric: str = "run.googleapis.com/write_requests",
    limit: str = "WriteRequestsPerMinutePerRegion",
    value: int = 180,
) -> RpcFault:
    """Too many calls, with the ErrorInfo that names the quota."""
    text = f"Quota exceeded for quota metric '{metric}' and limit '{limit}'."
    metadata = {"quota_metric": metric, "quota_limit": limit, "quota_limit_value": str(value)}
    return _told(grpc.StatusCode.RESOURCE_EXHAUSTED, text, "RATE_LIMIT_EXCEEDED", metadata)


def act_as_denied(account: str) -> RpcFault:
    return RpcFault(
        grpc.StatusCode.PERMISSION_DENIED,
        f"Permission 'iam.serviceaccounts.actAs' denied on service account {account} "
        "(or it may not exist).",
    )


def permission_denied(permission: str, resource: str) -> RpcFault:
    return RpcFault(
        grpc.StatusCode.PERMISSION_DENIED,
        f"Permission '{permission}' denied on resource '{resource}' (or resource may not exist).",
    )


def api_disabled(project_number: int, api: str = "run.googleapis.com") -> RpcFault:
    """The API was never switched on in the project: 403, not 404."""
    url = f"https://console.developers.google.com/apis/api/{api}/overview?project={project_number}"
    text = (
        f"Cloud Run Admin API has not been used in project {project_number} before or it is "
        f"disabled. Enable it by visiting {url} then retry. If you enabled this API recently, "
        "wait a few minutes for the action to propagate to our systems and retry."
    )
    metadata = {"service": api, "consumer": f"projects/{project_number}", "activationUrl": url}
    return _told(grpc.StatusCode.PERMISSION_DENIED, text, "SERVICE_DISABLED", metadata)


def invalid(field_path: str, text: str) -> RpcFault:
    """A request that breaks a rule, with the BadRequest that names the field."""
    detail = error_details_pb2.BadRequest(
        field_violations=[
            error_details_pb2.BadRequest.FieldViolation(field=field_path, description=text)
        ]
    )
    return RpcFault(grpc.StatusCode.INVALID_ARGUMENT, text, [detail])


def _told(code: grpc.StatusCode, text: str, reason: str, metadata: dict[str, str]) -> RpcFault:
    info = error_details_pb2.ErrorInfo(reason=reason, domain="googleapis.com", metadata=metadata)
    details: Sequence[Message] = [info]
    return RpcFault(code, text, details)
