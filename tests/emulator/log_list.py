"""ListLogEntries and ListLogs: one page of what is visible."""

from __future__ import annotations

from typing import Any

import grpc  # type: ignore[import-untyped]
from google.cloud.logging_v2 import types

from emulator.log_filter import LogFilter, log_filter
from emulator.log_filter_tokens import FilterError
from emulator.log_index import Place, place
from emulator.log_names import check_resources, invalid
from emulator.log_pages import DEFAULT_PAGE, Paging, page_size, place_of, token
from emulator.log_store import Entry, LogStore
from emulator.rpc import RpcFault

_ORDERS = {"": False, "timestamp asc": False, "timestamp desc": True}


def readable_filter(source: str) -> LogFilter:
    """A call's filter. Raises RpcFault with the place where it cannot be read."""
    try:
        return log_filter(source)
    except FilterError as error:
        raise RpcFault(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from None


def list_entries(store: LogStore, paging: Paging, request: Any) -> Any:
    """One page of a listing: a `ListLogEntriesResponse`."""
    check_resources(store, request.resource_names)
    if request.order_by not in _ORDERS:
        raise invalid("order_by", f"order_by '{request.order_by}' is not supported")
    asked = page_size(request.page_size)
    wanted = readable_filter(request.filter)
    same = (tuple(request.resource_names), request.filter, request.order_by, asked)
    now = store.clock()
    after = place_of(request.page_token, same, now) if request.page_token else None
    answer = types.ListLogEntriesResponse.pb()()
    behind, more = _fill(
        answer, store, wanted, after, paging, asked, newest_first=_ORDERS[request.order_by]
    )
    if more:
        answer.next_page_token = token(behind, same, now)
    return answer


def _fill(
    answer: Any,
    store: LogStore,
    wanted: LogFilter,
    after: Place | None,
    paging: Paging,
    asked: int,
    *,
    newest_first: bool,
) -> tuple[Place | None, bool]:
    """Put a page's entries in; where it ended, and whether more may follow."""
    most = paging.size(asked)
    rows = store.rows(wanted.earliest, wanted.latest, after=after, newest_first=newest_first)
    for scanned, row in enumerate(rows):
        if len(answer.entries) >= most or scanned >= paging.most_scanned:
            return after, True
        entry = Entry.FromString(row.data)
        if wanted.matches(entry):
            answer.entries.append(entry)
        after = place(row)
    return after, False


def list_logs(store: LogStore, request: Any) -> Any:
    """One page of the names of logs that have entries: a `ListLogsResponse`."""
    parents = [*([request.parent] if request.parent else []), *request.resource_names]
    check_resources(store, parents, "parent")
    size = request.page_size if request.page_size > 0 else DEFAULT_PAGE
    same = tuple(parents)
    now = store.clock()
    start = 0
    if request.page_token:
        found = place_of(request.page_token, same, now)
        start = found[0] if found else 0
    names = store.logs()
    answer = types.ListLogsResponse.pb()(log_names=names[start : start + size])
    if start + size < len(names):
        answer.next_page_token = token((start + size, "", 0), same, now)
    return answer
