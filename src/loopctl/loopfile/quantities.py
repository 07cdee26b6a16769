"""Durations, sizes, tolerances and their kin, as types that pydantic reads from plain values.

Every message says what is expected and never quotes the value: `located` does, where it may.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from loopctl.loopfile.nodes import WrittenFloat, WrittenInt, is_free
from loopctl.model.plan import Limit
from loopctl.model.quantity import DURATION, duration

QUOTE_IT = "quote_it"
WRONG_VALUE = "wrong_value"

_SIZE = re.compile(r"([1-9]\d{0,8})(Ki|Mi|Gi)")
_BYTES = {"Ki": 1024, "Mi": 1024**2, "Gi": 1024**3}
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)%")


def wrong(message: str) -> PydanticCustomError:
    """The error for a value of the right place and the wrong form; `message` is the whole text."""
    return PydanticCustomError(WRONG_VALUE, "{said}", {"said": message})


def _duration(value: object) -> float:
    try:
        return duration(value if isinstance(value, str) else "")
    except ValueError as error:
        raise wrong(str(error)) from error


def _some_time(value: float) -> float:
    if value <= 0:
        raise wrong("must be longer than nothing")
    return value


def _size(value: object) -> int:
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise wrong("must be a size with its unit: 512Ki, 512Mi or 2Gi")
    return int(match[1]) * _BYTES[match[2]]


def _limit(value: object) -> Limit:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Limit(count=int(value))
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if not match or float(match[1]) > 100:
        raise wrong("must be a whole number from 0, or a share such as 5%")
    return Limit(count=None, percent=float(match[1]))


def _day(value: object) -> date:
    try:
        return date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise wrong("must be a day such as 2026-12-31") from None


def number_or_duration(value: object) -> float:
    """A limit of a criterion, in seconds where it is a duration."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and DURATION.fullmatch(value):
        return _duration(value)
    raise wrong("must be a number, or a duration such as 500ms")


def _own_text(value: object) -> object:
    """A number as it was written; true and null are told to be quoted."""
    match value:
        case WrittenInt() | WrittenFloat():
            return value.text
        case bool() | None:
            raise PydanticCustomError(QUOTE_IT, "is not text: quote it to make it text")
        case _:
            return value


def _own_text_or_null(value: object) -> object:
    return None if value is None else _own_text(value)


def one_or_many(value: object) -> object:
    """A single value as a list of it."""
    return value if isinstance(value, list) else [value]


def without_free_keys(value: object) -> object:
    """A map without the keys that start with `x-`."""
    if not isinstance(value, dict):
        return value
    return {key: below for key, below in value.items() if not is_free(key)}


def bare(value: object) -> object:
    """A free value with plain numbers in it, as JSON and other libraries want them."""
    match value:
        case WrittenInt():
            return int(value)
        case WrittenFloat():
            return float(value)
        case list():
            return [bare(item) for item in value]
        case dict():
            return {key: bare(below) for key, below in value.items()}
        case _:
            return value


def matching(pattern: str, message: str) -> Callable[[str], str]:
    """A check that a text has a form."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise wrong(message)
        return value

    return check


_DURATION_SCHEMA = WithJsonSchema(
    {
        "type": "string",
        "pattern": f"^{DURATION.pattern}$",
        "examples": ["250ms", "30s", "5m", "2h"],
    }
)
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"

Duration: TypeAlias = Annotated[float, BeforeValidator(_duration), _DURATION_SCHEMA]
SomeTime: TypeAlias = Annotated[
    float, BeforeValidator(_duration), AfterValidator(_some_time), _DURATION_SCHEMA
]
Size: TypeAlias = Annotated[
    int,
    BeforeValidator(_size),
    WithJsonSchema({"type": "string", "pattern": f"^{_SIZE.pattern}$", "examples": ["512Mi"]}),
]
Tolerated: TypeAlias = Annotated[
    Limit,
    BeforeValidator(_limit),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": f"^{_PERCENT.pattern}$"},
            ]
        }
    ),
]
Day: TypeAlias = Annotated[
    date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})
]
Measure: TypeAlias = Annotated[
    float,
    BeforeValidator(number_or_duration),
    WithJsonSchema(
        {"anyOf": [{"type": "number"}, {"type": "string", "pattern": f"^{DURATION.pattern}$"}]}
    ),
]
Text: TypeAlias = Annotated[str, Field(min_length=1)]
OwnText: TypeAlias = Annotated[
    str, BeforeValidator(_own_text), WithJsonSchema({"type": ["string", "number"]})
]
OwnTextOrNull: TypeAlias = Annotated[
    str | None,
    BeforeValidator(_own_text_or_null),
    WithJsonSchema({"type": ["string", "number", "null"]}),
]
VariableName: TypeAlias = Annotated[
    str,
    AfterValidator(matching(_NAME, "must be the name of a variable: letters, digits and _")),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAME}$"}),
]
FreeValue: TypeAlias = Annotated[object, AfterValidator(bare)]
FreeTable: TypeAlias = Annotated[dict[str, object], AfterValidator(bare)]
