"""Shapes of messages: what is recorded of them, and which differences are worth telling."""

from __future__ import annotations

import json
import time
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopctl.evidence.shapes import (
    Shape,
    carried,
    changes,
    from_json,
    merge,
    paths,
    shape_of,
    to_json,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


def of(*messages: object) -> Shape:
    return reduce(merge, map(shape_of, messages))


def told(before: object, now: object) -> list[str]:
    """The changes between two messages, or two shapes."""
    pair = (each if isinstance(each, Shape) else shape_of(each) for each in (before, now))
    return [change.said.removeprefix("changed shape at ") for change in changes(*pair)]


def test_a_shape_has_every_path_with_its_types_and_no_value() -> None:
    shape = of({"type": "s3cret", "n": 1.5, "items": [{"id": 1}, {"id": "x"}], "none": None})
    assert dict(paths(shape)) == {
        "": {"object"},
        "items": {"list"},
        "items[]": {"object"},
        "items[].id": {"number", "string"},
        "n": {"number"},
        "none": {"null"},
        "type": {"string"},
    }
    assert "s3cret" not in json.dumps(to_json(shape))


def test_changes_say_the_place_what_was_and_what_is() -> None:
    before = {"data": {"type": "a", "n": 1}, "list": {"a": 1}}
    assert told(before, {"data": {"n": "1"}, "list": [1], "extra": True}) == [
        "data.n: was number, is string",
        "data.type: was string, is gone",
        "extra: new: boolean",
        "list: was object, is list",
    ]
    assert told([1], {"a": 1}) == ["the top: was list, is object"]
    assert told({"a.b": {"c d": 1}}, {"a.b": {"c d": "1"}}) == [
        '"a.b"."c d": was number, is string'
    ]


def test_of_nested_places_only_the_outermost_is_told() -> None:
    assert told({"a": {"b": {"c": 1}}}, {}) == ["a: was object, is gone"]
    assert told({}, {"a": {"b": {"c": 1}}}) == ["a: new: object"]


def test_a_field_that_only_some_messages_have_is_never_told_as_gone() -> None:
    sometimes = of({"a": 1, "note": "x"}, {"a": 1})
    assert told(sometimes, {"a": 1}) == []
    assert told(sometimes, {"note": "x"}) == ["a: was number, is gone"]
    assert told({"a": 1}, sometimes) == [], "one that only some messages have, is not new"


def test_fields_of_an_optional_object_are_held_against_that_object_alone() -> None:
    sometimes = of({"error": {"code": 1}}, {"ok": True})
    assert told(sometimes, {"ok": True}) == []
    assert told(sometimes, {"error": {}}) == ["error.code: was number, is gone"]


def test_lists_are_compared_by_their_items_and_may_be_empty() -> None:
    assert told({"items": [{"id": 1}]}, {"items": []}) == []
    assert told({"items": []}, {"items": [{"id": 1}]}) == []
    assert told([{"id": 1, "n": 1}, {"id": 2}], [{"n": 1}]) == ["[].id: was number, is gone"]


def test_a_null_is_no_other_type_but_one_in_place_of_a_value_is_told() -> None:
    assert told({"a": None}, {"a": "x"}) == []
    assert told({"a": "x"}, of({"a": "x"}, {"a": None})) == []
    assert told({"a": "x"}, {"a": None}) == ["a: was string, is null"]
    assert told(of({"a": "x"}, {"a": None}), {"a": None}) == []


def test_what_was_told_once_is_not_told_again_and_its_undoing_is() -> None:
    first, second = shape_of({"a": {"b": 1}, "gone": 1}), shape_of({"a": [1], "new": 1})
    kept = carried(first, second)
    assert told(kept, second) == []
    assert told(kept, {"a": {"b": 1}, "new": 1}) == ["a: was list, is object"]
    assert told(kept, {"a": [1]}) == ["new: was number, is gone"]
    assert told(kept, {"a": [1], "new": 1, "gone": 1}) == []


def test_a_field_that_is_null_every_other_run_is_told_once_at_most() -> None:
    kept, said = shape_of({"error": None}), []
    for value in ("x", None, "x", None, "x"):
        said += told(kept, {"error": value})
        kept = carried(kept, shape_of({"error": value}))
    assert said == []


@pytest.mark.parametrize(
    "names",
    [
        ["1", "22"],
        ["0a1b2c3d-0000-1111-2222-333344445555"],
        ["deadbeefdeadbeef00"],
        ["2026-01-01", "2026-01-02T10:00:00Z"],
        [f"user_{n}" for n in range(60)],
    ],
)
def test_an_object_whose_names_are_data_is_one_field(names: list[str]) -> None:
    shape = of({"by": {name: {"n": 1} for name in names}})
    assert [path for path, _ in paths(shape)] == ["", "by", "by.*", "by.*.n"]
    assert told(shape, {"by": {"77": {"n": 1}}}) == []
    assert told(shape, {"by": {"77": {"n": "1"}}}) == ["by.*.n: was number, is string"]


def test_names_that_come_one_a_message_turn_out_to_be_data_too() -> None:
    shape = of(*({"by": {f"user_{n}": 1}} for n in range(60)))
    assert dict(paths(shape))["by.*"] == {"number"}
    assert told(shape, {"by": {"someone": 1}}) == []
    assert told({"by": {"id": 1}}, {"by": {f"k{n}": 1 for n in range(99)}}) == []


def test_a_huge_message_is_cut_and_then_no_field_is_told_as_gone() -> None:
    wide = {f"a{n}": {f"b{m}": m for m in range(40)} for n in range(40)}
    shape = shape_of(wide)
    assert len(list(paths(shape))) <= 401
    assert shape.is_cut
    assert told(shape, {"other": 1}) == []
    assert told(shape, {"a0": []}) == ["a0: was object, is list"]


def test_a_deep_message_is_cut() -> None:
    deep: object = 1
    for _ in range(900):
        deep = {"a": [deep]}
    shape = shape_of(deep)
    assert shape.is_cut
    assert len(list(paths(shape))) < 20
    assert told(shape, deep) == []


def test_a_long_list_costs_no_more_than_its_beginning() -> None:
    began = time.monotonic()
    shape = shape_of([{"a": 1}] * 1_000_000)
    assert time.monotonic() - began < 0.5
    assert shape.items is not None
    assert shape.items.seen == 50


def test_names_are_cleaned_before_they_are_kept() -> None:
    shape = shape_of({"secret-1": 1, "secret-2": "x"}, lambda name: name[:6])
    assert dict(paths(shape)) == {"": {"object"}, "secret": {"number", "string"}}
    assert all(len(path) <= 100 for path, _ in paths(shape_of({"k" * 5000: 1})))


@given(st.lists(JSON, min_size=1, max_size=6))
def test_merging_goes_in_any_order_and_survives_json(messages: list[object]) -> None:
    shape = of(*messages)
    assert dict(paths(shape)) == dict(paths(of(*reversed(messages))))
    assert from_json(json.loads(json.dumps(to_json(shape)))) == shape
    assert changes(shape, shape) == ()


@given(JSON, JSON)
def test_what_is_kept_after_a_change_never_tells_it_again(one: object, other: object) -> None:
    before, now = shape_of(one), shape_of(other)
    assert changes(carried(before, now), now) == ()


@pytest.mark.parametrize(
    "told_before",
    [
        *[None, [], {}, {"types": "object"}, {"types": [1]}, {"types": [], "seen": -1}],
        *[{"types": [], "seen": True}, {"types": [], "fields": []}, {"types": [], "items": 1}],
    ],
)
def test_what_is_no_record_is_refused(told_before: object) -> None:
    with pytest.raises(ValueError, match="shape"):
        from_json(told_before)
