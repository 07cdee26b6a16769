"""What a project may read of its logs in a minute."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

import grpc  # type: ignore[import-untyped]
from google.rpc import error_details_pb2

from emulator.rpc import RpcFault

_SERVICE = "logging.googleapis.com"
_METRIC = f"{_SERVICE}/read_requests"
_MINUTE_S = 60.0


class ReadQuota:
    """Calls of the last minute, at most `limit`; a refused one is not counted.

    `limit` and `tail_cost` may be changed at any time. `spent` counts every call ever admitted.
    """

    def __init__(
        self, limit: int = 60, *, tail_cost: int = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limit = limit
        self.tail_cost = tail_cost
        """What opening a tail costs: it was seen to consume the same quota."""
        self.spent = 0
        self.refused = 0
        self._clock = clock
        self._calls: deque[float] = deque()
        self._lock = threading.Lock()

    def spend(self, project_number: str, calls: int = 1) -> None:
        """Count calls, or raise the fault that the service answers."""
        with self._lock:
            now = self._clock()
            while self._calls and self._calls[0] <= now - _MINUTE_S:
                self._calls.popleft()
            if len(self._calls) + calls > self.limit:
                self.refused += 1
                raise exhausted(project_number, self.limit)
            self._calls.extend([now] * calls)
            self.spent += calls


def exhausted(project_number: str, limit: int = 60) -> RpcFault:
    """The answer to one call too many; it has no Retry-After."""
    consumer = f"project_number:{project_number}"
    info = error_details_pb2.ErrorInfo(
        reason="RATE_LIMIT_EXCEEDED",
        domain="googleapis.com",
        metadata={
            "quota_limit": "ReadRequestsPerMinutePerProject",
            "quota_limit_value": str(limit),
            "quota_metric": _METRIC,
            "service": _SERVICE,
            "consumer": consumer.replace("project_number:", "projects/"),
        },
    )
    text = (
        "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute' "
        f"of service '{_SERVICE}' for consumer '{consumer}'."
    )
    return RpcFault(grpc.StatusCode.RESOURCE_EXHAUSTED, text, [info])
