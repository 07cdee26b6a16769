"""Which parameters `make test` takes, and which are left to `make test-all`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TypeVar

import pytest
from _pytest.mark.structures import ParameterSet

SLOW = pytest.mark.slow
_Value = TypeVar("_Value")


def but_slow(
    values: Iterable[_Value], quick: Collection[str], name: Callable[[_Value], str] = str
) -> list[ParameterSet]:
    """Every value as a parameter; all but those that are most worth their time are slow."""
    return [
        pytest.param(value, id=name(value), marks=() if name(value) in quick else SLOW)
        for value in values
    ]
