"""The journal: what is written can be read, and what cannot be trusted is not read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loop_rig import a_disk_that_can_fill_up, a_service, run_started

from loopctl.errors import Stopped, StorageError
from loopctl.files import AppendFile
from loopctl.journal.codec import KINDS, JournalError, from_json, parse, redacted, to_json
from loopctl.journal.store import Journal
from loopctl.journal.tail import read
from loopctl.model.events import (
    VERSION,
    CasesGraded,
    Event,
    Intent,
    Note,
    Payload,
    Result,
    StageEntered,
    StageFinished,
    Unrecognised,
)
from loopctl.model.finding import Fault, FaultKind
from loopctl.model.state import OutcomeKind, State
from loopctl.process import Stop, in_parallel
from loopctl.redact import Redactor

AT = datetime(2025, 9, 10, 20, 30, tzinfo=UTC)
PLAIN = Redactor({})


def mappings(kind: Any) -> st.SearchStrategy[Mapping[Any, Any]]:
    key, value = get_args(kind)
    return st.dictionaries(st.from_type(key), st.from_type(value), max_size=3)


st.register_type_strategy(Mapping, mappings)
st.register_type_strategy(datetime, st.datetimes(timezones=st.just(UTC)))
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(str, st.text(st.characters(exclude_categories=["Cs"]), max_size=20))


@pytest.mark.parametrize("kind", sorted(KINDS))
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_every_kind_comes_back_as_it_was(kind: str, data: st.DataObject) -> None:
    payload = data.draw(st.from_type(KINDS[kind]))
    event = Event(7, AT, 2, payload, wave=1, service="chat", suite="p1")
    assert parse(json.dumps(to_json(event))) == event


def test_a_fault_of_an_older_journal_knows_no_command_that_mends_it() -> None:
    fault = Fault(FaultKind.CONTROL_PLANE, "the door is stuck", "chat", mend="door --open")
    ended = StageFinished(State.SETTLE, OutcomeKind.ERRORED, State.DIAGNOSE, 0.1, "", (fault,))
    event = Event(7, AT, 1, ended)
    document = to_json(event)
    assert from_json(document) == event
    del document["data"]["faults"][0]["mend"]
    assert from_json(document).payload == replace(ended, faults=(replace(fault, mend=None),))


def test_what_is_empty_takes_no_room() -> None:
    assert set(to_json(Event(1, AT, 0, Note("hello")))) == {"seq", "at", "v", "kind", "data"}


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "not.of.this.version", "v": VERSION},
        {"kind": Note.KIND, "v": VERSION + 1},
    ],
)
def test_what_this_version_does_not_know_is_kept_word_for_word(
    document: dict[str, object],
) -> None:
    whole = {"seq": 3, "at": AT.isoformat(), "data": {"a": [1, {"b": None}]}, **document}
    event = from_json(whole)
    assert isinstance(event.payload, Unrecognised)
    assert to_json(event) == whole


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nothing",
        "[]",
        "{}",
        '{"seq": 1, "at": "never", "v": 1, "kind": "note", "data": {"text": "x"}}',
        '{"seq": 1, "at": "2025-09-10T20:30:00+00:00", "v": 1, "kind": "note", "data": {}}',
        '{"seq": 1, "at": "2025-09-10T20:30:00+00:00", "v": 1, "kind": "note", "data": null}',
        '{"seq": 1, "at": "2025-09-10T20:30:00", "v": 1, "kind": "note", "data": {"text": "x"}}',
        '{"seq": 1e999, "at": "2025-09-10T20:30:00Z", "v": 1, "kind": "note", "data": {}}',
        '{"seq": 1, "at": "2025-09-10T20:30:00Z", "v": 1, "kind": "a", "data": {}, "suite": []}',
        "[" * 100_000,
    ],
)
def test_a_malformed_line_is_no_event(line: str) -> None:
    with pytest.raises(JournalError):
        parse(line)


CASE = {"id": "a", "status": "passed", "duration_s": 0.1, "at": AT.isoformat()}


def cases_line(**changed: object) -> str:
    whole = {"seq": 7, "at": AT.isoformat(), "v": VERSION, "kind": CasesGraded.KIND, "cycle": 2}
    return json.dumps({**whole, "data": {"cases": [CASE]}, **changed}, separators=(",", ":"))


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"suite": "p1", "service": "chat", "wave": 1, "ran": 4.5},
        {"v": VERSION + 1},
        {"kind": "cases.graded.twice", "data": {"kind": CasesGraded.KIND}},
        {"kind": Note.KIND, "data": {"text": f'"kind":"{CasesGraded.KIND}"'}},
        {"of_a_later_version": True},
    ],
)
def test_a_batch_of_cases_is_read_as_every_other_event(changed: dict[str, object]) -> None:
    line = cases_line(**changed)
    assert parse(line) == from_json(json.loads(line))


@pytest.mark.parametrize(
    "changed",
    [
        {"at": "never"},
        {"seq": None},
        {"data": {}},
        {"data": {"cases": [{**CASE, "status": "perfect"}]}},
        {"data": {"cases": [{**CASE, "duration_s": "long"}]}},
    ],
)
def test_a_batch_of_cases_that_somebody_edited_is_no_event(changed: dict[str, object]) -> None:
    with pytest.raises(JournalError):
        parse(cases_line(**changed))


class Book:
    """A journal in a folder, with two kinds of notes to write."""

    def __init__(self, folder: Path, redactor: Redactor = PLAIN) -> None:
        self.path = folder / "journal.jsonl"
        self.heard: list[Event] = []
        self.journal = Journal(self.path, redactor, [self.heard.append])
        self.journal.append(run_started([a_service()], []))

    def lines(self) -> list[str]:
        return self.path.read_text(encoding="utf-8").splitlines()


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path)


def test_each_event_is_one_private_line_in_order(book: Book) -> None:
    book.journal.append(Note("line one\nline two\u2028three"))
    assert [event.seq for event in read(book.path)] == [1, 2]
    assert book.path.read_bytes().count(b"\n") == 2
    assert book.path.stat().st_mode & 0o077 == 0
    assert list(read(book.path)) == book.heard


def test_a_torn_last_line_is_passed_over(book: Book) -> None:
    with book.path.open("ab") as file:
        file.write(b'{"seq": 2, "at": "2025')
    assert [event.seq for event in read(book.path)] == [1]


def test_a_torn_line_of_a_killed_run_does_not_spoil_the_next_event(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"seq": 1, "at')
    Journal(path, PLAIN).append(run_started([], []))
    assert len(list(read(path))) == 1


def note(seq: int) -> str:
    return json.dumps(to_json(Event(seq, AT, 1, Note("x"))))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([note(2)], "line 1 of the journal is event 2, not 1"),
        ([note(1), note(3)], "line 2 of the journal is event 3, not 2"),
        ([note(1), note(1)], "line 2 of the journal is event 1, not 2"),
        ([note(1), "rubbish", note(2)], "line 2 of the journal cannot be read"),
        ([note(1), "\ud800", note(2)], "line 2 of the journal cannot be read"),
    ],
)
def test_a_journal_that_was_tampered_with_is_not_believed(
    tmp_path: Path, lines: list[str], said: str
) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass"))
    with pytest.raises(JournalError, match=said):
        list(read(path))


ZEROS = b"\0" * 300


@pytest.mark.parametrize("end", [ZEROS, ZEROS + b"\n", ZEROS + b'"v":1}\n'])
def test_the_zeros_of_a_power_cut_are_a_torn_line(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    whole = note(1).encode() + b"\n" + note(2).encode() + b"\n"
    path.write_bytes(whole + end)
    assert [event.seq for event in read(path)] == [1, 2]
    with AppendFile(path) as file:
        assert file.torn == len(end)
    assert path.read_bytes() == whole


def test_zeros_before_other_lines_are_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(note(1).encode() + b"\n" + ZEROS + b"\n" + note(3).encode() + b"\n")
    with pytest.raises(JournalError, match="line 2"):
        list(read(path))


def test_what_the_disk_did_not_take_is_written_once_it_has_room(tmp_path: Path) -> None:
    book = Book(tmp_path)
    with a_disk_that_can_fill_up() as fill:
        fill(book.path)
        with pytest.raises(StorageError):
            book.journal.append(Note("never written"))
    book.journal.detach()
    book.journal.append(Note("in memory"))
    assert len(book.lines()) == 1
    book.journal.close()
    assert [event.seq for event in read(book.path)] == [1, 2]
    assert "in memory" in book.lines()[-1]


def test_what_the_disk_did_not_take_is_left_out_where_another_has_written(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.journal.detach()
    book.journal.append(Note("in memory"))
    with AppendFile(book.path) as file:
        file.append(note(2).encode())
    book.journal.close()
    assert book.lines()[-1] == note(2)


def test_a_secret_is_hidden_on_the_way_in_from_file_fold_and_everyone(tmp_path: Path) -> None:
    book = Book(tmp_path, Redactor({"TOKEN": "hunter2-hunter2"}))
    book.journal.append(Note("it said hunter2-hunter2"))
    book.journal.append(Intent("deploy", "k", {"hunter2-hunter2": "hunter2-hunter2"}))
    assert "hunter2" not in book.path.read_text()
    assert "hunter2" not in repr(book.heard)
    assert "hunter2" not in repr(book.journal.fold.snapshot())
    assert "[redacted:TOKEN]" in book.lines()[1]


def test_a_redacted_event_is_what_its_line_says() -> None:
    event = Event(1, AT, 1, Note("hunter2-hunter2"))
    kept, line = redacted(event, Redactor({"TOKEN": "hunter2-hunter2"}))
    assert parse(line) == kept


@pytest.mark.parametrize("word", ["verify", "green", "candidate", "duration_s", "stage.finished"])
def test_a_secret_that_is_a_word_of_ours_does_not_spoil_the_journal(
    tmp_path: Path, word: str
) -> None:
    book = Book(tmp_path, Redactor({"MODE": word}))
    end = StageFinished(State.VERIFY, OutcomeKind.OK, State.GREEN, 0.5, f"in mode {word}")
    book.journal.cycle = 1
    book.journal.append(StageEntered(State.VERIFY))
    book.journal.append(end)
    kept = list(read(book.path))[-1].payload
    assert kept == replace(end, detail="in mode [redacted:MODE]")


def test_an_effect_is_told_before_and_after(book: Book) -> None:
    with book.journal.effect(Intent("route", "k")):
        assert len(book.lines()) == 2, "the intent is on disk before anything happens"
    assert [e.payload for e in book.heard[1:]] == [
        Intent("route", "k"),
        Result("route", "k", ok=True),
    ]


@pytest.mark.parametrize("error", [KeyError("x"), Stopped("SIGINT"), ValueError("a\nb")])
def test_an_effect_that_fails_is_told_in_one_line_and_goes_on_failing(
    book: Book, error: BaseException
) -> None:
    with pytest.raises(type(error)), book.journal.effect(Intent("route", "k")):
        raise error
    result = book.heard[-1].payload
    assert isinstance(result, Result)
    assert not result.ok
    assert "\n" not in result.detail


def test_an_effect_whose_intent_cannot_be_written_does_not_happen(book: Book) -> None:
    with a_disk_that_can_fill_up() as fill:
        fill(book.path)
        with pytest.raises(StorageError), book.journal.effect(Intent("route", "k")):
            pytest.fail("the effect happened")


def test_an_event_that_could_not_be_written_never_was(book: Book) -> None:
    with a_disk_that_can_fill_up() as fill:
        fill(book.path)
        with pytest.raises(StorageError):
            book.journal.append(Note("lost"))
    assert len(book.heard) == 1
    book.journal.append(Note("found"))
    assert [event.seq for event in read(book.path)] == [1, 2]


def test_after_it_was_detached_it_goes_on_in_memory(book: Book) -> None:
    book.journal.detach()
    book.journal.detach()
    book.journal.append(Note("in memory"))
    assert not book.journal.is_durable
    assert len(book.heard) == 2
    assert len(list(read(book.path))) == 1
    assert book.journal.fold.snapshot().notes[0].text == "in memory"


def test_events_carry_the_cycle_and_the_wave_they_were_written_in(book: Book) -> None:
    book.journal.cycle, book.journal.wave = 2, 1
    event = book.journal.append(Note("x"), service="chat", suite="p1")
    assert (event.cycle, event.wave, event.service, event.suite) == (2, 1, "chat", "p1")


def test_threads_write_whole_lines_in_one_sequence(book: Book) -> None:
    def write(_: Stop) -> None:
        for number in range(20):
            book.journal.append(Note(str(number)))

    tasks: dict[str, Callable[[Stop], None]] = {str(n): write for n in range(4)}
    in_parallel(Stop(), 4, tasks)
    assert len(list(read(book.path))) == 81


def test_all_payloads_have_a_kind_of_their_own() -> None:
    names: list[type[Payload]] = list(KINDS.values())
    assert len({kind.KIND for kind in names}) == len(names)
