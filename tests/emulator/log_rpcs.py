"""Cloud Logging's LoggingServiceV2 over a store: write, list, tail, list logs, delete a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from google.cloud.logging_v2 import types
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from emulator.log_faults import LogFaults
from emulator.log_list import list_entries, list_logs
from emulator.log_names import checked_log
from emulator.log_pages import Paging
from emulator.log_quota import ReadQuota
from emulator.log_store import LogStore
from emulator.log_tail import Tails
from emulator.log_write import write_entries
from emulator.rpc import Call, HttpRule, Rpc, StreamRpc

SERVICE = "google.logging.v2.LoggingServiceV2"
_PARENTS = ("*/*", "projects/*", "organizations/*", "folders/*", "billingAccounts/*")
_LOGS = ("projects/*", "*/*", "organizations/*", "folders/*", "billingAccounts/*")

Answer = TypeVar("Answer", bound=Message)


def log_rpcs(
    store: LogStore,
    faults: LogFaults | None = None,
    quota: ReadQuota | None = None,
    paging: Paging | None = None,
    tails: Tails | None = None,
) -> list[Rpc | StreamRpc]:
    """The methods of the service; the caller keeps what it wants to set or read later."""
    known = faults or LogFaults()
    reads = quota or ReadQuota()
    pages = paging or Paging()
    following = tails or Tails()

    def listed(request: Any) -> Any:
        reads.spend(store.number)
        return list_entries(store, pages, request)

    def deleted(request: Any) -> Message:
        store.delete(checked_log(store, request.log_name))
        return Empty()

    def tail(requests: Any, call: Call, there: Callable[[], bool]) -> Iterator[Message]:
        fault = known.take("tail")
        if fault is not None and not fault.after_responses:
            raise fault.raised()
        reads.spend(store.number, reads.tail_cost)
        yield from following.tail(store, requests, there, fault)

    return [
        _rpc(
            "ListLogEntries",
            types.ListLogEntriesRequest,
            types.ListLogEntriesResponse.pb(),
            _faulty(known, "list", listed),
            HttpRule("POST", "/v2/entries:list", "*"),
        ),
        _rpc(
            "WriteLogEntries",
            types.WriteLogEntriesRequest,
            types.WriteLogEntriesResponse.pb(),
            _faulty(known, "write", lambda request: write_entries(store, request)),
            HttpRule("POST", "/v2/entries:write", "*"),
        ),
        _rpc(
            "ListLogs",
            types.ListLogsRequest,
            types.ListLogsResponse.pb(),
            _faulty(known, "logs", lambda request: list_logs(store, request)),
            *(HttpRule("GET", f"/v2/{{parent={parent}}}/logs") for parent in _PARENTS),
        ),
        _rpc(
            "DeleteLog",
            types.DeleteLogRequest,
            Empty,
            _faulty(known, "delete", deleted),
            *(HttpRule("DELETE", f"/v2/{{log_name={log}/logs/*}}") for log in _LOGS),
        ),
        StreamRpc(
            SERVICE,
            "TailLogEntries",
            types.TailLogEntriesRequest.pb(),
            types.TailLogEntriesResponse.pb(),
            tail,
        ),
    ]


def _rpc(
    method: str,
    request: Any,
    answer: type[Message],
    handle: Callable[[Any, Call], Message],
    *http: HttpRule,
) -> Rpc:
    return Rpc(SERVICE, method, request.pb(), answer, handle, http)


def _faulty(
    faults: LogFaults, method: str, handle: Callable[[Any], Answer]
) -> Callable[[Any, Call], Answer]:
    def answered(request: Any, call: Call) -> Answer:
        fault = faults.take(method)
        if fault is None:
            return handle(request)
        if fault.takes_effect:
            handle(request)
        raise fault.raised()

    return answered
