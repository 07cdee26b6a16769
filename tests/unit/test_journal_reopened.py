"""A journal that another process goes on with, and one that is read while it is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from loop_rig import a_service, run_started

from loopctl.errors import LockedError
from loopctl.journal.codec import JournalError
from loopctl.journal.fold import fold
from loopctl.journal.store import Journal
from loopctl.journal.tail import Tail, read
from loopctl.model.events import Event, Note, StageEntered
from loopctl.model.state import State
from loopctl.redact import Redactor

PLAIN = Redactor({})


def left(folder: Path, notes: int = 2) -> Path:
    """What a process has left of a run."""
    path = folder / "journal.jsonl"
    journal = Journal(path, PLAIN)
    journal.append(run_started([a_service()], []))
    journal.cycle = 1
    for number in range(notes):
        journal.append(Note(str(number)))
    journal.close()
    return path


def test_its_events_are_folded_and_nobody_is_told_of_them_again(tmp_path: Path) -> None:
    path = left(tmp_path)
    heard: list[Event] = []
    journal = Journal(path, PLAIN, [heard.append])
    assert journal.fold.snapshot() == fold(read(path))
    assert heard == []
    journal.close()


def test_its_numbers_go_on(tmp_path: Path) -> None:
    path = left(tmp_path)
    journal = Journal(path, PLAIN)
    assert journal.append(Note("more")).seq == 4
    journal.close()
    assert [event.seq for event in read(path)] == [1, 2, 3, 4]


def test_a_torn_last_line_is_cut_off_at_whatever_byte_it_was_torn(tmp_path: Path) -> None:
    whole = left(tmp_path).read_bytes()
    first = whole.index(b"\n") + 1
    for size in range(first, len(whole) + 1):
        path = tmp_path / "torn.jsonl"
        path.write_bytes(whole[:size])
        journal = Journal(path, PLAIN)
        journal.append(Note("more"))
        journal.close()
        assert [e.seq for e in read(path)] == list(range(1, whole[:size].count(b"\n") + 2)), size


def test_one_that_another_process_writes_to_is_left_to_it(tmp_path: Path) -> None:
    path = left(tmp_path)
    first = Journal(path, PLAIN)
    before = path.read_bytes()
    with pytest.raises(LockedError):
        Journal(path, PLAIN)
    assert path.read_bytes() == before
    first.append(Note("still mine"))
    first.close()
    Journal(path, PLAIN).close()


def test_the_time_that_it_ran_goes_on_without_the_pause(tmp_path: Path) -> None:
    path = left(tmp_path)
    lines = path.read_text().splitlines()
    last = json.loads(lines[-1]) | {"ran": 7200.0}
    path.write_text("\n".join([*lines[:-1], json.dumps(last)]) + "\n")
    journal = Journal(path, PLAIN)
    assert 7200.0 <= journal.ran_s < 7260.0
    assert 7200.0 <= journal.append(Note("more")).ran < 7260.0
    journal.close()


@pytest.mark.parametrize("spoil", [lambda s: s[1:], lambda s: [s[0], *s], lambda s: [*s[:1], "{}"]])
def test_one_that_is_not_to_be_trusted_is_not_gone_on_with_and_stays(
    tmp_path: Path, spoil: object
) -> None:
    path = left(tmp_path)
    assert callable(spoil)
    path.write_text("".join(f"{line}\n" for line in spoil(path.read_text().splitlines())))
    before = path.read_bytes()
    with pytest.raises(JournalError):
        Journal(path, PLAIN)
    assert path.read_bytes() == before
    with pytest.raises(JournalError):
        Journal(path, PLAIN)  # and it was let go of


def test_a_tail_hands_over_each_event_once(tmp_path: Path) -> None:
    path = left(tmp_path)
    tail = Tail(path)
    assert [event.seq for event in tail.news()] == [1, 2, 3]
    assert list(tail.news()) == []
    journal = Journal(path, PLAIN)
    journal.cycle = 1
    journal.append(StageEntered(State.BUILD))
    assert [event.seq for event in tail.news()] == [4]
    journal.close()


def test_a_tail_waits_for_the_rest_of_a_line(tmp_path: Path) -> None:
    path = left(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    tail = Tail(path)
    assert [event.seq for event in tail.news()] == [1, 2]
    path.write_bytes(whole)
    assert [event.seq for event in tail.news()] == [3]


def test_a_tail_that_was_left_in_the_middle_goes_on_there(tmp_path: Path) -> None:
    tail = Tail(left(tmp_path))
    news = tail.news()
    assert next(news).seq == 1
    assert [event.seq for event in tail.news()] == [2, 3]


def test_a_tail_tells_a_line_that_is_malformed_with_its_number(tmp_path: Path) -> None:
    path = left(tmp_path)
    tail = Tail(path)
    list(tail.news())
    with path.open("ab") as file:
        file.write(b"rubbish\n")
    with pytest.raises(JournalError, match="line 4"):
        list(tail.news())
