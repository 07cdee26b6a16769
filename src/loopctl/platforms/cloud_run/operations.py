"""Long-running operations: what a write has begun, and its end.

An operation may be stuck while what it stands for is done: nobody here waits for one alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import grpc  # type: ignore[import-untyped]
from google.longrunning import operations_pb2
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2

from loopctl.inert import one_line
from loopctl.platforms.cloud_run.errors import ApiError, Code, translated
from loopctl.process import Stop

if TYPE_CHECKING:
    from loopctl.platforms.cloud_run.clients import Clients

_ONE_CALL_S: Final = 1.0
"""Seconds from one call to the next: not more than one a second."""

_CLIENT_S: Final = 5.0
_LONGEST: Final = 500
_OTHER_TYPE: Final = "Could not convert"
_NOTHING_TO_ASK: Final = (Code.NOT_FOUND, Code.UNIMPLEMENTED)


@dataclass(frozen=True, slots=True)
class Started:
    """A change that was accepted: the operation's name, empty where it was done at once."""

    operation: str
    error: ApiError | None = None
    done: bool = False

    @staticmethod
    def of(operation: Any) -> Started:
        """What an operation's message tells."""
        error = _error_of(operation) if operation.done and operation.HasField("error") else None
        return Started(operation.name, error, bool(operation.done))


def begun(ask: Callable[[], Any]) -> Started:
    """What a write has begun. The client reads the result of one that is done at once, and stumbles
    over one of a type that it does not expect: then nothing is wrong but that.
    """
    try:
        return Started.of(ask().operation)
    except TypeError as error:
        if _OTHER_TYPE not in str(error):
            raise
        return Started("", done=True)


class Operations:
    """Asks how far an operation is. Where the API can, it is asked to answer only at its end."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._waits = True

    def ended(self, started: Started, at_most: float, stop: Stop) -> Started:
        """The operation as it is after `at_most` seconds, sooner when it has ended before.

        One that nobody can ask about now is told as it was: not done. One that is gone is done.
        """
        if started.done:
            return started
        began = time.monotonic()
        try:
            found = Started.of(self._asked(started.operation, at_most, stop))
        except ApiError as error:
            # One that is gone has nothing more to tell: what it stood for does.
            found = replace(started, done=error.code in _NOTHING_TO_ASK)
        if not found.done:
            # Not all servers wait: this one may have answered at once.
            stop.wait(max(0.0, _ONE_CALL_S - (time.monotonic() - began)))
        return found

    def _asked(self, name: str, at_most: float, stop: Stop) -> Any:
        services = self._clients.services
        if self._waits:
            limit = duration_pb2.Duration()
            limit.FromMilliseconds(int(at_most * 1000))
            request = operations_pb2.WaitOperationRequest(name=name, timeout=limit)
            try:
                with translated("wait for the change", name):
                    answer = services.wait_operation(
                        request, retry=None, timeout=stop.remaining(at_most + _CLIENT_S)
                    )
                # Over gRPC the client of google-cloud-run 0.16 leaves it as it came.
                if isinstance(answer, bytes):
                    return operations_pb2.Operation.FromString(answer)
                return answer
            except ApiError:
                # It need not be there, and what stands between may cut a long call.
                self._waits = False
        with translated("see how far the change is", name):
            return services.get_operation(
                operations_pb2.GetOperationRequest(name=name),
                retry=None,
                timeout=stop.remaining(_CLIENT_S),
            )


_BY_NUMBER: Final = {status.value[0]: status.name for status in grpc.StatusCode}


def _error_of(operation: Any) -> ApiError:
    """The error that an operation ended with (facts/cloud-run.md section 1.5)."""
    status = operation.error
    name = _BY_NUMBER.get(status.code, "")
    fields = []
    for detail in status.details:
        bad = error_details_pb2.BadRequest()
        if detail.Is(bad.DESCRIPTOR) and detail.Unpack(bad):
            fields += [(each.field, each.description) for each in bad.field_violations]
    return ApiError(
        Code[name] if name in Code.__members__ else Code.UNKNOWN,
        one_line(status.message, limit=_LONGEST),
        doing="finish the change",
        fields=tuple(fields),
    )
