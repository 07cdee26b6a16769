"""Whether what a clause asks of a record's fields holds. Pure."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Final

from loopctl.triage.signatures import Comparison, Scalar

_ORDER: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


def asks_for_news(comparison: Comparison) -> bool:
    """Whether it holds for no line that green runs have shown as well."""
    return (comparison.field, comparison.op, comparison.value) == ("novel", "ne", "no")


def holds(comparison: Comparison, fields: Mapping[str, Scalar]) -> bool:
    """Whether a record with these fields is what the comparison asks for."""
    if comparison.field not in fields:
        return False
    left = fields[comparison.field]
    if isinstance(comparison.value, tuple):
        return any(_equal(left, each) for each in comparison.value)
    right = fields.get(comparison.ref) if comparison.ref is not None else comparison.value
    if comparison.op == "eq":
        return _equal(left, right)
    if comparison.op == "ne":
        return not _equal(left, right)
    one, other = _number(left), _number(right)
    return one is not None and other is not None and _ORDER[comparison.op](one, other)


def _equal(left: Scalar, right: Scalar) -> bool:
    if left is None or right is None or isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return str(left) == str(right) or (
        _number(left) is not None and _number(left) == _number(right)
    )


def _number(value: Scalar) -> float | None:
    """Stages give the telling number as text."""
    if value is None or isinstance(value, bool):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
