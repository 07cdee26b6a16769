"""A signature's regex runs in linear time and little memory, whatever it is held against."""

from __future__ import annotations

import time

import pytest

from loopctl.triage.assemble import assemble
from loopctl.triage.captures import entries
from loopctl.triage.loading import load_catalogue
from loopctl.triage.match import Matcher
from loopctl.triage.regexes import RegexSet, compiled, problem_with

HOSTILE = [
    r"(a+)+$",
    r"(?:a|aa)*b",
    r"(a*)*b",
    r"(\w+\s?)*x",
    r".*.*=",
    r"(\d+)(\d+)x",
    r"a+a+a+a+a+b",
]


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"(?=a)b", "look-around"),
        (r"a(?!b)", "look-around"),
        (r"(?<!a)b", "look-around"),
        (r"(?<=a)b", "look-around"),
        (r"(.)\1", "back-reference"),
        (r"(?P<a>x)(?P=a)", "back-reference"),
        (r"(x)?(?(1)a|b)", "conditional"),
        (r"(?>a)b", "atomic"),
        (r"a++b", "repeat"),
        (r"a{1001}", "more than 1000"),
        (r"(?:\pL{0,500}){0,2}x", "memory"),
        (r"(unclosed", "not a regular expression"),
        (r"a\Z", "not a regular expression"),
        ("a\udcff", "surrogate"),
        ("x" * 1001, "longer than"),
        (r"a*", "every line"),
        (r"(?:a|)", "every line"),
        ("", "every line"),
    ],
)
def test_what_re2_cannot_promise_is_refused_with_the_reason(pattern: str, why: str) -> None:
    assert why in str(problem_with(pattern))


@pytest.mark.parametrize("pattern", [*HOSTILE, r"sour (?P<what>\w+)", r"x{2,5}y", "ä+"])
def test_what_backtracking_engines_run_away_with_is_allowed(pattern: str) -> None:
    assert problem_with(pattern) is None


@pytest.mark.parametrize("pattern", HOSTILE)
def test_no_text_makes_a_pattern_run_away(pattern: str) -> None:
    text = "a" * 100_000 + "!"
    started = time.process_time()
    compiled(pattern).search(text)
    RegexSet([pattern]).among(text)
    assert time.process_time() - started < 2


def test_half_a_character_is_no_obstacle() -> None:
    text = "broken \udcff bytes, exit(3)"
    found = compiled(r"exit\((?P<code>\d)\)").search(text)
    assert found == {"code": "3"}
    assert RegexSet([r"exit\("]).among(text) == [0]


def test_a_capture_behind_wide_characters_is_whole() -> None:
    assert compiled(r"(?P<word>käse\w+)").search("🚨🚨 ein käsebrot") == {"word": "käsebrot"}


def test_one_pass_finds_every_pattern_that_matches() -> None:
    patterns = [r"exit\(\d+\)", r"(?i:CALLED)", r"nowhere", r"\bexit\b"]
    assert sorted(RegexSet(patterns).among("Container called exit(3).")) == [0, 1, 3]
    assert not RegexSet(patterns).among("all is well")
    assert not RegexSet([]).among("all is well")


def test_a_line_that_holds_what_the_set_is_tried_with_matches_nothing_more() -> None:
    assert RegexSet(["a"]).among("\x00loopctl\x00") == []


def test_many_patterns_that_one_set_has_no_room_for_are_all_found() -> None:
    patterns = [rf".{{1,900}}#{number}y" for number in range(200)]
    found = RegexSet(patterns)
    assert list(found.among("xx#199y")) == [199]
    assert list(found.among("xx#0y")) == [0]


def test_the_whole_catalogue_is_looked_for_in_a_line_within_some_microseconds() -> None:
    matcher = Matcher(load_catalogue())
    lines = [f'INFO request path="/m/{n}" status=200 latency_ms={n % 50}' for n in range(20_000)]
    events = list(assemble(entries(lines)))
    started = time.process_time()
    assert not any(matcher.wants(event) for event in events)
    # Some 700,000 a second are usual.
    assert len(events) / (time.process_time() - started) > 100_000
