"""The functions of a filter: log_id, source, sample, ip_in_net, SEARCH, CAST, REGEXP_EXTRACT."""

from __future__ import annotations

import ipaddress
import re
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from google.protobuf.message import Message

from emulator.log_filter_fields import Cell, Cells, Field, every_cell
from emulator.log_filter_grammar import Apply, Path, Value
from emulator.log_filter_kinds import (
    BOOL,
    DOUBLE,
    DURATION,
    INTEGER,
    SECOND,
    STRING,
    TIMESTAMP,
    FieldKind,
    folded,
)
from emulator.log_filter_tokens import FilterError

Predicate = Callable[[Any], bool]

# Between these lie the words that SEARCH compares whole.
_BREAKS = re.compile(r"""[\s\[\]<>(){}|!;,'"*&?+/:=@.\-$%\\_\n\r#~^]+""")
_TYPES = {
    "STRING": STRING,
    "INT64": INTEGER,
    "FLOAT64": DOUBLE,
    "BOOL": BOOL,
    "TIMESTAMP": TIMESTAMP,
    "DURATION": DURATION,
}


def predicate(call: Apply) -> Predicate:
    """A function that is a term of its own. Raises FilterError."""
    makers: dict[str, Callable[[Apply], Predicate]] = {
        "log_id": _log_id,
        "source": _source,
        "sample": _sample,
        "ip_in_net": _ip_in_net,
        "search": _search,
    }
    if call.name not in makers:
        raise refused(call, "is no function that stands alone")
    return makers[call.name](call)


def cells(call: Apply) -> Cells:
    """A function on the left of a comparison. Raises FilterError."""
    if call.name == "cast":
        return _cast(call)
    if call.name == "regexp_extract":
        return _extract(call)
    raise refused(call, "cannot be compared")


def refused(call: Apply, why: str) -> FilterError:
    """A function that is used as it cannot be."""
    return FilterError(f"Unparseable filter: function '{call.name}' {why} at {call.place}")


def _text(call: Apply, position: int) -> str:
    if position >= len(call.arguments):
        raise refused(call, f"lacks argument {position + 1}")
    argument = call.arguments[position]
    match argument:
        case Value(text=text):
            return text
        case Path(segments=segments):
            return ".".join(segments)
        case Apply():
            raise refused(call, f"takes no function as argument {position + 1}")


def _left(call: Apply) -> Cells:
    match call.arguments[:1]:
        case (Apply() as inner,):
            return cells(inner)
        case (Path() as path,):
            return Field(path).cells
        case _:
            raise refused(call, "needs a field as argument 1")


def _count(call: Apply, *allowed: int) -> None:
    if len(call.arguments) not in allowed:
        raise refused(call, f"takes {' or '.join(map(str, allowed))} arguments")


def _log_id(call: Apply) -> Predicate:
    _count(call, 1)
    wanted = folded(_text(call, 0))

    def holds(entry: Any) -> bool:
        return folded(unquote(entry.log_name.partition("/logs/")[2])) == wanted

    return holds


def _source(call: Apply) -> Predicate:
    _count(call, 1)
    wanted = folded(_text(call, 0))
    return lambda entry: folded(entry.log_name.partition("/logs/")[0]) == wanted


def _sample(call: Apply) -> Predicate:
    _count(call, 2)
    values = _left(call)
    try:
        share = float(_text(call, 1))
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise refused(call, "takes a fraction above 0 and up to 1 as argument 2")

    def holds(entry: Message) -> bool:
        cell = next(iter(values(entry)), None)
        return cell is not None and zlib.crc32(str(cell[1]).encode()) / 0xFFFFFFFF <= share

    return holds


def _ip_in_net(call: Apply) -> Predicate:
    _count(call, 2)
    values = _left(call)
    try:
        net = ipaddress.ip_network(_text(call, 1), strict=False)
    except ValueError:
        raise refused(call, "takes an address or a subnet as argument 2") from None

    def within(text: str) -> bool:
        try:
            address = ipaddress.ip_network(text, strict=False)
        except ValueError:
            return False
        same = (address.version, net.version)
        return same in ((4, 4), (6, 6)) and address.subnet_of(net)  # type: ignore[arg-type]

    return lambda entry: any(within(str(value)) for _kind, value in values(entry))


def _search(call: Apply) -> Predicate:
    _count(call, 1, 2)
    query = call.arguments[-1]
    if not isinstance(query, Value):
        raise refused(call, "takes a quoted string as its query")
    # What stands in backticks is a phrase, sought as it is; the rest falls into words.
    pieces = folded(query.text).split("`")
    phrases = [piece for piece in pieces[1::2] if piece]
    words = {word for piece in pieces[::2] for word in _BREAKS.split(piece) if word}
    values: Cells = every_cell if len(call.arguments) == 1 else _left(call)

    def holds(entry: Message) -> bool:
        texts = [folded(str(value)) for kind, value in values(entry) if kind is STRING]
        found = {word for text in texts for word in _BREAKS.split(text)}
        return words <= found and all(any(p in text for text in texts) for p in phrases)

    return holds


def _cast(call: Apply) -> Cells:
    _count(call, 2, 3)
    values, name = _left(call), _text(call, 1).upper()
    if name not in _TYPES:
        raise refused(call, f"knows no type '{name}'")
    wanted, zone = _TYPES[name], _zone(call)

    def cast(entry: Message) -> Iterator[Cell]:
        for kind, value in values(entry):
            changed = wanted.convert(Value(_written(kind, value, zone), quoted=True))
            if wanted is STRING:
                changed = _written(kind, value, zone)
            if changed is not None:
                yield (wanted, changed)

    return cast


def _zone(call: Apply) -> ZoneInfo | None:
    if len(call.arguments) < 3:
        return None
    option = call.arguments[2]
    if not isinstance(option, Apply) or option.name != "timezone":
        raise refused(call, 'takes TIMEZONE("…") as argument 3')
    try:
        return ZoneInfo(_text(option, 0))
    except (ZoneInfoNotFoundError, ValueError):
        raise refused(call, "knows no such time zone") from None


def _written(kind: FieldKind, value: Any, zone: ZoneInfo | None) -> str:
    """A value as text; an instant as RFC 3339 with nanoseconds."""
    if kind is TIMESTAMP:
        seconds, nanos = divmod(value, SECOND)
        at = datetime.fromtimestamp(seconds, zone or UTC)
        return f"{at:%Y-%m-%dT%H:%M:%S}.{nanos:09d}{f'{at:%z}' if zone else 'Z'}"
    if kind is DURATION:
        return f"{value / SECOND:.9f}s"
    return str(value).lower() if kind is BOOL else str(value)


def _extract(call: Apply) -> Cells:
    _count(call, 2)
    values, source = _left(call), _text(call, 1)
    try:
        pattern = re.compile(source)
    except re.error as error:
        raise refused(call, f"has the bad pattern '{source}' ({error})") from None
    if pattern.groups != 1:
        raise refused(call, "takes a pattern with one capture group")

    def extract(entry: Message) -> Iterator[Cell]:
        for kind, value in values(entry):
            match = pattern.search(value) if kind is STRING else None
            if match:
                yield (STRING, match.group(1) or "")

    return extract
