"""WriteLogEntries: entries from outside, each checked before any is taken in."""

from __future__ import annotations

from typing import Any

from google.cloud.logging_v2 import types
from google.rpc import status_pb2

from emulator.log_names import checked_log, invalid
from emulator.log_store import Entry, LogStore
from emulator.rpc import RpcFault

LARGEST_ENTRY = 256 * 1024
"""Bytes."""


def write_entries(store: LogStore, request: Any) -> Any:
    """Take in the entries of a request, or the valid ones where partial success is allowed."""
    valid, errors = [], {}
    for position, given in enumerate(request.entries):
        try:
            valid.append(_completed(store, request, given))
        except RpcFault as fault:
            errors[position] = fault
    if not request.dry_run and (valid and (request.partial_success or not errors)):
        store.write(valid)
    if errors:
        raise _failed(errors, told=request.partial_success and bool(valid))
    return types.WriteLogEntriesResponse.pb()()


def _completed(store: LogStore, request: Any, given: Any) -> Any:
    """An entry with what the request says of all of them."""
    entry = Entry()
    entry.CopyFrom(given)
    entry.log_name = checked_log(store, entry.log_name or request.log_name)
    if not entry.HasField("resource"):
        entry.resource.CopyFrom(request.resource)
    if not entry.resource.type:
        raise invalid("resource", "a monitored resource must be specified for each log entry")
    for key, value in request.labels.items():
        if key not in entry.labels:
            entry.labels[key] = value
    size = entry.ByteSize()
    if size > LARGEST_ENTRY:
        raise invalid(
            "entries", f"Log entry with size {size / 1024:.1f}K exceeds maximum size of 256.0K"
        )
    return entry


def _failed(errors: dict[int, RpcFault], *, told: bool) -> RpcFault:
    """The status of one failed entry, with every entry's own where some were written."""
    first = next(iter(errors.values()))
    if not told:
        return first
    each = {
        position: status_pb2.Status(code=fault.code.value[0], message=fault.message)
        for position, fault in errors.items()
    }
    details = types.WriteLogEntriesPartialErrors.pb()(log_entry_errors=each)
    return RpcFault(first.code, first.message, [details])
