"""Tracebacks come apart on their way through a platform, and are put together again."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

from triage_fixtures import entries

from loopctl.model.logs import LogEntry
from loopctl.triage.assemble import assemble

CHAINED = """\
ERROR before
Traceback (most recent call last):
  File "/srv/chat/store.py", line 7, in read
    return self._rows[key]
KeyError: 'ana'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/chat/routes.py", line 70, in _list
    rows = store.read(user)
  File "/srv/chat/store.py", line 9, in read
    raise StoreError(key) from None
chat.store.StoreError: ana
INFO after""".splitlines()

GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "/srv/chat/server.py", line 40, in serve
  |     async with asyncio.TaskGroup() as group:
  | ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/srv/chat/live.py", line 12, in pump
    |     frame.data.decode()
    | AttributeError: 'NoneType' object has no attribute 'data'
    +---------------- 2 ----------------
    | ValueError: never raised
    +------------------------------------
INFO after""".splitlines()

LIBRARY = """\
Traceback (most recent call last):
  File "/srv/chat/routes.py", line 70, in _list
    return json.loads(text)
           ^^^^^^^^^^^^^^^^
  File "/usr/lib/python3.12/json/__init__.py", line 346, in loads
    return _default_decoder.decode(s)
json.decoder.JSONDecodeError: Expecting value""".splitlines()


def test_chained_exceptions_are_one_event_and_the_first_is_the_innermost() -> None:
    before, event, after = assemble(entries(CHAINED))
    assert (before.number, event.number, after.number) == (1, 2, 15)
    assert event.trace is not None
    assert [raised.type for raised in event.trace.exceptions] == [
        "KeyError",
        "chat.store.StoreError",
    ]
    assert event.trace.innermost.message == "'ana'"
    assert event.trace.innermost.number == 5


def test_a_group_is_one_event_and_its_first_member_is_the_innermost() -> None:
    event, after = assemble(entries(GROUP))
    assert event.trace is not None
    assert [raised.type for raised in event.trace.exceptions] == [
        "ExceptionGroup",
        "AttributeError",
        "ValueError",
    ]
    assert event.trace.innermost.type == "AttributeError"
    assert event.trace.frame is not None
    assert event.trace.frame.place == "chat/live.py:pump"
    assert after.lines[0].text == "INFO after"


def test_the_frame_that_counts_is_the_innermost_of_the_service_itself() -> None:
    (event,) = assemble(entries(LIBRARY))
    assert event.trace is not None
    assert event.trace.frame is not None
    assert event.trace.frame.place == "chat/routes.py:_list"
    assert event.trace.frame.number == 2
    assert not event.trace.at_import


def test_streams_and_revisions_that_interleave_are_kept_apart() -> None:
    old = entries(LIBRARY, revision="chat-00001-old", first=1)
    new = entries(LIBRARY, revision="chat-00002-new", first=101)
    out = entries(["INFO request"] * len(old), stream="stdout", first=201)
    mixed = [entry for three in zip(old, new, out, strict=True) for entry in three]
    events = list(assemble(sorted(mixed, key=lambda entry: entry.number % 100)))
    traces = [event for event in events if event.trace]
    assert [event.revision for event in traces] == ["chat-00001-old", "chat-00002-new"]
    assert len(events) == 2 + len(out)


def test_a_traceback_cut_short_ends_at_the_gap_and_takes_nothing_with_it() -> None:
    cut = entries(LIBRARY[:3])
    later = [
        dataclasses.replace(entry, at=entry.at + timedelta(seconds=10), number=9)
        for entry in entries(["    indented by somebody else"])
    ]
    first, second = assemble([*cut, *later])
    assert (first.trace, len(first.lines)) == (None, 3)
    assert second.number == 9


def test_an_ordinary_line_does_not_end_up_in_a_traceback_that_was_cut() -> None:
    first, second = assemble(entries([*LIBRARY[:3], "INFO listening on port 8080"]))
    assert len(first.lines) == 3
    assert second.lines[0].text == "INFO listening on port 8080"


def test_a_traceback_in_one_entry_is_read_as_well() -> None:
    (entry,) = entries(["x"], first=7)
    whole = dataclasses.replace(entry, text="\n".join(LIBRARY))
    (event,) = assemble([whole])
    assert event.trace is not None
    assert {line.number for line in event.lines} == {7}


def test_a_line_of_ten_megabytes_is_cut() -> None:
    (event,) = assemble(entries(["x" * 10_000_000]))
    assert len(event.lines[0].text) == 4096


def test_a_log_that_is_one_endless_traceback_is_not_held_whole() -> None:
    def endless() -> list[LogEntry]:
        return entries(["Traceback (most recent call last):", *["    x"] * 5000], step_s=0)

    assert max(len(event.lines) for event in assemble(endless())) <= 1000
