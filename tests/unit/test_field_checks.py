"""Fields of a JSON document against what is expected of them."""

from __future__ import annotations

import pytest

from loopctl.evidence.field_checks import MISSING, field_at, field_faults, json_text

DOCUMENT = {
    "status": "healthy",
    "ok": True,
    "one": 1,
    "none": None,
    "data": {"type": "a", "items": [{"id": 7}, {"id": 8, "x": 0}]},
    "a.b": 1,
}


def said(expected: dict[str, object], document: object = DOCUMENT) -> list[str]:
    return [fault.said(str) for fault in field_faults(document, expected)]


@pytest.mark.parametrize(
    "expected",
    [
        {},
        {"status": "healthy", "ok": True, "one": 1.0, "none": None},
        {"data.type": "a", "data.items.1.id": 8, "a.b": 1},
        {"data": {"items": [{"id": 7}, {"id": 8}]}},
        {"data": {}, "data.items": [{}, {"x": 0}]},
    ],
)
def test_what_is_there_is_no_fault(expected: dict[str, object]) -> None:
    assert said(expected) == []


@pytest.mark.parametrize(
    ("expected", "fault"),
    [
        ({"one": True}, "one is 1, not true"),
        ({"ok": 1}, "ok is true, not 1"),
        ({"none": 0}, "none is null, not 0"),
        ({"status": None}, 'status is "healthy", not null'),
        ({"data.kind": "a"}, "there is no field data.kind: data has type, items"),
        ({"data": {"kind": "a"}}, "there is no field data.kind: data has type, items"),
        ({"data.items.2": {}}, "there is no field data.items.2: data.items is a list of 2"),
        ({"status.code": 1}, 'there is no field status.code: status is "healthy"'),
        ({"status": {"code": 1}}, 'status is "healthy", not an object'),
        ({"data.items": []}, 'data.items is [{"id": 7}, {"id": 8, "x": 0}], not []'),
        ({"data.items": [{"id": 7}, {"id": 9}]}, "data.items.1.id is 8, not 9"),
    ],
)
def test_a_missing_field_is_told_apart_from_another_value(
    expected: dict[str, object], fault: str
) -> None:
    assert said(expected) == [fault]


def test_a_document_that_is_no_object_says_so() -> None:
    assert said({"a": 1}, []) == ["there is no field a: the document is a list of 0"]
    assert said({"a": 1}, {}) == ["there is no field a: the document has none at all"]
    assert said({"a": 1}, "x") == ['the document is "x", not an object']
    assert said({"0.id": 1}, [{"id": 1}]) == []


def test_a_huge_value_is_shown_by_its_beginning() -> None:
    assert len(json_text(["x" * 1000] * 100_000)) < 20_000
    assert len(json_text("x" * 10_000_000)) < 20_000


def test_a_field_is_found_at_its_path() -> None:
    assert field_at(DOCUMENT, "data.items.0.id") == 7
    assert field_at(DOCUMENT, "data.nothing") is MISSING
    assert field_at(None, "a") is MISSING
