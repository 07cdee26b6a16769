"""Every cause of the catalogue is recognised end to end, or it is said why it cannot be."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from witnesses import MATRIX, Shown

from loopctl.triage.loading import load_catalogue

E2E = Path(__file__).parents[1] / "e2e"
_WITNESS = re.compile(r"(?P<module>test_\w+\.py)::(?P<test>test_\w+)(?:\[(?P<row>.+)\])?")
_REASON = re.compile(r"\(.{20,}\)")


def told(shown: Shown) -> list[str]:
    return [shown.local, shown.docker, shown.cloud, shown.logs]


@cache
def text_of(module: str) -> str:
    """The module, and those beside it that it takes its tables from."""
    text = (E2E / module).read_text()
    taken = re.findall(r"^from (test_\w+) import", text, re.MULTILINE)
    return "\n".join([text, *((E2E / f"{name}.py").read_text() for name in taken)])


def test_every_cause_of_the_catalogue_stands_in_the_matrix() -> None:
    assert set(MATRIX) == {signature.id for signature in load_catalogue().signatures}


@pytest.mark.parametrize("cause", sorted(MATRIX))
def test_every_cause_has_a_witness_and_a_reason_where_it_has_none(cause: str) -> None:
    each = told(MATRIX[cause])
    assert any(_WITNESS.fullmatch(one) for one in each)
    assert all(_WITNESS.fullmatch(one) or _REASON.fullmatch(one) for one in each)


@pytest.mark.parametrize("cause", sorted(MATRIX))
def test_every_witness_is_there_and_names_the_cause(cause: str) -> None:
    for found in filter(None, map(_WITNESS.fullmatch, told(MATRIX[cause]))):
        text = text_of(found["module"])
        names = {node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
        assert found["test"] in names, found[0]
        assert found["row"] is None or f'"{found["row"]}"' in text, found[0]
        # Those of exports take every cause that has the fixture of a log.
        by_fixture = found["module"] == "test_triage_logs.py"
        assert by_fixture or cause in text, found[0]


def test_what_a_line_of_a_log_tells_is_shown_from_logs_too() -> None:
    catalogue = load_catalogue().signatures
    from_logs = {s.id for s in catalogue if any(n.endswith(".log") for n in s.tests.positive)}
    assert from_logs == {cause for cause, shown in MATRIX.items() if _WITNESS.fullmatch(shown.logs)}
