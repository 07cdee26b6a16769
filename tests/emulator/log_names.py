"""The names that calls of Cloud Logging are made with, and what is wrong with one."""

from __future__ import annotations

import re
from collections.abc import Sequence

import grpc  # type: ignore[import-untyped]
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from emulator.log_store import LogStore
from emulator.rpc import RpcFault

MOST_RESOURCES = 100
_PARENT = r"(projects|organizations|billingAccounts|folders)/([^/]+)"
_RESOURCE = re.compile(rf"{_PARENT}(?:/locations/[^/]+/buckets/[^/]+/views/[^/]+)?")
_LOG_NAME = re.compile(rf"{_PARENT}/logs/([A-Za-z0-9/_.%-]{{1,511}})")


def invalid(field: str, description: str) -> RpcFault:
    """INVALID_ARGUMENT, with the field that is wrong."""
    violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=description)
    details: list[Message] = [error_details_pb2.BadRequest(field_violations=[violation])]
    return RpcFault(grpc.StatusCode.INVALID_ARGUMENT, description, details)


def check_resources(store: LogStore, names: Sequence[str], field: str = "resource_names") -> None:
    """That logs are asked of this project, or of views of its buckets."""
    if not names:
        raise invalid(field, f"{field} must name at least one resource")
    if len(names) > MOST_RESOURCES:
        raise invalid(field, f"{field} has {len(names)} resources, at most {MOST_RESOURCES} may be")
    for name in names:
        match = _RESOURCE.fullmatch(name)
        if not match:
            raise invalid(field, f"'{name}' is not a valid resource name")
        _check_parent(store, match, "logging.logEntries.list")


def checked_log(store: LogStore, name: str, field: str = "log_name") -> str:
    """A log's name, the project by its id even where the number was given."""
    match = _LOG_NAME.fullmatch(name)
    if not match or "/" in match.group(3):
        raise invalid(field, f"'{name}' is not a valid log name; the log id must be URL-encoded")
    _check_parent(store, match, "logging.logEntries.create")
    return f"projects/{store.project}/logs/{match.group(3)}"


def _check_parent(store: LogStore, match: re.Match[str], permission: str) -> None:
    kind, identity = match.group(1), match.group(2)
    if kind != "projects" or identity not in (store.project, store.number):
        raise RpcFault(
            grpc.StatusCode.PERMISSION_DENIED,
            f"Permission '{permission}' denied on resource '{kind}/{identity}' "
            "(or resource may not exist).",
        )
