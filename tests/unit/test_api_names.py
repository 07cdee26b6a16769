"""The API's names are found when they are asked for, and not before."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from loopctl import api


@pytest.mark.parametrize("name", api.__all__)
def test_every_name_of_the_api_is_there(name: str) -> None:
    found = getattr(api, name)
    # A module of the same name would stand before it.
    assert not hasattr(found, "__path__")
    assert getattr(found, "__spec__", None) is None


def test_a_name_that_is_none_is_refused_as_any_module_does() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = api.nonsense  # type: ignore[attr-defined]
    assert set(api.__all__) <= set(dir(api))


def test_each_name_stands_in_all_three_places_and_comes_from_one_module() -> None:
    source = ast.parse(Path(api.__file__).read_text(encoding="utf-8"))
    imported = {
        alias.name: node.module
        for node in ast.walk(source)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("loopctl.")
        for alias in node.names
    }
    assert imported == api._HOME
    assert sorted(imported) == sorted(api.__all__)
