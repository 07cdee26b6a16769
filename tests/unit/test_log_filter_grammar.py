"""The emulator's reading of a filter: what binds to what, and what a value means as a type."""

from __future__ import annotations

import pytest

from emulator.log_filter_grammar import (
    And,
    Anywhere,
    Apply,
    Compare,
    Node,
    Not,
    Or,
    Path,
    Present,
    Value,
    parse,
)
from emulator.log_filter_kinds import SECOND, duration, folded, instant
from emulator.log_filter_tokens import FilterError


def _told(node: Node | Path | Value) -> str:
    """A tree with every parenthesis written out."""
    match node:
        case And(terms=terms):
            return f"({' & '.join(map(_told, terms))})"
        case Or(terms=terms):
            return f"({' | '.join(map(_told, terms))})"
        case Not(term=term):
            return f"!{_told(term)}"
        case Anywhere(value=value):
            return f'"{value.text}"'
        case Compare(field=field, operator=sign, value=value):
            return f"{_told(field)}{sign}{'*' if isinstance(value, Present) else value.text}"
        case Apply(name=name, arguments=arguments):
            return f"{name}({', '.join(map(_told, arguments))})"
        case Path(segments=segments):
            return "/".join(segments)
        case Value(text=text):
            return f'"{text}"'


@pytest.mark.parametrize(
    ("source", "tree"),
    [
        ("", "()"),
        ("  -- nothing but a comment", "()"),
        ('"a" OR NOT "b" AND NOT "c" OR "d"', '(("a" | !"b") & (!"c" | "d"))'),
        ("a AND b OR c", '("a" & ("b" | "c"))'),
        ("a b OR c d", '("a" & ("b" | "c") & "d")'),
        ("a=1 AND (b=2 OR c=3)", "(a=1 & (b=2 | c=3))"),
        ("a=1 OR (b=2 AND c=3)", "(a=1 | (b=2 & c=3))"),
        ("NOT a=1 OR b=2", "(!a=1 | b=2)"),
        ("NOT (a=1 OR b=2)", "!(a=1 | b=2)"),
        ('a="b" c="d" -e="f"', "(a=b & c=d & !e=f)"),
        ("a=1\nb=2\n  c=3", "(a=1 & b=2 & c=3)"),
        ("a=1\nOR\nb=2", "(a=1 | b=2)"),
        ("a=1 -- one\n-- two\nb=2", "(a=1 & b=2)"),
        ('f=("a" OR "b")', "(f=a | f=b)"),
        ('f:("nice" AND "pet")', "(f:nice & f:pet)"),
        ("f:(unicorn phoenix)", "(f:unicorn & f:phoenix)"),
        ("f=(a OR b c)", "((f=a | f=b) & f=c)"),
        ("f!=(NOT a)", "!f!=a"),
        ("f =~ (\"^prod\" OR '^x')".replace("'", '"'), "(f=~^prod | f=~^x)"),
        ('insertId = "ABC-1" OR "ABC-2"', '(insertId=ABC-1 | "ABC-2")'),
        ("f:*", "f:*"),
        ("NOT f:*", "!f:*"),
        ("f>=-3", "f>=-3"),
        ("f>-3.2e-8", "f>-3.2e-8"),
        ("f=my-service", "f=my-service"),
        ('labels."run.googleapis.com/x"="y"', "labels/run.googleapis.com/x=y"),
        ('jsonPayload."\\"foo\\"".b:apple', 'jsonPayload/"foo"/b:apple'),
        (r'f=~"a\d+\.b"', r"f=~a\d+\.b"),
        (r'f=~"\\d+"', r"f=~\d+"),
        (r'f="\x41\u00e9\101"', "f=AéA"),
        ("f<1.5s", "f<1.5s"),
        ('log_id("run.googleapis.com/stderr")', 'log_id("run.googleapis.com/stderr")'),
        ("sample(insertId, 0.25) a=1", "(sample(insertId, 0/25) & a=1)"),
        ('CAST(a.b, STRING)="x"', "cast(a/b, STRING)=x"),
        ("or and not", '("or" & "and" & "not")'),
        ('"OR"', '"OR"'),
        ("--a=1", "()"),
        ("NOT NOT a", '!!"a"'),
    ],
)
def test_what_binds_to_what(source: str, tree: str) -> None:
    assert _told(parse(source)) == tree


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("timestamp>=2026-06-12T03:23:45Z", "line 1, column 25, token ':'"),
        ("insertId = abc:def", "line 1, column 15, token ':'"),
        ("a=1\nb=", "line 2, column 3, token '<EOF>'"),
        ("(a=1", "line 1, column 5, token '<EOF>'"),
        ("a=1)", "line 1, column 4, token ')'"),
        ("a=1 AND", "line 1, column 8, token '<EOF>'"),
        ("OR a=1", "line 1, column 1, token 'OR'"),
        ("a=1 AND OR b=2", "line 1, column 9, token 'OR'"),
        ("a = = b", "line 1, column 5, token '='"),
        ("a=*", "line 1, column 3, token '*'"),
        ("a=()", "line 1, column 4, token ')'"),
        ('a="b', "line 1, column 3, token '\"'"),
        ("a=foo*", "line 1, column 6, token '*'"),
        ("f(a b)", "line 1, column 5, token 'b'"),
    ],
)
def test_a_filter_that_cannot_be_read_is_refused_at_its_place(source: str, place: str) -> None:
    with pytest.raises(FilterError) as refused:
        parse(source)
    assert str(refused.value) == f"Unparseable filter: syntax error at {place}"


_WHOLE = instant("2014-10-02T15:01:23Z") or 0


@pytest.mark.parametrize(
    ("text", "later_ns"),
    [
        ("2014-10-02T15:01:23.045Z", 45_000_000),
        ("2014-10-02T15:01:23.123456789Z", 123_456_789),
        ("2014-10-02T20:01:23.045+05:00", 45_000_000),
        ("2014-10-02T15:01:23.045000+0000", 45_000_000),
        ("2014-10-02T10:31:23-04:30", 0),
        ("2014-10-02t15:01:23z", 0),
        ("2014-10-02T15:01:23", 0),
        ("2014-10-02T15:02Z", 37 * SECOND),
        ("2014-10-03", 32_317 * SECOND),
    ],
)
def test_every_form_of_an_instant(text: str, later_ns: int) -> None:
    assert instant(text) == _WHOLE + later_ns


@pytest.mark.parametrize(
    "text",
    ["yesterday", "2014-13-02", "2014-10-02 15:01:23Z", "2014-10-02T25:00:00Z", "1412262083"],
)
def test_no_instant(text: str) -> None:
    assert instant(text) is None


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("3.2s", 3_200_000_000),
        ("250ms", 250_000_000),
        ("7.334302s", 7_334_302_000),
        ("-1us", -1000),
        ("2m", 120 * SECOND),
        ("1h", 3600 * SECOND),
        ("5ns", 5),
        ("3", None),
        ("s", None),
    ],
)
def test_durations(text: str, nanoseconds: int | None) -> None:
    assert duration(text) == nanoseconds


def test_text_is_compared_without_its_case_and_compatible_forms() -> None:
    assert folded("STRASSE ﬁ") == folded("straße FI")
