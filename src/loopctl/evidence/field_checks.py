"""Whether a JSON document holds what is expected of it. Pure.

An expectation is a table: each key is a field's name or a dotted path to it (a number in a path
is the index of a list), each value what must be there. A table as value asks for the fields that
it names and leaves others alone; a list must be equal in length, item by item. A key that the
document has as it is written goes before the path that it would be. Values are compared as JSON
has them: `true` is not `1`, `1` is `1.0`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

_LONGEST_SHOWN = 8192
_NAMED = 5


class _Nothing(Enum):
    MISSING = 0


MISSING = _Nothing.MISSING
"""The value of a field that is not there; `None` is JSON's null."""


@dataclass(frozen=True, slots=True)
class FieldFault:
    """A field that is not as expected. `path` is empty for the document itself.

    `holder` is the innermost object or list on the way to a missing field, `held_at` its path.
    """

    path: str
    wanted: object
    seen: object
    holder: object = MISSING
    held_at: str = ""

    @property
    def is_missing(self) -> bool:
        """Whether there is no such field at all."""
        return self.seen is MISSING

    def said(self, clean: Callable[[str], str]) -> str:
        """In words. `clean` makes text of the document fit to be shown: short, no secrets."""
        if not self.is_missing:
            wanted = json_text(self.wanted)
            if isinstance(self.wanted, Mapping):
                wanted = "an object"
            return f"{self.path or 'the document'} is {clean(json_text(self.seen))}, not {wanted}"
        return f"there is no field {self.path}{self._instead(clean)}"

    def _instead(self, clean: Callable[[str], str]) -> str:
        where = self.held_at or "the document"
        match self.holder:
            case {}:
                names = list(self.holder)
                more = len(names) - _NAMED
                listed = ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
                return f": {where} has {clean(listed) if names else 'none at all'}"
            case list():
                return f": {where} is a list of {len(self.holder)}"
            case _:
                return f": {where} is {clean(json_text(self.holder))}"


def json_of(text: str | bytes) -> object:
    """The document; raises `ValueError` for what is none.

    Python's own reader takes NaN and Infinity too, on which every other client gives up.
    """
    try:
        return json.loads(text, parse_constant=_no_json)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _no_json(word: str) -> object:
    raise ValueError(f"{word} is no JSON")


def field_faults(document: object, expected: Mapping[str, object]) -> tuple[FieldFault, ...]:
    """Every field of `expected` that `document` has not, or has otherwise."""
    return tuple(_of_table(document, expected, ""))


def field_at(document: object, path: str) -> object:
    """The value at a dotted path, `MISSING` where there is none."""
    return _walk(document, path, "")[0]


def json_text(value: object) -> str:
    """The value as JSON, only its beginning when it is long."""
    text = ""
    for piece in json.JSONEncoder(ensure_ascii=False, default=str).iterencode(value):
        text += piece[:_LONGEST_SHOWN]
        if len(text) > _LONGEST_SHOWN:
            break
    return text


def _faults(value: object, wanted: object, path: str) -> Iterator[FieldFault]:
    if isinstance(wanted, Mapping):
        yield from _of_table(value, wanted, path)
    elif isinstance(wanted, list) and isinstance(value, list) and len(value) == len(wanted):
        for index, (inner, want) in enumerate(zip(value, wanted, strict=True)):
            yield from _faults(inner, want, _join(path, str(index)))
    elif not _is_same(value, wanted):
        yield FieldFault(path, wanted, value)


def _of_table(value: object, wanted: Mapping[str, object], path: str) -> Iterator[FieldFault]:
    if not isinstance(value, dict | list):
        yield FieldFault(path, wanted, value)
        return
    for name, want in wanted.items():
        found, holder, held_at = _walk(value, name, path)
        here = _join(path, name)
        if found is MISSING:
            yield FieldFault(here, want, MISSING, holder, held_at)
        else:
            yield from _faults(found, want, here)


def _walk(value: object, path: str, at: str) -> tuple[object, object, str]:
    """What stands at the path; else `MISSING`, with the last value on the way and its path."""
    if isinstance(value, dict) and path in value:
        return value[path], value, at
    first, dot, rest = path.partition(".")
    below = _child(value, first)
    if below is MISSING:
        return MISSING, value, at
    return _walk(below, rest, _join(at, first)) if dot else (below, value, at)


def _child(value: object, name: str) -> object:
    if isinstance(value, dict):
        return value.get(name, MISSING)
    if isinstance(value, list) and name.isdecimal() and len(name) < 10:
        return value[int(name)] if int(name) < len(value) else MISSING
    return MISSING


def _is_same(value: object, wanted: object) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    return value == wanted


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
