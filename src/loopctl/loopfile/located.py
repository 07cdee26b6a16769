"""Judges a tree by the schema and says each fault at its place, in the words of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from loopctl.loopfile.marks import Mark, near, quoted
from loopctl.loopfile.nodes import (
    Node,
    Origin,
    Scalar,
    Sequence,
    Table,
    Typed,
    plain,
    scalars,
)
from loopctl.loopfile.problems import Problems
from loopctl.loopfile.quantities import QUOTE_IT, WRONG_VALUE
from loopctl.loopfile.schema import LoopFile
from loopctl.loopfile.schema_base import Part

_TEXT_WANTED = {"string_type", QUOTE_IT}
_SAYS = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "dict_type": "must be a map",
    "model_type": "must be a map",
    "model_attributes_type": "must be a map",
    "list_type": "must be a list",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}
# It is what it should be and too little of it: saying what it is would explain nothing.
_OF_THE_RIGHT_KIND = frozenset({"string_too_short", "too_short"})
_BOUNDS = {
    "greater_than_equal": ("ge", "must be at least {}"),
    "less_than_equal": ("le", "must be at most {}"),
    "string_too_long": ("max_length", "must have at most {} characters"),
}
# What these keys hold is text to the program that reads it, whatever it looks like.
_TEXT_TABLES = frozenset({"env", "args"})


def judge(document: Table, problems: Problems) -> LoopFile | None:
    """The document as a model; None when there are faults, which are then in `problems`."""
    as_text = frozenset(_text_by_place(document))
    faults: list[ErrorDetails] = []
    for _ in range(2):
        try:
            return LoopFile.model_validate(plain(document, as_text))
        except ValidationError as error:
            faults = error.errors(include_url=False, include_context=True)
        # A variable is typed for keys that want a type; for all others its text is what it says.
        more = frozenset(id(n) for f in faults if (n := _wants_text(document, f)) is not None)
        if not more - as_text:
            break
        as_text |= more
    for fault in faults:
        _note(document, fault, problems)
    return None


def _text_by_place(node: Node) -> Iterator[int]:
    match node:
        case Sequence():
            for item in node.items:
                yield from _text_by_place(item)
        case Table():
            for key, entry in node.entries.items():
                if key in _TEXT_TABLES:
                    below = scalars(entry.value)
                    yield from (id(s) for s in below if s.origin is Origin.REFERENCE)
                else:
                    yield from _text_by_place(entry.value)
        case _:
            return


def _wants_text(document: Table, fault: ErrorDetails) -> Scalar | None:
    node = _find(document, fault["loc"])[0]
    if isinstance(node, Scalar) and node.origin is Origin.REFERENCE:
        return node if fault["type"] in _TEXT_WANTED else None
    return None


def _find(document: Table, loc: tuple[int | str, ...]) -> tuple[Node, Mark, bool]:
    """The node that a fault is about, the place of its key if it has one, and if all was found.

    Where the last part is missing, the node is the map or list that should have had it.
    """
    node: Node = document
    mark, complete = document.mark, True
    for part in loc:
        complete = True
        if isinstance(node, Table) and part in node.entries:
            entry = node.entries[str(part)]
            node, mark = entry.value, entry.mark
        elif isinstance(node, Sequence) and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
            mark = node.mark
        else:
            complete = False
    return node, mark, complete


def _note(document: Table, fault: ErrorDetails, problems: Problems) -> None:
    loc, kind = fault["loc"], fault["type"]
    node, key_mark, complete = _find(document, loc)
    if isinstance(node, Scalar) and node.origin is Origin.UNRESOLVED:
        return
    name = quoted(str(loc[-1])) if loc else "the file"
    if kind == "extra_forbidden":
        problems.add(key_mark, f"unknown key {name}", _nearest_key(loc))
    elif kind == "missing":
        problems.add(node.mark, f"{name} is missing", _description(loc))
    elif loc and loc[-1] == "[key]":
        problems.add(key_mark, f"the name {quoted(str(loc[-2]))} {_said(fault)}")
    elif complete and kind not in _OF_THE_RIGHT_KIND:
        hint = _hint(node, fault)
        problems.add(node.mark, f"{_subject(loc)} {_said(fault)}{_instead(node, problems)}", hint)
    else:
        problems.add(node.mark, f"{_subject(loc)} {_said(fault)}", _hint(node, fault))


def _subject(loc: tuple[int | str, ...]) -> str:
    names = [part for part in loc if isinstance(part, str)]
    if not loc or not names:
        return "the file"
    number = f" item {loc[-1] + 1}" if isinstance(loc[-1], int) else ""
    return f"{quoted(names[-1])}{number}"


def _said(fault: ErrorDetails) -> str:
    kind, context = fault["type"], fault.get("ctx", {})
    if kind in {WRONG_VALUE, QUOTE_IT}:
        return fault["msg"]
    if kind == "literal_error":
        return f"must be one of {', '.join(_literals(context))}"
    if kind in _BOUNDS:
        bound, text = _BOUNDS[kind]
        return text.format(context[bound])
    return _SAYS.get(kind) or fault["msg"][:1].lower() + fault["msg"][1:]


def _literals(context: Mapping[str, Any]) -> list[str]:
    return str(context["expected"]).replace("' or '", "', '").replace("'", "").split(", ")


def _hint(node: Node, fault: ErrorDetails) -> str | None:
    if not isinstance(node, Scalar):
        return None
    if fault["type"] == "literal_error":
        return near(node.text, _literals(fault.get("ctx", {})))
    if fault["type"] in _TEXT_WANTED:
        return None if node.is_null or not node.plain else f"write {quoted(node.text)}"
    if fault["type"] == "bool_type" and node.text in {"on", "off", "yes", "no"}:
        return f"{node.text} is text here: write true or false"
    return None


def _instead(node: Node, problems: Problems) -> str:
    """What stands there instead, unless it came out of a variable or may be a secret."""
    match node:
        case Table():
            return ", not a map"
        case Sequence():
            return ", not a list"
        case Scalar():
            if node.origin is not Origin.WRITTEN:
                return ", which what its variables give is not"
            return "" if problems.is_secret(node) else f", not {_shown(node.value)}"


def _shown(value: Typed) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value.text if hasattr(value, 'text') else value}"
        case str():
            return quoted(value)


def _nearest_key(loc: tuple[int | str, ...]) -> str | None:
    part = _part_at(loc[:-1])
    if part is None:
        return None
    name, fields = str(loc[-1]), _keys(part)
    for key, annotation in fields.items():
        below, wrappers = _unwrapped(annotation)
        if below and not wrappers and name in _keys(below):
            return f"it belongs below {quoted(key)}"
    return near(name, fields) or f"known here: {', '.join(fields)}"


def _description(loc: tuple[int | str, ...]) -> str | None:
    part = _part_at(loc[:-1])
    for name, field in part.model_fields.items() if part else ():
        if (field.alias or name) == loc[-1]:
            return field.description
    return None


def _part_at(loc: tuple[int | str, ...]) -> type[Part] | None:
    part: type[Part] | None = LoopFile
    skip = 0
    for step in loc:
        if skip:
            skip -= 1
        elif part is None or step not in _keys(part):
            return None
        else:
            part, skip = _unwrapped(_keys(part)[str(step)])
    return part


def _keys(part: type[Part]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in part.model_fields.items()}


def _unwrapped(annotation: Any) -> tuple[type[Part] | None, int]:
    """The part inside an annotation, and how many lists and maps are around it."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation, 0
    origin, arguments = get_origin(annotation), get_args(annotation)
    around = 1 if origin in {list, dict} else 0
    for argument in arguments[:1] if origin is Annotated else arguments:
        part, wrappers = _unwrapped(argument)
        if part:
            return part, wrappers + around
    return None, 0
