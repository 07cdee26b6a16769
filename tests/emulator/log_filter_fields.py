"""The fields of a log entry by their path in a filter, and every value that stands there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from operator import attrgetter
from typing import Any

from google.cloud.audit import audit_log_pb2  # noqa: F401 (what protoPayload holds)
from google.cloud.logging_v2.types import LogEntry
from google.protobuf import symbol_database
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from emulator.log_filter_grammar import Path
from emulator.log_filter_kinds import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    INTEGER,
    NULL,
    SECOND,
    STRING,
    TIMESTAMP,
    FieldKind,
    enumeration,
)
from emulator.log_filter_tokens import FilterError

Cell = tuple[FieldKind, Any]
"""A scalar and its type."""
Cells = Callable[[Message], Iterable[Cell]]

ENTRY: Descriptor = LogEntry.pb().DESCRIPTOR
_KINDS = {
    FieldDescriptor.CPPTYPE_STRING: STRING,
    FieldDescriptor.CPPTYPE_BOOL: BOOL,
    FieldDescriptor.CPPTYPE_DOUBLE: DOUBLE,
    FieldDescriptor.CPPTYPE_FLOAT: DOUBLE,
}
_WHOLE = {"google.protobuf.Timestamp": TIMESTAMP, "google.protobuf.Duration": DURATION}
# What stands within these is known from each entry alone.
_OPEN = frozenset({"google.protobuf.Struct", "google.protobuf.Any"})


class Field:
    """One path, checked against LogEntry when it is made.

    Raises FilterError for a field that no entry can have.
    """

    def __init__(self, path: Path) -> None:
        self._steps = path.segments
        _check(path)
        self.cells: Cells = _direct(path.segments) or self._found
        """The scalars there: none for a missing field, several for a list or a message."""

    def _found(self, entry: Message) -> Iterator[Cell]:
        return _follow(entry, self._steps, defaults=True)

    def present(self, entry: Message) -> bool:
        """Whether the entry itself says something there."""
        return next(_follow(entry, self._steps, defaults=False), None) is not None


def every_cell(message: Message) -> Iterator[Cell]:
    """Every scalar of an entry and its payload, for a search of all fields."""
    for field, value in message.ListFields():
        yield from _all_of(field, value)


def _check(path: Path) -> None:
    kind: Any = ENTRY
    for name in path.segments:
        scalar = kind is None or kind.full_name in _WHOLE
        if kind is not None and kind.full_name in _OPEN:
            return
        field = None if scalar or kind is None else named(kind, name)
        if field is None:
            whole = ".".join(path.segments)
            raise FilterError(f"Unparseable filter: field not found: '{whole}' at {path.place}")
        if _is_map(field):
            return
        kind = field.message_type


def _direct(steps: Sequence[str]) -> Cells | None:
    """A quick way to one scalar, where the types alone tell that there is one at most.

    Every entry of a listing is asked for these: `severity`, `resource.labels.service_name`.
    """
    kind: Any = ENTRY
    names: list[str] = []
    for position, step in enumerate(steps):
        field = named(kind, step) if kind is not None and kind.full_name not in _OPEN else None
        if field is None or (field.is_repeated and not _is_map(field)):
            return None
        names.append(field.name)
        if _is_map(field):
            return _label(names, steps[position + 1 :])
        kind = field.message_type
        if kind is None:
            return _one(names, _scalar(field))
    return None


def _one(names: Sequence[str], kind: FieldKind) -> Cells:
    read = attrgetter(".".join(names))
    return lambda entry: ((kind, read(entry)),)


def _label(names: Sequence[str], keys: Sequence[str]) -> Cells | None:
    if len(keys) != 1:
        return None
    read, key = attrgetter(".".join(names)), keys[0]

    def cells(entry: Message) -> tuple[Cell, ...]:
        labels = read(entry)
        return ((STRING, labels[key]),) if key in labels else ()

    return cells


@cache
def _fields(kind: Descriptor) -> dict[str, FieldDescriptor]:
    return {_plain(field.name): field for field in kind.fields}


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def named(kind: Descriptor, name: str) -> FieldDescriptor | None:
    """A message's field by its proto or JSON name, in any letter case."""
    return _fields(kind).get(_plain(name))


def _is_map(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return kind is not None and bool(kind.GetOptions().map_entry)


@cache
def _enumeration(kind: EnumDescriptor) -> FieldKind:
    return enumeration({value.name: value.number for value in kind.values})


@cache
def _scalar(field: FieldDescriptor) -> FieldKind:
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return _enumeration(field.enum_type)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return BYTES
    return _KINDS.get(field.cpp_type, INTEGER)


def _follow(message: Message, steps: Sequence[str], *, defaults: bool) -> Iterator[Cell]:
    """The cells at the end of a path that begins in a message of any type."""
    name = message.DESCRIPTOR.full_name
    if name == "google.protobuf.Struct":
        yield from _in_struct(message, steps)
    elif name == "google.protobuf.Any":
        yield from _in_any(message, steps)
    elif name == "google.protobuf.Value":
        yield from _in_value(message, steps)
    elif not steps:
        yield from every_cell(message)
    else:
        kind: Any = message.DESCRIPTOR
        field = named(kind, steps[0])
        if field is not None:
            yield from _in_field(message, field, steps[1:], defaults=defaults)


def _in_field(
    message: Message, field: FieldDescriptor, rest: Sequence[str], *, defaults: bool
) -> Iterator[Cell]:
    value = getattr(message, field.name)
    if _is_map(field):
        yield from _in_map(field, value, rest)
    elif field.is_repeated:
        for item in value:
            yield from _in_item(field, item, rest, defaults=defaults)
    elif not defaults and not _says(message, field, value):
        return
    else:
        yield from _in_item(field, value, rest, defaults=defaults)


def _says(message: Message, field: FieldDescriptor, value: Any) -> bool:
    return bool(message.HasField(field.name) if field.has_presence else value)


def _in_item(
    field: FieldDescriptor, value: Any, rest: Sequence[str], *, defaults: bool
) -> Iterator[Cell]:
    kind = field.message_type
    if kind is None:
        if not rest:
            yield (_scalar(field), value)
    elif kind.full_name in _WHOLE:
        if not rest:
            yield (_WHOLE[kind.full_name], value.seconds * SECOND + value.nanos)
    else:
        yield from _follow(value, rest, defaults=defaults)


def _in_map(field: FieldDescriptor, value: Any, rest: Sequence[str]) -> Iterator[Cell]:
    assert field.message_type is not None
    item = field.message_type.fields_by_name["value"]
    if not rest:
        for key in value:
            yield from _in_item(item, value[key], (), defaults=True)
    elif rest[0] in value:
        yield from _in_item(item, value[rest[0]], rest[1:], defaults=True)


def _in_struct(message: Any, steps: Sequence[str]) -> Iterator[Cell]:
    if not steps:
        for value in message.fields.values():
            yield from _in_value(value, ())
    elif steps[0] in message.fields:
        yield from _in_value(message.fields[steps[0]], steps[1:])


def _in_value(value: Any, steps: Sequence[str]) -> Iterator[Cell]:
    held = value.WhichOneof("kind")
    if held == "struct_value":
        yield from _in_struct(value.struct_value, steps)
    elif held == "list_value":
        for item in value.list_value.values:
            yield from _in_value(item, steps)
    elif steps or held is None:
        return
    elif held == "string_value":
        yield (STRING, value.string_value)
    elif held == "number_value":
        yield (DOUBLE, value.number_value)
    elif held == "bool_value":
        yield (BOOL, value.bool_value)
    else:
        yield (NULL, None)


def _in_any(message: Any, steps: Sequence[str]) -> Iterator[Cell]:
    if steps and steps[0] == "@type":
        if message.type_url and len(steps) == 1:
            yield (STRING, message.type_url)
        return
    inner = _unpacked(message)
    if not steps and message.type_url:
        yield (STRING, message.type_url)
    if inner is not None:
        # Nothing within a payload is there by default.
        yield from _follow(inner, steps, defaults=False)


def _unpacked(message: Any) -> Message | None:
    name = message.type_url.rpartition("/")[2]
    try:
        inner = symbol_database.Default().GetSymbol(name)()
        inner.ParseFromString(message.value)
    except (KeyError, DecodeError):
        return None
    return inner


def _all_of(field: FieldDescriptor, value: Any) -> Iterator[Cell]:
    if _is_map(field):
        yield from _in_map(field, value, ())
        return
    for item in value if field.is_repeated else (value,):
        yield from _in_item(field, item, (), defaults=False)
