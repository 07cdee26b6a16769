"""The methods of `google.longrunning.Operations` that Cloud Run has: no CancelOperation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import grpc  # type: ignore[import-untyped]

from emulator.rpc import Call, HttpRule, Rpc, RpcFault
from emulator.run_messages import (
    DeleteOperationRequest,
    Empty,
    GetOperationRequest,
    ListOperationsRequest,
    ListOperationsResponse,
    Operation,
    OperationPb,
    WaitOperationRequest,
)
from emulator.run_pages import page
from emulator.run_places import check_place
from emulator.run_state import State, copied

OPERATIONS: Final = "google.longrunning.Operations"
_NAME: Final = "/v2/{name=projects/*/locations/*/operations/*}"
_GET: Final = HttpRule("GET", _NAME)
_LIST: Final = HttpRule("GET", "/v2/{name=projects/*/locations/*}/operations")
_DELETE: Final = HttpRule("DELETE", _NAME)
_WAIT: Final = HttpRule("POST", f"{_NAME}:wait", "*")
_LONGEST_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Operations:
    """Answers from the state."""

    state: State

    def rpcs(self) -> list[Rpc]:
        return [
            Rpc(OPERATIONS, method, request, answer, handle, (rule,))
            for method, request, answer, handle, rule in (
                ("GetOperation", GetOperationRequest, Operation, self.get, _GET),
                ("ListOperations", *_LISTED, self.list, _LIST),
                ("DeleteOperation", DeleteOperationRequest, Empty, self.delete, _DELETE),
                ("WaitOperation", WaitOperationRequest, Operation, self.wait, _WAIT),
            )
        ]

    def get(self, request: Any, call: Call) -> OperationPb:
        with self.state.changed:
            return copied(self._existing(request.name, "run.operations.get"))

    def list(self, request: Any, call: Call) -> Any:
        check_place(self.state.place, request.name, "run.operations.list")
        with self.state.changed:
            newest_first = list(reversed(self.state.operations.values()))
            some, token = page(newest_first, request.page_size, request.page_token)
            return ListOperationsResponse(operations=some, next_page_token=token)

    def delete(self, request: Any, call: Call) -> Any:
        with self.state.changed:
            self._existing(request.name, "run.operations.delete")
            del self.state.operations[request.name]
        return Empty()

    def wait(self, request: Any, call: Call) -> OperationPb:
        """Until it is done or the time is over, half a minute at most."""
        given = request.timeout.ToTimedelta().total_seconds()
        with self.state.changed:
            found = self._existing(request.name, "run.operations.get")
            over = lambda: found.done or self.state.closing  # noqa: E731
            self.state.changed.wait_for(over, min(given or _LONGEST_S, _LONGEST_S))
            return copied(found)

    def _existing(self, name: str, permission: str) -> OperationPb:
        check_place(self.state.place, name, permission)
        found = self.state.operations.get(name)
        if found is None:
            text = f"Requested operation '{name}' was not found."
            raise RpcFault(grpc.StatusCode.NOT_FOUND, text)
        return found


_LISTED: Final = (ListOperationsRequest, ListOperationsResponse)
