"""Python's tracebacks, as 3.13 printed them, and as loggers and agents pass them on."""

from __future__ import annotations

import pytest
from triage_texts import events_of, trace_of, types_of

PROCESS_POOL = '''
concurrent.futures.process._RemoteTraceback:
"""
Traceback (most recent call last):
  File "/usr/lib/python3.13/concurrent/futures/process.py", line 253, in _process_worker
    r = call_item.fn(*call_item.args, **call_item.kwargs)
  File "/srv/chat/work.py", line 1, in divide
    def divide(n): return divide(n - 1) if n else 1 / 0
                          ~~~~~~^^^^^^^
  [Previous line repeated 996 more times]
ZeroDivisionError: division by zero
"""

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/srv/chat/main.py", line 22, in <module>
    pool.submit(divide, 2).result()
    ~~~~~~~~~~~~~~~~~~~~~~~^^
ZeroDivisionError: division by zero
'''

SYNTAX = """
  File "/srv/chat/main.py", line 1
    def f(:
          ^
SyntaxError: invalid syntax
"""

FATAL = """
Fatal Python error: Segmentation fault

Current thread 0x00007f2a3803cc40 (most recent call first):
  File "/usr/lib/python3.13/ctypes/__init__.py", line 538 in string_at
  File "/srv/chat/native.py", line 3 in read
  File "/srv/chat/main.py", line 4 in <module>
"""

SETTINGS = """
Traceback (most recent call last):
  File "/srv/chat/settings.py", line 9, in <module>
    settings = Settings()
pydantic_core._pydantic_core.ValidationError: 2 validation errors for Settings
database_url
  Field required [type=missing, input_value={}, input_type=dict]
    For further information visit https://errors.pydantic.dev/2.10/v/missing
jwt_secret
  Field required [type=missing, input_value={}, input_type=dict]
"""

DATABASE = """
Traceback (most recent call last):
  File "/srv/chat/store.py", line 9, in read
    rows = session.execute(query)
sqlalchemy.exc.ProgrammingError: (psycopg2.errors.UndefinedTable) relation "users" does not exist
LINE 1: SELECT 1 FROM users
                      ^

[SQL: SELECT 1 FROM users]
(Background on this error at: https://sqlalche.me/e/20/f405)
"""

PLAIN = """\
Traceback (most recent call last):
  File "/srv/chat/routes.py", line 70, in _list
    rows = store.read(user)

  File "/srv/chat/store.py", line 9, in read
    raise KeyError(user)
KeyError: 'ana'"""


def test_a_traceback_of_another_process_is_where_it_began() -> None:
    head, quotes, event = events_of(PROCESS_POOL)
    assert (head.number, quotes.said) == (1, '"""')
    assert event.trace is not None
    assert types_of(event.trace) == ["ZeroDivisionError", "ZeroDivisionError"]
    assert event.trace.frame is not None
    assert event.trace.frame.place == "chat/work.py:divide"


def test_an_error_of_syntax_needs_no_header() -> None:
    trace = trace_of(SYNTAX)
    assert (trace.innermost.type, trace.innermost.message) == ("SyntaxError", "invalid syntax")
    assert trace.frame is not None
    assert trace.frame.place == "chat/main.py:<module>"


def test_a_file_that_is_only_named_is_no_error_of_syntax() -> None:
    text = '  File "/srv/chat/main.py", line 1\nINFO read'
    assert [event.said for event in events_of(text)] == text.split("\n")


def test_what_faulthandler_writes_is_read_from_the_innermost_outwards() -> None:
    trace = trace_of(FATAL)
    assert (trace.innermost.type, trace.innermost.message) == (
        "Fatal Python error",
        "Segmentation fault",
    )
    assert trace.frame is not None
    assert trace.frame.place == "chat/native.py:read"


def test_the_fields_that_a_validation_names_belong_to_it() -> None:
    event, after = events_of(f"{SETTINGS.strip()}\n{'INFO: stopped'}")
    assert [line.text for line in event.lines if "_" in line.text[:12]][1:] == [
        "database_url",
        "jwt_secret",
    ]
    assert after.said == "INFO: stopped"


def test_the_statement_that_a_database_refused_belongs_to_its_error() -> None:
    (event,) = events_of(DATABASE)
    assert event.trace is not None
    assert event.trace.innermost.type == "sqlalchemy.exc.ProgrammingError"
    assert event.lines[-1].text.startswith("(Background")


@pytest.mark.parametrize(
    "prefix",
    [
        "web_1  | ",
        "chat-1  | 2026-11-20T12:00:00.123456789Z ",
        "[pod/chat-5d9/chat] ",
        "2026-11-20T12:00:00.123456789Z stderr F ",
        "2026-11-20T12:00:00.1234567Z ",
        "Nov 20 12:00:00 host-3 chat[71]: ",
        "2026-11-20T12:00:00+0000 host chat[71]: ",
        "2026-11-20T12:00:00.000000+00:00 app[web.1]: ",
        "ERROR:chat:",
        "2026-11-20 12:00:00,123 chat ERROR ",
        "[2026-11-20 12:00:00 +0000] [7] [ERROR] ",
    ],
)
def test_what_is_put_before_every_line_does_not_hide_a_traceback(prefix: str) -> None:
    text = "\n".join((prefix + line).rstrip() for line in PLAIN.split("\n"))
    event, after = events_of(f"{text}\n{prefix}listening")
    assert event.trace is not None
    assert (event.trace.innermost.type, event.trace.innermost.message) == ("KeyError", "'ana'")
    assert event.trace.frame is not None
    assert event.trace.frame.place == "chat/store.py:read"
    assert event.lines[0].text == f"{prefix}Traceback (most recent call last):", "quoted verbatim"
    assert after.lines[0].text == f"{prefix}listening"


@pytest.mark.parametrize("prefix", ["ERROR:    ", "2026-11-20 12:00:00 [7] [ERROR] "])
def test_what_is_put_before_the_first_line_alone_is_seen_through(prefix: str) -> None:
    assert trace_of(prefix + PLAIN).innermost.type == "KeyError"


def test_two_services_of_one_composition_that_interleave_are_kept_apart() -> None:
    other = PLAIN.replace("'ana'", "'ben'").split("\n")
    pairs = zip(PLAIN.split("\n"), other, strict=True)
    text = "\n".join(f"web_1  | {one}\napi_1  | {two}" for one, two in pairs)
    said = [event.trace.innermost.message for event in events_of(text) if event.trace]
    assert said == ["'ana'", "'ben'"]


def test_colours_are_not_part_of_what_is_said() -> None:
    coloured = PLAIN.replace("KeyError", "\x1b[1;35mKeyError\x1b[0m").replace(
        "Traceback", "\x1b[31mTraceback"
    )
    assert trace_of(coloured).innermost.type == "KeyError"
