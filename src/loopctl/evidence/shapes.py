"""The shape of JSON messages: which fields they have and of which types, never a value. Pure.

Shapes of many messages are merged, and two records compared, so that a changed wrapper is seen as
*changed shape at data.type*. What keeps a record small, and a comparison quiet:

- A field that is sometimes missing from its object is never told as gone, nor one of a list's
  items as missing from a list that is empty now. A null is no other type than what else is there.
- An object is a map, its names data, when it has more than 50 of them, or has some and each looks
  made by a machine (digits, a UUID, 16 or more hexadecimal digits, a date). Its fields are
  recorded as one, `*`.
- At most 10 levels, 400 fields a message, 50 items of a list. Of a record that was cut there,
  fields that came or went are not told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import islice

_MOST_NAMES = 50
_MOST_FIELDS = 400
_MOST_ITEMS = 50
_DEEPEST = 10
_LONGEST_NAME = 100
_ANY = "*"
_NULL = frozenset({"null"})
_PLAIN = re.compile(r"[A-Za-z_$@][\w$@-]*", re.ASCII)
_MACHINE_MADE = re.compile(
    r"\d+|[0-9a-fA-F]{16,}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|\d{4}-\d\d-\d\d(?:T[\d:.Z+-]*)?",
    re.ASCII,
)
Types = frozenset[str]


@dataclass(frozen=True, slots=True)
class Shape:
    """What was seen at one place of messages of one kind.

    `types` are JSON's: object, list, string, number, boolean, null. `seen` is how often a value
    stood here; `missing` how often the object around it was there without it, since the field was
    first seen. `objects` is how often it was an object, `listed` whether a list had any item.
    """

    types: Types = frozenset()
    seen: int = 0
    missing: int = 0
    objects: int = 0
    fields: Mapping[str, Shape] = field(default_factory=dict)
    items: Shape | None = None
    is_cut: bool = False

    @property
    def is_always_there(self) -> bool:
        """Whether no object around it was ever seen without it."""
        return self.missing == 0


@dataclass(frozen=True, slots=True)
class ShapeChange:
    """One place where two records differ. None for the types: it is not there."""

    path: str
    was: Types | None
    now: Types | None

    @property
    def difference(self) -> str:
        """`was string, is gone`, `was object, is list`, `new: string`."""
        if self.was is None:
            return f"new: {_listed(self.now or frozenset())}"
        return f"was {_listed(self.was)}, is {'gone' if self.now is None else _listed(self.now)}"

    @property
    def said(self) -> str:
        """The change as a sentence without its end."""
        return f"changed shape at {self.path}: {self.difference}"


def shape_of(value: object, clean: Callable[[str], str] = str) -> Shape:
    """The shape of one message. `clean` is put over every name of a field before it is kept."""
    return _shape(value, clean, _DEEPEST, [_MOST_FIELDS])


def merge(one: Shape, other: Shape) -> Shape:
    """The shape of the messages of both, which are of equal standing."""
    return _merged(one, other, _union)


def carried(before: Shape, now: Shape) -> Shape:
    """What to keep for later comparisons: what is now, and what was known to be optional.

    A change counts as told: a field that is gone is from now on one that is sometimes missing, a
    new one is as it is now, and types that are all new replace what was.
    """
    return _merged(before, now, _succeeded, is_sequel=True)


def changes(before: Shape, now: Shape) -> tuple[ShapeChange, ...]:
    """Where messages differ from what they were; of nested places only the outermost."""
    is_cut = before.is_cut or now.is_cut
    return tuple(_changes(before, now, "", is_cut=is_cut))


def paths(shape: Shape, path: str = "") -> Iterator[tuple[str, Types]]:
    """Every place of the shape with its types, as `data.items[].id`."""
    yield path, shape.types
    for name, below in sorted(shape.fields.items()):
        yield from paths(below, _join(path, name))
    if shape.items is not None:
        yield from paths(shape.items, f"{path}[]")


def to_json(shape: Shape) -> dict[str, object]:
    """The shape as JSON; what is empty or 0 is left out."""
    told: dict[str, object] = {"types": sorted(shape.types), "seen": shape.seen}
    told |= {"missing": shape.missing} if shape.missing else {}
    told |= {"objects": shape.objects} if shape.objects else {}
    if shape.fields:
        told["fields"] = {name: to_json(below) for name, below in sorted(shape.fields.items())}
    if shape.items is not None:
        told["items"] = to_json(shape.items)
    return told | ({"cut": True} if shape.is_cut else {})


def from_json(told: object) -> Shape:
    """What `to_json` wrote. Raises `ValueError` for anything else."""
    if not isinstance(told, dict):
        raise ValueError("a shape is an object")
    types, below, items = told.get("types"), told.get("fields", {}), told.get("items")
    numbers = [told.get(name, 0) for name in ("seen", "missing", "objects")]
    if not isinstance(types, list) or not all(isinstance(each, str) for each in types):
        raise ValueError("a shape has types")
    if not isinstance(below, dict) or not all(type(each) is int and each >= 0 for each in numbers):
        raise ValueError("a shape has fields and numbers")
    seen, missing, objects = numbers
    return Shape(
        frozenset(types),
        seen,
        missing,
        objects,
        fields={name: from_json(each) for name, each in below.items()},
        items=None if items is None else from_json(items),
        is_cut=told.get("cut") is True,
    )


def _shape(value: object, clean: Callable[[str], str], depth: int, left: list[int]) -> Shape:
    left[0] -= 1
    match value:
        case dict():
            return _object(value, clean, depth, left)
        case list():
            each = [_shape(v, clean, depth - 1, left) for v in _affordable(value, depth, left)]
            items = reduce(merge, each) if each else None
            is_cut = items.is_cut or left[0] <= 0 if items else bool(value)
            return Shape(frozenset({"list"}), 1, items=items, is_cut=is_cut)
        case str():
            name = "string"
        case bool():
            name = "boolean"
        case None:
            name = "null"
        case _:
            name = "number"
    return Shape(frozenset({name}), 1)


def _affordable(value: list[object], depth: int, left: list[int]) -> Iterator[object]:
    for item in value[:_MOST_ITEMS] if depth > 0 else ():
        if left[0] <= 0:
            return
        yield item


def _object(
    value: dict[str, object], clean: Callable[[str], str], depth: int, left: list[int]
) -> Shape:
    made = Shape(frozenset({"object"}), 1, objects=1, is_cut=bool(value) and depth <= 0)
    fields: dict[str, Shape] = {}
    for key, inner in islice(value.items(), None if depth > 0 else 0):
        if left[0] <= 0 or len(fields) > _MOST_NAMES:
            made = replace(made, is_cut=made.is_cut or left[0] <= 0)
            break
        name = clean(key)[:_LONGEST_NAME]
        below = _shape(inner, clean, depth - 1, left)
        fields[name] = merge(fields[name], below) if name in fields else below
    is_cut = made.is_cut or any(below.is_cut for below in fields.values())
    return replace(made, fields=_as_map(fields), is_cut=is_cut)


def _as_map(fields: Mapping[str, Shape]) -> Mapping[str, Shape]:
    """The fields, or `*` in their place where their names are data."""
    made = bool(fields) and all(_MACHINE_MADE.fullmatch(name) for name in fields)
    if not (made or len(fields) > _MOST_NAMES or (_ANY in fields and len(fields) > 1)):
        return fields
    return {_ANY: replace(reduce(merge, fields.values()), missing=0)}


def _merged(
    one: Shape,
    other: Shape,
    types: Callable[[Shape, Shape], Types],
    *,
    is_sequel: bool = False,
) -> Shape:
    fields = {}
    for name in one.fields.keys() | other.fields.keys():
        a, b = one.fields.get(name), other.fields.get(name)
        if a is not None and b is not None:
            fields[name] = _merged(a, b, types, is_sequel=is_sequel)
        elif a is not None:
            fields[name] = replace(a, missing=a.missing + other.objects)
        elif b is not None:
            fields[name] = b if is_sequel else replace(b, missing=b.missing + one.objects)
    pair = [items for items in (one.items, other.items) if items is not None]
    return Shape(
        types(one, other),
        one.seen + other.seen,
        one.missing + other.missing,
        one.objects + other.objects,
        _as_map(fields),
        reduce(lambda a, b: _merged(a, b, types, is_sequel=is_sequel), pair) if pair else None,
        one.is_cut or other.is_cut,
    )


def _union(one: Shape, other: Shape) -> Types:
    return one.types | other.types


def _succeeded(before: Shape, now: Shape) -> Types:
    """The types that count from now on."""
    if (before.types & now.types) - _NULL:
        return before.types | now.types
    # All new, but for a null that was or is in its place.
    return now.types | (before.types if now.types <= _NULL else before.types & _NULL)


def _changes(before: Shape, now: Shape, path: str, *, is_cut: bool) -> Iterator[ShapeChange]:
    if _is_retyped(before.types, now.types):
        yield ShapeChange(path or "the top", before.types, now.types)
        return
    if before.objects and now.objects:
        for name in sorted(before.fields.keys() | now.fields.keys()):
            was, is_now, at = before.fields.get(name), now.fields.get(name), _join(path, name)
            if was is not None and is_now is not None:
                yield from _changes(was, is_now, at, is_cut=is_cut)
            elif is_cut or _ANY in before.fields or _ANY in now.fields:
                continue  # names that are data, or more than were looked at, come and go
            elif was is not None and was.is_always_there:
                yield ShapeChange(at, was.types, None)
            elif is_now is not None and is_now.is_always_there:
                # One that only some messages have is optional, and had not come up before.
                yield ShapeChange(at, None, is_now.types)
    if before.items is not None and now.items is not None:
        yield from _changes(before.items, now.items, f"{path}[]", is_cut=is_cut)


def _is_retyped(before: Types, now: Types) -> bool:
    if before <= _NULL:
        return False
    return bool(now - before - _NULL) or (now == _NULL and not before & _NULL)


def _join(path: str, name: str) -> str:
    # A name with a dot in it, or white space, is quoted: it would read as two.
    shown = name if _PLAIN.fullmatch(name) or name == _ANY else f'"{name}"'
    return f"{path}.{shown}" if path else shown


def _listed(types: Types) -> str:
    return " or ".join(sorted(types)) or "nothing"
