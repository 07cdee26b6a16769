"""No field of an export ends the look at it: numbers without end, negative levels, aliases."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from loopctl.api.triaging import LogsRequest, triage_logs
from loopctl.model.endings import ending_of
from loopctl.triage.export.times import found_in, stamp

LONG = "9" * 5000
"""More digits than Python turns into a number."""

LARGE = "9" * 400
"""More than a floating-point number holds."""

GOOD = '{"textPayload": "it broke", "severity": "ERROR", "timestamp": "2026-11-02T10:00:00Z"}'


@pytest.mark.parametrize(
    "fields",
    [
        f'"timestamp": {LARGE}, "textPayload": "x"',
        f'"timestamp": {{"seconds": {LARGE}}}, "textPayload": "x"',
        '"timestamp": {"seconds": 1700000000, "nanos": "soon"}, "textPayload": "x"',
        '"timestamp": {"seconds": 1700000000, "nanos": [1]}, "textPayload": "x"',
        f'"timestamp": "2026-11-02T10:00:00Z", "httpRequest": {{"status": "{LONG}"}}',
        f'"timestamp": "2026-11-02T10:00:00Z", "httpRequest": {{"status": {LARGE}}}',
        f'"message": "x", "method": "GET", "path": "/", "status": "{LONG}"',
        f'"message": "x", "close_code": "{LONG}"',
        f'"message": "x", "close_code": {LARGE}, "age_s": {LARGE}',
        '"message": "x", "level": -6',
        '"message": "x", "level": "\u00b2"',
        f'"message": "x", "PRIORITY": "{LONG}"',
        f'"message": "Container called exit({LONG}).", "level": "error"',
    ],
)
def test_a_field_that_is_no_number_of_its_kind_ends_nothing(tmp_path: Path, fields: str) -> None:
    array, lines = tmp_path / "a.json", tmp_path / "b.jsonl"
    array.write_text(f"[{{{fields}}}, {GOOD}]")
    lines.write_text(f"{{{fields}}}\n{GOOD}\n")
    for file in (array, lines):
        told = triage_logs(LogsRequest((file,)))
        assert any("it broke" in line.quote.quote for line in told.novel)


@pytest.mark.parametrize(
    "text",
    [
        f'  File "/app/x.py", line {LONG}, in f',
        f"    at f (/app/a.js:{LONG}:{LONG})",
        f"\tat a.b.C.d(C.java:{LONG})",
        f"collected {LONG} items",
        f"=== {LONG} failed in 1.0s ===",
        "=== 1 failed in 1.2.3s ===",
    ],
)
def test_a_line_with_a_number_without_end_is_a_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.log"
    head = "Traceback (most recent call last):" if "File" in text else "Error: it broke"
    file.write_text(f"{head}\n{text}\nValueError: it broke\n")
    triage_logs(LogsRequest((file,)))


@pytest.mark.parametrize("head", ["", "=== FAILURES ===\n", "=== test session starts ===\n"])
@pytest.mark.parametrize("unit", ["test_a.py::", "FAILED [", "a.py:1:", "E   x: ", "=== x ==="])
def test_a_long_line_that_looks_like_pytest_all_along_takes_no_time(
    tmp_path: Path, unit: str, head: str
) -> None:
    file = tmp_path / "a.log"
    file.write_text(f"{head}{unit * (200_000 // len(unit))} !\n{unit * 9} !\n")
    began = time.process_time()
    triage_logs(LogsRequest((file,)))
    assert time.process_time() - began < 5


def test_objects_as_deep_as_can_be_read_are_not_written_again(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    depths = range(sys.getrecursionlimit() - 150, sys.getrecursionlimit())
    deep = ('{"message": "x", "context": ' + "[" * n + "]" * n + "}" for n in depths)
    file.write_text("\n".join([*deep, GOOD]))
    triage_logs(LogsRequest((file,)))


def test_aliases_of_yaml_are_not_unfolded(tmp_path: Path) -> None:
    rows = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    names = zip("abcdefgh", "bcdefghi", strict=True)
    rows += [f"{name}: &{name} [{', '.join([f'*{of}'] * 9)}]" for of, name in names]
    payload = "".join(f"  {row}\n" for row in rows)
    file = tmp_path / "a.yaml"
    file.write_text(
        f"insertId: '1'\njsonPayload:\n{payload}---\ninsertId: '2'\n"
        "textPayload: it broke\nseverity: ERROR\ntimestamp: '2026-11-02T10:00:00Z'\n"
    )
    told = triage_logs(LogsRequest((file,)))
    assert "aliases" in (told.captured[0].gap or "")
    assert any("it broke" in line.quote.quote for line in told.novel)


def test_times_beyond_the_calendar_are_none() -> None:
    assert found_in("01/Jan/0001:00:00:00 +1400 x") is None
    assert found_in("9999-12-31 23:59:59-14:00 x") is None
    assert stamp(10**400) is None


def test_an_exit_code_without_end_is_none() -> None:
    assert ending_of(f"Container called exit({LONG}).") is None
    assert ending_of(f"Uncaught signal: {LONG}") is None
