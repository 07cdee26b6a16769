"""What goes wrong with the next calls of Cloud Logging, on demand."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import grpc  # type: ignore[import-untyped]
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from emulator.rpc import RpcFault

_API = "logging.googleapis.com"


@dataclass(frozen=True, slots=True)
class LogFault:
    """One call's fate: how long it hangs, whether it has its effect, and its status."""

    code: grpc.StatusCode
    message: str
    details: Sequence[Message] = field(default=())
    hangs_s: float = 0.0
    takes_effect: bool = False
    """The call is carried out and then its answer is lost, so that its outcome is unknown."""
    after_responses: int = 0
    """For a tail: how many responses come first."""

    def raised(self) -> RpcFault:
        """It as an answer."""
        return RpcFault(self.code, self.message, self.details)


class LogFaults:
    """Faults by method, each for the next calls: `list`, `tail`, `write`, `logs`, `delete`."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, deque[LogFault]] = defaultdict(deque)
        self._lock = threading.Lock()
        self._let_go = threading.Event()

    def next(self, method: str, fault: LogFault, times: int = 1) -> None:
        """Give a method's next calls a fault, after those already given."""
        with self._lock:
            self._waiting[method].extend([fault] * times)

    def clear(self) -> None:
        """Forget the faults that have not come yet."""
        with self._lock:
            self._waiting.clear()

    def let_go(self) -> None:
        """End every hanging call now, and let none hang again."""
        self._let_go.set()

    def take(self, method: str) -> LogFault | None:
        """The fault of a call that begins now; it has hung by then."""
        with self._lock:
            waiting = self._waiting[method]
            fault = waiting.popleft() if waiting else None
        if fault is not None and fault.hangs_s:
            self._let_go.wait(fault.hangs_s)
        return fault


def unavailable() -> LogFault:
    """The service is not there for a moment; the client retries it."""
    return LogFault(
        grpc.StatusCode.UNAVAILABLE, "The service is currently unavailable.", takes_effect=False
    )


def deadline(hangs_s: float = 0.0) -> LogFault:
    """The answer did not come in time, though the call may have had its effect."""
    return LogFault(
        grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline exceeded", hangs_s=hangs_s, takes_effect=True
    )


def dropped(after_responses: int = 0) -> LogFault:
    """The connection went away under the call, which had its effect."""
    return LogFault(
        grpc.StatusCode.UNAVAILABLE,
        "Socket closed",
        takes_effect=True,
        after_responses=after_responses,
    )


def permission_denied(project: str, permission: str = "logging.logEntries.list") -> LogFault:
    """The caller may not read this project's logs."""
    info = error_details_pb2.ErrorInfo(
        reason="IAM_PERMISSION_DENIED",
        domain="iam.googleapis.com",
        metadata={"permission": permission, "resource": f"projects/{project}"},
    )
    text = (
        f"Permission '{permission}' denied on resource 'projects/{project}' "
        "(or resource may not exist)."
    )
    return LogFault(grpc.StatusCode.PERMISSION_DENIED, text, (info,))


def service_disabled(project_number: str) -> LogFault:
    """The API is off in this project; its status is PERMISSION_DENIED too."""
    url = f"https://console.developers.google.com/apis/api/{_API}/overview?project={project_number}"
    info = error_details_pb2.ErrorInfo(
        reason="SERVICE_DISABLED",
        domain="googleapis.com",
        metadata={
            "service": _API,
            "consumer": f"projects/{project_number}",
            "serviceTitle": "Cloud Logging API",
            "containerInfo": project_number,
            "activationUrl": url,
        },
    )
    text = (
        f"Cloud Logging API has not been used in project {project_number} before or it is "
        f"disabled. Enable it by visiting {url} then retry. If you enabled this API recently, "
        "wait a few minutes for the action to propagate to our systems and retry."
    )
    return LogFault(grpc.StatusCode.PERMISSION_DENIED, text, (info,))
