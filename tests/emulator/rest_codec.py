"""JSON to a request and an answer to JSON, as Google's front end transcodes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final

import grpc  # type: ignore[import-untyped]
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from emulator.rest_routes import Match
from emulator.rpc import RpcFault

#: What is asked of the front end, not of the method.
_SYSTEM: Final = frozenset(
    {"alt", "$alt", "key", "fields", "prettyPrint", "access_token", "quotaUser", "uploadType"}
)

_MASK: Final = "google.protobuf.FieldMask"

HTTP_STATUS: Final = {
    "OK": 200,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
}


def request_of(match: Match, query: Iterable[tuple[str, str]], body: bytes) -> Message:
    """The request that path, query and body make together. Raises `RpcFault` for bad JSON."""
    request = match.rpc.request()
    values: dict[str, Any] = {}
    for key, value in query:
        if key.lstrip("$") not in _SYSTEM and key not in _SYSTEM:
            _put(values, request.DESCRIPTOR, key.split("."), value)
    if match.rule.body is not None and body:
        parsed = _parsed(body)
        values.update(parsed if match.rule.body == "*" else {match.rule.body: parsed})
    _read(values, request)
    for path, value in match.fields.items():
        _set(request, path.split("."), value)
    return request


def answer_json(answer: Message, *, integers: bool) -> bytes:
    """The answer as Google prints it: fields that are set, enums by name unless asked for."""
    text = json_format.MessageToJson(answer, use_integers_for_enums=integers, indent=2)
    return text.encode() + b"\n"


def error_json(fault: RpcFault) -> tuple[int, bytes]:
    """The HTTP status, and Google's own form of an error."""
    status = HTTP_STATUS[fault.code.name]
    error: dict[str, Any] = {
        "code": status,
        "message": fault.message,
        "status": fault.code.name,
    }
    if fault.details:
        error["details"] = [_detail(detail) for detail in fault.details]
    return status, json.dumps({"error": error}, indent=2).encode() + b"\n"


def _detail(detail: Message) -> dict[str, Any]:
    told = json_format.MessageToDict(detail)
    return {"@type": f"type.googleapis.com/{detail.DESCRIPTOR.full_name}", **told}


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise _invalid(f"Invalid JSON payload received. {error}") from None
    if not isinstance(parsed, dict):
        raise _invalid("Invalid JSON payload received. Root element must be a message.")
    return parsed


def _read(values: dict[str, Any], request: Message) -> None:
    try:
        json_format.ParseDict(values, request, ignore_unknown_fields=True)
    except (json_format.ParseError, TypeError, ValueError) as error:
        raise _invalid(f"Invalid JSON payload received. {error}") from None


def _invalid(text: str) -> RpcFault:
    return RpcFault(grpc.StatusCode.INVALID_ARGUMENT, text)


def _put(values: dict[str, Any], descriptor: Any, path: list[str], value: str) -> None:
    """Set the field that a query parameter names; one that is not known is left out."""
    field = _field(descriptor, path[0])
    if field is None:
        return
    if len(path) > 1 and field.message_type is not None:
        _put(values.setdefault(field.name, {}), field.message_type, path[1:], value)
    elif _is_repeated(field):
        values.setdefault(field.name, []).append(_typed(field, value))
    else:
        values[field.name] = _typed(field, value)


def _is_repeated(field: FieldDescriptor) -> bool:
    return bool(field.is_repeated)


def _field(descriptor: Any, name: str) -> Any:
    for field in descriptor.fields:
        if name in (field.name, field.json_name):
            return field
    return None


def _typed(field: FieldDescriptor, value: str) -> Any:
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return value.lower() in ("true", "1")
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM and value.lstrip("-").isdigit():
        return int(value)
    if field.message_type is not None and field.message_type.full_name == _MASK:
        return _camel_case(value)
    return value


def _camel_case(mask: str) -> str:
    """Paths as JSON has them: `launch_stage` is taken too."""
    return re.sub("_([a-z])", lambda found: found[1].upper(), mask)


def _set(request: Any, path: list[str], value: str) -> None:
    for part in path[:-1]:
        request = getattr(request, part)
    setattr(request, path[-1], value)
