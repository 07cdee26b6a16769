"""Long-running operations: what a write has begun, and its end.

An operation may be stuck while what it stands for is done: nobody here waits for one alone.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import grpc  # type: ignore[import-untyped]
from google.api_core import exceptions
from google.api_core.gapic_v1 import routing_header
from google.cloud.run_v2 import Service
from google.longrunning import operations_pb2
from google.protobuf import duration_pb2
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2

from loopctl.errors import Stopped
from loopctl.inert import one_line
from loopctl.platforms.cloud_run.errors import ApiError, Code, translated
from loopctl.process import Stop

if TYPE_CHECKING:
    from loopctl.platforms.cloud_run.clients import Clients

_FIRST_POLL_S: Final = 1.5
_GAP_S: Final = 0.9
"""Seconds from one call to the next: half of them is how late its news comes."""

_LOOK_S: Final = 0.1
_LONG_CALL_S: Final = 10.0

_CLIENT_S: Final = 5.0
_LONGEST: Final = 500
_OTHER_TYPE: Final = "Could not convert"
_NOTHING_TO_ASK: Final = (Code.NOT_FOUND, Code.UNIMPLEMENTED)


@dataclass(frozen=True, slots=True)
class Started:
    """A change that was accepted: the operation's name, empty where it was done at once.

    `service` is what it had made of the service when it ended, None where that was not told.
    """

    operation: str
    error: ApiError | None = None
    done: bool = False
    service: Service | None = None

    @staticmethod
    def of(operation: Any) -> Started:
        """What an operation's message tells."""
        error = _error_of(operation) if operation.done and operation.HasField("error") else None
        return Started(operation.name, error, bool(operation.done), _service_of(operation))


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


@dataclass(slots=True)
class _Pace:
    """How often one operation was asked about: never more often than seconds have passed."""

    since: float = field(default_factory=time.monotonic)
    last: float = float("-inf")
    calls: int = 0

    def due(self, first_s: float) -> float:
        """When it may be asked about again, `first_s` after it was begun at the soonest."""
        in_budget = self.since + self.calls + min(first_s, 1.0)
        return max(self.since + first_s, self.last + _GAP_S, in_budget)

    def asked(self) -> None:
        """It is asked about now."""
        self.last = time.monotonic()
        self.calls += 1


class Operations:
    """Asks how far an operation is. Where the API can, it is asked to answer only at its end."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._waits = True
        self._paces: dict[str, _Pace] = {}
        self._under_way: dict[str, Any] = {}

    def ended(self, started: Started, at_most: float, stop: Stop) -> Started:
        """The operation as it is after `at_most` seconds, sooner when it has ended before.

        It is told sooner, too, where the API cannot be asked to wait. One that nobody can ask
        about now is told as it was: not done. One that is gone is done. A stop ends the waiting at
        once over gRPC; over REST only when the API has answered.
        """
        if started.done:
            return started
        name = started.operation
        try:
            found = Started.of(self._asked(name, at_most, stop))
        except ApiError as error:
            # One that is gone has nothing more to tell: what it stood for does.
            found = replace(started, done=error.code in _NOTHING_TO_ASK)
        if found.done:
            self._paces.pop(name, None)
        return found

    def _asked(self, name: str, at_most: float, stop: Stop) -> Any:
        if self._waits:
            try:
                with translated("wait for the change", name):
                    if self._clients.place.transport == "rest":
                        return self._answered(name, at_most, stop)
                    return self._continued(name, at_most, stop)
            except ApiError:
                # It need not be there, and what stands between may cut a long call.
                self._waits = False
        self._pause(name, _FIRST_POLL_S, stop)
        with translated("see how far the change is", name):
            return self._clients.services.get_operation(
                operations_pb2.GetOperationRequest(name=name),
                retry=None,
                timeout=stop.remaining(_CLIENT_S),
            )

    def _answered(self, name: str, at_most: float, stop: Stop) -> Any:
        self._pause(name, 0.0, stop)
        at_most = stop.remaining(at_most)
        return self._clients.services.wait_operation(
            _to_wait(name, at_most), retry=None, timeout=at_most + _CLIENT_S
        )

    def _continued(self, name: str, at_most: float, stop: Stop) -> Any:
        """One long call stands for several short waits: it goes on between them."""
        if (call := self._under_way.pop(name, None)) is None:
            self._pause(name, 0.0, stop)
            transport: Any = self._clients.services.transport
            call = transport.wait_operation.future(
                _to_wait(name, _LONG_CALL_S),
                timeout=_LONG_CALL_S + _CLIENT_S,
                metadata=[routing_header.to_grpc_metadata((("name", name),))],
            )
        try:
            if not _is_over(call, at_most, stop):
                self._under_way[name] = call
                return operations_pb2.Operation(name=name)
            # The client of google-cloud-run 0.16 leaves the answer as it came.
            return operations_pb2.Operation.FromString(call.result())
        except grpc.RpcError as error:
            raise exceptions.from_grpc_error(error) from error

    def _pause(self, name: str, first_s: float, stop: Stop) -> None:
        """Not all servers wait: the last call may have been answered at once."""
        pace = self._paces.setdefault(name, _Pace())
        stop.wait(max(0.0, pace.due(first_s) - time.monotonic()))
        pace.asked()


def _to_wait(name: str, at_most: float) -> Any:
    limit = duration_pb2.Duration()
    limit.FromMilliseconds(int(at_most * 1000))
    return operations_pb2.WaitOperationRequest(name=name, timeout=limit)


def _is_over(call: Any, at_most: float, stop: Stop) -> bool:
    """Whether a call was answered within that time; it is given up when `stop` stops."""
    until = time.monotonic() + at_most
    try:
        while (left := until - time.monotonic()) > 0:
            stop.remaining(0)
            with contextlib.suppress(grpc.FutureTimeoutError):
                call.exception(timeout=min(left, _LOOK_S))
                return True
    except Stopped:
        call.cancel()
        raise
    return False


def _service_of(operation: Any) -> Service | None:
    told = Service.pb()()
    with contextlib.suppress(DecodeError):
        if operation.done and operation.response.Unpack(told):
            return Service(told)
    return None


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
