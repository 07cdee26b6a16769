"""Whatever stands in a log, no line is lost or moves to another instance, and nothing is slow."""

from __future__ import annotations

import dataclasses
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from triage_fixtures import START, entries

from loopctl.model.logs import LogEntry
from loopctl.triage.assemble import LogEvent, assemble
from loopctl.triage.baseline import Window
from loopctl.triage.records import log_record
from loopctl.triage.severity import severity_of
from loopctl.triage.symptoms import ServiceLog

PIECES = [
    "Traceback (most recent call last):",
    '  File "/srv/a.py", line 3, in f',
    "    g()",
    "    ^^^",
    "KeyError: 1",
    "The above exception was the direct cause of the following exception:",
    "  + Exception Group Traceback (most recent call last):",
    "  +-+---------------- 1 ----------------",
    "TypeError: x",
    "    at f (/srv/a.js:1:2)",
    "\tat a.b.C.d(C.java:3)",
    "Caused by: a.b.CException: y",
    "\t... 3 more",
    "  [cause]: Error: z",
    "}",
    "Node.js v20.1.0",
    "/srv/a.js:3",
    "panic: boom",
    "goroutine 1 [running]:",
    "main.main()",
    "\t/srv/main.go:3 +0x1",
    "exit status 2",
    "Fatal Python error: Aborted",
    '{"level":50,"msg":"no"}',
    '{"log":"KeyError: 1\\n","stream":"stderr"}',
    "web_1  | KeyError: 1",
    "INFO all is well",
    "",
    "   ",
]
TEXTS = st.one_of(st.sampled_from(PIECES), st.text(max_size=40))
JUMPS = st.sampled_from([0.0, 0.0, 0.001, 3.0, -3.0, 86_400.0, -86_400.0])


@st.composite
def logs(draw: st.DrawFn) -> list[LogEntry]:
    """Lines of three instances, on a clock that jumps."""
    made, at = [], START
    for number in range(1, draw(st.integers(1, 40)) + 1):
        at += timedelta(seconds=draw(JUMPS))
        text = "\n".join(draw(st.lists(TEXTS, min_size=1, max_size=3)))
        name = draw(st.sampled_from(["a", "b", ""]))
        made.append(LogEntry(at, "chat", "r", "stderr", text, number, instance=name))
    return made


def numbers(events: list[LogEvent]) -> Counter[int]:
    return Counter({line.number for event in events for line in event.lines})


@settings(deadline=None)
@given(logs())
def test_no_line_is_lost_whatever_stands_before_and_after_it(log: list[LogEntry]) -> None:
    told = {line.number for event in assemble(log) for line in event.lines}
    assert told >= {entry.number for entry in log if entry.text.strip()}


@settings(deadline=None)
@given(logs())
def test_no_event_has_lines_of_two_instances(log: list[LogEntry]) -> None:
    instance = {entry.number: entry.instance for entry in log}
    for event in assemble(log):
        assert {instance[line.number] for line in event.lines} == {event.entry.instance}


@settings(deadline=None)
@given(logs())
def test_every_event_can_be_judged_grouped_and_quoted(log: list[LogEntry]) -> None:
    window, of = Window("chat", None), ServiceLog("chat", "logs/1/chat.jsonl", ())
    for event in assemble(log):
        window.add(event)
        severity_of(event)
        for line in log_record(of, event, novel=None).lines:
            line.quote.encode()
    assert window.ranked()


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=())))
def test_text_of_any_kind_is_told_without_what_harms(text: str) -> None:
    for event in assemble(entries([text])):
        for line in event.lines:
            assert "\x1b" not in line.text
            assert "\x00" not in line.text
            line.text.encode()


def traceback_of(instance: str, first: int) -> list[LogEntry]:
    lines = ["Traceback (most recent call last):", '  File "/srv/a.py", line 3, in f', "    g()"]
    made = entries([*lines, f"KeyError: {instance}"], first=first)
    return [dataclasses.replace(entry, instance=instance) for entry in made]


def test_two_instances_that_fail_at_once_are_two_tracebacks() -> None:
    pairs = zip(traceback_of("a", 1), traceback_of("b", 11), strict=True)
    events = list(assemble(entry for pair in pairs for entry in pair))
    assert [event.trace.innermost.message for event in events if event.trace] == ["a", "b"]


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0])
def test_a_clock_that_jumps_parts_what_was_cut_from_what_comes_after(jump_s: float) -> None:
    before, after = traceback_of("a", 1)[:2], traceback_of("a", 11)
    moved = [dataclasses.replace(entry, at=entry.at + timedelta(seconds=jump_s)) for entry in after]
    first, second = assemble([*before, *moved])
    assert (first.trace, len(first.lines)) == (None, 2)
    assert second.trace is not None


def test_two_tracebacks_at_one_time_are_two() -> None:
    same = [dataclasses.replace(e, at=START) for e in traceback_of("a", 1) + traceback_of("a", 11)]
    assert len(list(assemble(same))) == 2


@pytest.mark.parametrize(
    "made",
    [
        lambda: ["x" * 10_000_000],
        lambda: ["a." * 2_000_000],
        lambda: ["Error" * 1_000_000],
        lambda: ["    at " + "a.b" * 2_000_000],
        lambda: ["    at " + "(" * 2_000_000],
        lambda: ["panic: " + " (" * 2_000_000],
        lambda: ["\x1b[" * 2_000_000],
        lambda: ['{"message":"' + "x" * 5_000_000 + '"}'],
        lambda: ['{"a":' * 40_000 + "}"],
        lambda: ['"' * 2_000_000],
        lambda: ["\n" * 5_000_000],
        lambda: ["Traceback (most recent call last):", '  File "' + "x" * 5_000_000],
        lambda: ["TypeError: " + "Caused by: " * 500_000, "    at f (/a.js:1:2)"],
        lambda: ["-".join("a" * 1_000_000)],
        lambda: ["2026-11-20T12:00:00Z " * 200_000],
    ],
)
def test_a_huge_line_costs_no_more_than_what_is_kept_of_it(made: Callable[[], list[str]]) -> None:
    log = entries(made())
    began = time.process_time()
    window = Window("chat", None)
    events = list(assemble(log))
    for event in events:
        window.add(event)
    assert time.process_time() - began < 2.0
    assert all(len(line.text) <= 4096 for event in events for line in event.lines)
    assert sum(len(event.entry.text) for event in events[:10]) <= 10 * 4096


def test_writers_without_number_are_not_all_remembered() -> None:
    def log() -> Iterator[LogEntry]:
        for number in range(3000):
            (entry,) = entries(["KeyError: 1"], first=number)
            yield dataclasses.replace(entry, instance=str(number), at=START)

    assert len(list(assemble(log()))) == 3000


def test_what_an_event_is_kept_by_is_small() -> None:
    frames = [f'  File "/srv/{number}.py", line 3, in f' for number in range(900)]
    (event,) = assemble(entries(["Traceback (most recent call last):", *frames, "KeyError: 1"]))
    kept = event.kept()
    assert kept.trace is not None
    assert event.trace is not None
    assert kept.trace.innermost.text == event.trace.innermost.text
    assert kept.trace.frame == event.trace.frame
    assert (len(kept.lines), len(kept.trace.innermost.frames)) == (1, 1)


def test_a_million_names_of_json_fields_are_not_remembered() -> None:
    log = entries([json.dumps({f"k{number}": 1, "message": "x"}) for number in range(2000)])
    assert {event.said for event in assemble(log)} == {"x"}
