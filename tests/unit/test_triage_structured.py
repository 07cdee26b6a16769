"""Structured log lines say what they say whichever logger wrote them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from triage_fixtures import entries

from loopctl.triage.assemble import LogEvent, assemble
from loopctl.triage.severity import Severity, severity_of

PYTHON = """\
Traceback (most recent call last):
  File "/srv/chat/a.py", line 3, in f
    g()
KeyError: 1"""
NODE = "Error: no rows\n    at read (/srv/shop/store.js:7:3)\n    at node:internal/x:1:2"
JAVA = "java.lang.IllegalStateException: no rows\n\tat com.shop.Store.read(Store.java:7)\n"
ILLEGAL = "java.lang.IllegalStateException"
GO = """\
main.read
\t/srv/shop/store.go:7
main.main
\t/srv/shop/main.go:9
runtime.main
\t/usr/local/go/src/runtime/proc.go:283"""


def event_of(*, before: str = "", **fields: Any) -> LogEvent:
    (event,) = assemble(entries([before + json.dumps(fields)]))
    return event


@pytest.mark.parametrize(
    "fields",
    [
        {"severity": "ERROR", "message": "no rows"},
        {"levelname": "ERROR", "message": "no rows", "asctime": "2026-11-20 12:00:00,123"},
        {"level": 50, "time": 1763640000000, "pid": 1, "msg": "no rows"},
        {"level": "error", "ts": 1763640000.1, "caller": "shop/main.go:9", "msg": "no rows"},
        {"@timestamp": "2026", "level": "ERROR", "level_value": 40000, "message": "no rows"},
        {"log.level": "error", "message": "no rows", "ecs.version": "1.6.0"},
        {"event": "no rows", "level": "error", "logger": "shop"},
        {"text": "2026 | ERROR | no rows", "record": {"level": {"name": "ERROR", "no": 40}}},
        {"version": "1.1", "short_message": "no rows", "level": 3},
        {"@t": "2026", "@m": "no rows", "@l": "Error"},
        {"severityText": "ERROR", "severityNumber": 17, "body": "no rows"},
        {"levelno": 40, "message": "no rows"},
        {"jsonPayload": {"message": "no rows"}, "severity": "ERROR"},
    ],
)
def test_message_and_level_are_found_by_the_names_that_loggers_use(fields: dict[str, Any]) -> None:
    event = event_of(**fields)
    assert "no rows" in event.said
    assert "{" not in event.said
    assert severity_of(event) is Severity.ERROR


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        (30, Severity.NORMAL),
        (40, Severity.WARNING),
        (50, Severity.ERROR),
        (60, Severity.CRITICAL),
        ("info", Severity.NORMAL),
        ("warn", Severity.WARNING),
        ("dpanic", Severity.CRITICAL),
        (400, Severity.WARNING),
        (600, Severity.CRITICAL),
    ],
)
def test_levels_are_read_in_the_steps_of_their_family(level: int | str, severity: Severity) -> None:
    assert severity_of(event_of(level=level, msg="said")) is severity


@pytest.mark.parametrize(
    ("fields", "language", "kind"),
    [
        ({"message": f"failed\n{PYTHON}", "severity": "ERROR"}, "python", "KeyError"),
        ({"message": "failed", "exc_info": PYTHON}, "python", "KeyError"),
        ({"event": "failed", "exception": PYTHON}, "python", "KeyError"),
        ({"message": "failed", "stack_trace": PYTHON}, "python", "KeyError"),
        ({"message": NODE}, "node", "Error"),
        ({"msg": "failed", "err": {"type": "Error", "stack": NODE}}, "node", "Error"),
        ({"message": "failed", "stack": NODE, "level": "error"}, "node", "Error"),
        (
            {"message": "failed", "stack_trace": JAVA},
            "java",
            ILLEGAL,
        ),
        ({"message": "failed", "error": {"stack_trace": JAVA}}, "java", ILLEGAL),
        ({"msg": "failed", "error": "no rows", "stacktrace": GO}, "go", "error"),
        ({"message": "failed", "exc": PYTHON.split("\n")}, "python", "KeyError"),
    ],
)  # fmt: skip
def test_a_stack_within_is_read_as_one(fields: dict[str, Any], language: str, kind: str) -> None:
    event = event_of(**fields)
    assert event.trace is not None
    assert (event.trace.language, event.trace.innermost.type) == (language, kind)
    assert event.trace.frame is not None
    assert event.trace.frame.in_app
    assert event.trace.innermost.number == 1
    assert any(line.text == "failed" for line in event.lines) or "message" in fields


def test_an_error_without_a_stack_is_part_of_what_is_said() -> None:
    event = event_of(
        level=50, err={"type": "DbError", "message": "pool is empty"}, msg="request failed"
    )
    assert event.said == "request failed: DbError: pool is empty"
    assert [line.text for line in event.lines[:2]] == ["request failed", "DbError: pool is empty"]


def test_the_status_of_a_request_tells() -> None:
    event = event_of(level=30, res={"statusCode": 500}, msg="request completed")
    assert event.said == "request completed status=500"


def test_the_message_is_quoted_first_and_the_line_as_captured_last() -> None:
    event = event_of(severity="ERROR", message='relation "users" does not exist', user=7)
    assert event.lines[0].text == 'relation "users" does not exist'
    assert json.loads(event.lines[-1].text)["user"] == 7


def test_whatever_stands_in_its_lines_is_searched() -> None:
    plain, escaped = event_of(message="all is well", code="E7"), event_of(message='the "last" row')
    assert any("all is well" in text and "E7" in text for text in plain.searched)
    assert any('the "last" row' in text for text in escaped.searched)


@pytest.mark.parametrize("before", ["web_1  | ", "2026-11-20T12:00:00Z stdout F "])
def test_what_an_agent_puts_before_an_object_is_seen_through(before: str) -> None:
    assert event_of(before=before, level="error", msg="no rows").said == "no rows"


@pytest.mark.parametrize("fields", [{"a": 1}, {"message": ""}, {"message": None, "level": None}])
def test_an_object_that_says_nothing_is_shown_as_it_is(fields: dict[str, Any]) -> None:
    event = event_of(**fields)
    assert event.said == json.dumps(fields)


@pytest.mark.parametrize(
    "text",
    ["{", "{}", '{"message": "cut sho', "{'a': 1}", "}", '{"a":' * 5000 + "1" + "}" * 5000, "{1}"],
)
def test_what_only_looks_like_an_object_is_a_line(text: str) -> None:
    (event,) = assemble(entries([text]))
    assert event.said == text[:4096]


def test_an_object_over_several_lines_of_one_entry_is_one_event() -> None:
    (event,) = assemble(entries([json.dumps({"severity": "ERROR", "message": "no"}, indent=1)]))
    assert (event.said, event.level) == ("no", "ERROR")


@pytest.mark.parametrize(
    "line",
    [
        {"log": "KeyError: 1\n", "stream": "stderr", "time": "2026-11-20T12:00:00Z"},
        {"MESSAGE": "KeyError: 1", "_HOSTNAME": "a", "PRIORITY": "3", "__CURSOR": "s=1"},
    ],
)
def test_lines_that_docker_or_journald_wrapped_are_told_as_they_were_written(
    line: dict[str, Any],
) -> None:
    texts = [
        "Traceback (most recent call last):",
        '  File "/srv/a.py", line 3, in f',
        "KeyError: 1",
    ]
    key = "log" if "log" in line else "MESSAGE"
    (event,) = assemble(entries([json.dumps(line | {key: text}) for text in texts]))
    assert event.trace is not None
    assert event.trace.innermost.type == "KeyError"
