"""What is known of a shape holds for every line of it."""

from __future__ import annotations

import json
import re

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st
from triage_fixtures import entries

from loopctl.model.logs import LogEntry
from loopctl.triage.assemble import Assembler, assemble
from loopctl.triage.baseline import Window
from loopctl.triage.loading import load_catalogue
from loopctl.triage.match import Matcher
from loopctl.triage.reading import Reading
from loopctl.triage.records import log_record
from loopctl.triage.shapes import pattern_of_shapes, shape_of, without_ids, written_of
from loopctl.triage.symptoms import ServiceLog
from loopctl.triage.templates import Masker

EXAMPLES_EACH = 100
PATTERNS = sorted(
    {
        look.regex
        for signature in load_catalogue().signatures
        for clause in (
            *signature.match.all,
            *signature.match.any,
            *signature.match.none,
            *signature.match.recovered,
        )
        for look in clause.looks
        if look.regex and look.on == "log"
    }
)
# What re2 knows and Python does not say alike: none of it stands in the way of making examples.
EXAMPLES = {pattern: st.from_regex(re.compile(pattern, re.ASCII)) for pattern in PATTERNS}
PIECES = st.sampled_from(
    [
        "GET /v1/users/", "INFO ", "ERROR ", "status=", '"status": ', "exit code ", " HTTP/1.1\" ",
        "took ", " ms", "0x", "deadbeef01", "deadbeef", "9F86D081884C7D65", "cafe", "a1b2c3d4e5",
        "3f2504e0-4f89-11d3-9a0c-0305e82c3301", " ", "/", ":", "://", "-", ".", "=", '"', "'", "(",
        ")", "[", "]", ",", "at x.y", "Bad: ", "host", "T", "Z", "rev-00001-abc", "é", "\\", "{",
        "}",
        "goroutine ", "panic: ", "TypeError: ", "Traceback (most recent call last):", "|", "k",
    ]
)  # fmt: skip
LINES = st.lists(PIECES | st.integers(0, 10**9).map(str), min_size=1, max_size=12).map("".join)


def shape(text: str) -> str:
    return without_ids(shape_of(written_of(text))).decode()


@given(st.data())
@settings(max_examples=EXAMPLES_EACH, deadline=None)
def test_whatever_a_signature_matches_its_pattern_of_shapes_matches_in_shape(
    data: st.DataObject,
) -> None:
    pattern = data.draw(st.sampled_from(PATTERNS))
    line = data.draw(EXAMPLES[pattern])
    of_shapes = pattern_of_shapes(pattern)
    assert of_shapes is not None
    if re2.search(pattern, line):
        assert re2.search(of_shapes, shape(line))
        assert re2.search(of_shapes, shape_of(written_of(line)).decode())


@pytest.mark.parametrize("pattern", [r"\x41", r"\pL", r"\Qa1\E", r"(?<!a)b", r"\101", "[ab"])
def test_a_pattern_that_is_not_understood_is_not_told(pattern: str) -> None:
    assert pattern_of_shapes(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (r"^[^0]{2}$", "12"),
        (r"\D{3}", "bad"),
        (r"(?i:FACE1)\b", "face1 x"),
        (r"[[:xdigit:]]{4}z", "beefz"),
        (r"[]5]+", "5]"),
        (r"x{1,3}[a-c-]", "xxb"),
        (r"(?P<a5>5{2})", "55"),
    ],
)
def test_every_construct_takes_a_zero_for_what_it_took(pattern: str, line: str) -> None:
    of_shapes = pattern_of_shapes(pattern)
    assert of_shapes is not None
    zeroed = re.sub("[0-9a-fA-F]", "0", line)
    assert re2.search(pattern, line)
    assert re2.search(of_shapes, zeroed)


def opens(line: str) -> bool:
    assembler = Assembler()
    list(assembler.take(next(iter(entries([line])))))
    return bool(assembler.hot)


@given(LINES)
@settings(max_examples=EXAMPLES_EACH, deadline=None)
def test_a_line_has_the_template_of_its_shape_but_for_digits_that_it_keeps(line: str) -> None:
    line = re.sub(r"(?i)status|code|exit|HTTP", "x", line)
    assert Masker().template(line) == Masker().template(shape(line))


@given(LINES)
@settings(max_examples=EXAMPLES_EACH, deadline=None)
def test_a_line_opens_a_stack_where_its_shape_does(line: str) -> None:
    assert opens(line) == opens(shape(line))


def read_line_by_line(log: list[LogEntry]) -> tuple[list[object], list[object]]:
    window, matcher = Window("chat", None), Matcher(load_catalogue())
    of = ServiceLog("chat", "logs/1/chat.jsonl", log)
    for event in assemble(log):
        novel = window.is_novel(window.add(event))
        if matcher.wants(event, novel):
            matcher.see(log_record(of, event, novel))
    return list(window.ranked()), list(matcher.seen())


def read_by_shape(log: list[LogEntry]) -> tuple[list[object], list[object]]:
    window, matcher = Window("chat", None), Matcher(load_catalogue())
    Reading(ServiceLog("chat", "logs/1/chat.jsonl", log), window, matcher).read()
    return list(window.ranked()), list(matcher.seen())


TOLD = st.one_of(
    st.builds(
        '10.0.0.{}:4{} - "GET /users/{} HTTP/1.1" {}'.format,
        st.integers(1, 9), st.integers(1000, 9999), st.integers(0, 99),
        st.sampled_from([200, 200, 201, 404, 500, 503]),
    ),
    st.builds("slow query: {} s of user {}".format, st.integers(0, 40), st.integers(0, 99)),
    st.builds("session {:016x} opened".format, st.integers(0, 2**64 - 1)),
    st.builds("Container called exit({})".format, st.integers(0, 5)),
    st.builds(
        lambda status, at, number: json.dumps(
            {"level": 30, "time": at, "res": {"statusCode": status}, "msg": f"{number} done"}
        ),
        st.sampled_from([200, 204, 404, 500, 503]), st.integers(10**5, 10**6 - 1),
        st.integers(0, 99),
    ),
    st.builds('{{"message": "exit code {}", "trace": "{:032x}"}}'.format, st.integers(0, 300),
              st.integers(0, 2**128 - 1)),
    st.sampled_from([
        "Traceback (most recent call last):", '  File "/app/a.py", line 7, in f', "    g()",
        "ConnectionError: 10.0.0.3:5432: connection refused", "connected to the database",
        "connection to server at 10.0.0.3 failed: Connection refused",
    ]),
)  # fmt: skip


@given(st.lists(TOLD, max_size=60))
@settings(max_examples=EXAMPLES_EACH, deadline=None)
def test_a_log_read_by_shape_comes_to_the_same_as_line_by_line(lines: list[str]) -> None:
    log = list(entries(lines * 2))
    assert read_by_shape(log) == read_line_by_line(log)


def test_a_shape_seen_often_is_still_wanted_where_its_digits_matter() -> None:
    fine = [f"2026-11-20 12:00:{n} container 7 exited with code 0" for n in range(10, 60)]
    bad = "2026-11-20 12:01:01 container 7 exited with code 3"
    assert read_by_shape(list(entries([*fine, bad, *fine])))[1]
    assert not read_by_shape(list(entries(fine)))[1]


def test_the_memo_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loopctl.triage.reading._MOST_SHAPES", 10)
    lines = [f"{chr(97 + n % 26)}{chr(97 + n // 26)} went" for n in range(300)] * 2
    log = list(entries(lines))
    assert read_by_shape(log) == read_line_by_line(log)
