"""A log file is read whatever its form, its bytes and its order; what is missing of it is said."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from exports import Entry, asked, audited, said, served, stamp, startup_crash, write_array

from loopctl.triage.export.opening import NoLogError
from loopctl.triage.export.reading import Export, read_export
from loopctl.triage.export.symptoms import captures_of
from loopctl.triage.export.times import found_in

ENTRIES = [*served("chat-00002-kxh", 0, 3), *startup_crash()]


def read(path: Path) -> Export:
    return read_export(path, io.BytesIO())


def of_text(tmp_path: Path, text: str | bytes, name: str = "chat.log") -> Export:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read(path)


def texts(export: Export) -> list[str]:
    return [piece.text for piece in export.pieces if piece.text]


def as_array(entries: list[Entry]) -> str:
    return json.dumps(entries)


def as_newest_first(entries: list[Entry]) -> str:
    return json.dumps(entries[::-1], indent=2)


def as_lines(entries: list[Entry]) -> str:
    return "".join(json.dumps(entry) + "\n" for entry in entries)


def as_pretty_objects(entries: list[Entry]) -> str:
    return "\n".join(json.dumps(entry, indent=2) for entry in entries)


def as_answer(entries: list[Entry]) -> str:
    return json.dumps({"nextPageToken": "abc", "entries": entries}, indent=1)


def as_yaml(entries: list[Entry]) -> str:
    return yaml.safe_dump_all(entries, explicit_start=True)


def as_csv(entries: list[Entry]) -> str:
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(
        ["insertId", "logName", "resource.labels.service_name", "resource.labels.revision_name",
         "severity", "textPayload", "protoPayload.status.message", "timestamp"]
    )  # fmt: skip
    for entry in entries:
        labels = entry["resource"]["labels"]
        told = entry.get("protoPayload", {}).get("status", {}).get("message")
        rows.writerow(
            [entry["insertId"], entry["logName"], labels["service_name"], labels["revision_name"],
             entry.get("severity"), entry.get("textPayload"), told, entry["timestamp"]]
        )  # fmt: skip
    return out.getvalue()


@pytest.mark.parametrize(
    "write",
    [as_array, as_newest_first, as_lines, as_pretty_objects, as_answer, as_yaml, as_csv],
)
def test_the_same_entries_are_read_from_every_form_in_the_order_they_were_told(
    tmp_path: Path, write: Callable[[list[Entry]], str]
) -> None:
    export = of_text(tmp_path, write(ENTRIES))
    wanted = [
        e.get("textPayload") or e.get("protoPayload", {}).get("status", {}).get("message")
        for e in ENTRIES
    ]
    assert texts(export) == [text for text in wanted if text and text.strip()]
    assert export.gap is None
    named = {(piece.service, piece.revision) for piece in export.pieces}
    assert named == {("chat", "chat-00002-kxh"), ("chat", "chat-00003-6kk")}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_the_encoding_is_told_by_the_bytes(tmp_path: Path, encoding: str) -> None:
    export = of_text(tmp_path, "INFO: grüße\nERROR: bad\n".encode(encoding))
    assert texts(export) == ["INFO: grüße", "ERROR: bad"]


def test_a_packed_file_is_read_whatever_its_name_and_one_cut_off_as_far_as_it_goes(
    tmp_path: Path,
) -> None:
    packed = gzip.compress("".join(f"line {n * 7919}\n" for n in range(90_000)).encode())
    assert len(texts(of_text(tmp_path, packed))) == 90_000
    cut = of_text(tmp_path, packed[: len(packed) // 2])
    assert 0 < len(texts(cut)) < 90_000
    assert cut.gap == "the packed file is damaged or cut off"


def test_an_array_that_breaks_off_is_read_as_far_as_it_goes_and_says_so(tmp_path: Path) -> None:
    export = of_text(tmp_path, as_newest_first(ENTRIES)[:-900])
    assert len(export.pieces) in range(len(ENTRIES) - 4, len(ENTRIES))
    assert export.gap is not None
    assert "breaks off in entry" in export.gap


def test_an_entry_that_is_no_json_is_passed_over_and_said(tmp_path: Path) -> None:
    broken = as_newest_first(ENTRIES).replace('"severity": "WARNING"', '"severity": WARNING', 1)
    export = of_text(tmp_path, broken)
    assert len(export.pieces) == len(ENTRIES) - 2  # an empty line, and the broken one
    assert export.gap == "entry 3 is no JSON"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (bytes(range(256)) * 200, "a binary file"),
        (b"PK\x03\x04rest", "unpack it first"),
        (b"\x7fELF\x02\x01\x01" + b"\0" * 90, "a program"),
        (b'{"answer": 42, "rows": [1, 2]}', "is JSON, and no log"),
        (b'{"a":' * 50_000, "is JSON, and no log"),
        (b"\x1f\x8b" + b"\0" * 40, "packed with gzip and damaged"),
    ],
)
def test_what_is_no_log_is_refused_with_what_to_do(tmp_path: Path, data: bytes, why: str) -> None:
    with pytest.raises(NoLogError) as refused:
        of_text(tmp_path, data)
    assert why in str(refused.value.problem)


def test_a_folder_and_a_file_that_is_not_there_are_refused(tmp_path: Path) -> None:
    for path, why in ((tmp_path, "is a folder"), (tmp_path / "no", "cannot be read")):
        with pytest.raises(NoLogError) as refused:
            read(path)
        assert why in str(refused.value.problem)


@pytest.mark.parametrize("text", ["", "\n\n", "[]", " [ ]\n", "{}"])
def test_a_file_with_nothing_in_it_holds_nothing(tmp_path: Path, text: str) -> None:
    assert texts(of_text(tmp_path, text)) in ([], ["{}"])


@pytest.mark.parametrize("text", ["[" * 100_000, '[{"a":' + "[" * 100_000])
def test_nesting_without_end_ends_nothing(tmp_path: Path, text: str) -> None:
    assert len(of_text(tmp_path, text).pieces) <= 1


def test_hostile_bytes_are_read_as_text(tmp_path: Path) -> None:
    lines = b"\0\0cut\r\n\xff\xfe\xfd bad\r\n\x1b[31mERROR\x1b[0m red\n 10%\r 90%\rdone\n"
    assert texts(of_text(tmp_path, lines)) == ["cut", "��� bad", "ERROR red", "done"]


def test_a_line_of_ten_megabytes_is_cut_and_the_next_one_keeps_its_number(tmp_path: Path) -> None:
    export = of_text(tmp_path, b"x" * 10_000_000 + b"\nERROR: after it\n")
    assert [piece.number for piece in export.pieces] == [1, 2]
    assert len(export.pieces[0].text) < 1_000_000


def test_fields_of_a_wrong_type_are_passed_over(tmp_path: Path) -> None:
    odd = [
        {"textPayload": None, "timestamp": None, "resource": None, "severity": 3, "labels": []},
        {"httpRequest": {"status": "x", "latency": {}, "requestUrl": "http://["}, "timestamp": 1},
        {"jsonPayload": {"message": {"a": 1}}, "logName": 5},
        {"protoPayload": {"status": []}, "severity": "ERROR"},
        5,
        "a line",
        None,
        [1],
    ]
    assert texts(of_text(tmp_path, json.dumps(odd))) == ['{"a":1}', "a line"]


def test_entries_of_one_time_keep_the_order_of_their_ids_in_either_direction(
    tmp_path: Path,
) -> None:
    same = [said(f"line {n}", 5) | {"insertId": f"id{n}"} for n in range(4)]
    between = [said("before", 1), *same, said("after", 9)]
    for given in (between, between[::-1], [between[5], *same, between[0]]):
        told = texts(of_text(tmp_path, json.dumps(given)))
        assert told == ["before", "line 0", "line 1", "line 2", "line 3", "after"]


def test_a_request_is_one_and_its_path_has_no_query(tmp_path: Path) -> None:
    export = read(write_array(tmp_path / "x.json", [asked("/a?token=abc123def", 503, 1)]))
    request = export.pieces[0].request
    assert request is not None
    assert (request.method, request.path, request.status) == ("GET", "/a", 503)
    assert request.latency_s == 0.012


@pytest.mark.parametrize(
    ("line", "path", "status"),
    [
        ('INFO: 10.0.0.1:52 - "GET /health?x=1 HTTP/1.1" 307 Moved', "/health", 307),
        ('1.2.3.4 - - [07/Sep/2025:10:00:00 +0000] "POST /api HTTP/1.0" 502 12', "/api", 502),
        ('{"method": "GET", "path": "/api?k=v", "status": 500, "msg": "done"}', "/api", 500),
    ],
)  # fmt: skip
def test_access_lines_are_requests(tmp_path: Path, line: str, path: str, status: int) -> None:
    request = of_text(tmp_path, line).pieces[0].request
    assert request is not None
    assert (request.path, request.status) == (path, status)


TRACE = [
    "INFO: begins",
    "Traceback (most recent call last):",
    '  File "/app/x.py", line 1, in f',
    "    g()",
    "ValueError: no",
]


@pytest.mark.parametrize(
    "form",
    [
        "2025-09-07T10:00:00.123456789Z {}",
        "2025-09-07 10:00:00 {}",
        "2025-09-07 10:00:00,123 ERROR [chat] {}",
        "chat-1  | {}",
        "[pod/chat-7d9f/chat] {}",
        "2025-09-07T10:00:00.1Z stderr F {}",
        "Sep  7 10:00:00 host chat[12]: {}",
        "web-1 | 2025-09-07T10:00:00.123Z {}",
    ],
)
def test_what_carried_the_lines_is_taken_off_all_of_them(tmp_path: Path, form: str) -> None:
    export = of_text(tmp_path, "".join(form.format(line) + "\n" for line in TRACE))
    assert texts(export) == TRACE


def test_a_time_that_the_program_wrote_stays_in_its_text(tmp_path: Path) -> None:
    lines = ["2025-09-07 10:00:00,1 INFO a", "2025-09-07 10:00:01,1 ERROR b"]
    export = of_text(tmp_path, "\n".join(lines))
    assert texts(export) == lines
    assert export.pieces[1].at.second == 1


@pytest.mark.parametrize(
    "text",
    [
        "2025-09-07T10:00:00Z x", "[2025-09-07 10:00:00,000] x", "2025/09/07 10:00:00 x",
        '1.2.3.4 - - [07/Sep/2025:12:00:00 +0200] "GET', "2025-09-07T12:00:00.5+02:00 x",
    ],
)  # fmt: skip
def test_times_of_many_forms_are_read_as_utc(text: str) -> None:
    at = found_in(text)
    assert at is not None
    assert (at.isoformat()[:19], at.utcoffset().__str__()) == ("2025-09-07T10:00:00", "0:00:00")


def test_docker_files_and_structured_logs_are_read_line_by_line(tmp_path: Path) -> None:
    lines = [
        {"log": "plain\n", "stream": "stderr", "time": stamp(1)},
        {"log": '{"level":"error","msg":"inner"}\n', "stream": "stdout", "time": stamp(2)},
        {"level": 50, "msg": "pino", "time": 1757239200123, "err": {"stack": "Error: x\n    at y"}},
        {"severity": "WARNING", "message": "ours", "service": "api", "timestamp": stamp(4)},
    ]
    export = of_text(tmp_path, "".join(json.dumps(line) + "\n" for line in lines))
    told = {piece.text: piece.severity for piece in export.pieces}
    assert told == {
        "plain": None, "inner": "ERROR", "pino\nError: x\n    at y": "ERROR", "ours": "WARNING",
    }  # fmt: skip
    assert export.pieces[0].stream == "stderr"
    assert [c.service for c in captures_of(export)] == ["api"]


def test_a_level_within_the_payload_counts_where_the_entry_has_none(tmp_path: Path) -> None:
    entry = said("", 1)
    del entry["textPayload"]
    entry["jsonPayload"] = {"level": "error", "msg": "boom", "code": 7}
    piece = of_text(tmp_path, json.dumps([entry])).pieces[0]
    assert (piece.severity, piece.text) == ("ERROR", 'boom {"code":7}')


def test_an_audit_entry_is_what_its_status_says_of_which_revision(tmp_path: Path) -> None:
    piece = of_text(tmp_path, json.dumps([audited("Image 'a/b:c' not found.", 1)])).pieces[0]
    assert piece.audit
    assert (piece.service, piece.revision) == ("chat", "chat-00002-kxh")
    assert piece.text.endswith("with message: Image 'a/b:c' not found.")
