"""Entries of Cloud Logging, and what they come to: lines and requests, in order, redacted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from google.cloud.audit.audit_log_pb2 import AuditLog
from google.cloud.logging_v2.types import LogEntry as ProtoEntry
from google.protobuf import json_format

from loopctl.model.logs import LogEntry
from loopctl.platforms.cloud_run.log_entries import logged
from loopctl.platforms.cloud_run.log_lines import Transcript
from loopctl.platforms.cloud_run.log_reader import parsed
from loopctl.platforms.cloud_run.log_window import Tail
from loopctl.redact import Redactor
from loopctl.triage.assemble import assemble

BEGAN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
SECRET = "s3cr3t-of-the-chat-42"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQE\n-----END PRIVATE KEY-----"


def proto(text: str = "", after_s: float = 0.0, log: str = "stderr", **fields: Any) -> Any:
    """An entry of a revision, so long after the instance was started."""
    made = ProtoEntry.pb()(**fields)
    service = "cloudaudit.googleapis.com" if log == "system_event" else "run.googleapis.com"
    made.log_name = f"projects/p/logs/{service}%2F{log.replace('/', '%2F')}"
    made.resource.labels.update(service_name="chat", revision_name="chat-00003-6kk")
    made.timestamp.FromDatetime(BEGAN + timedelta(seconds=after_s))
    if text:
        made.text_payload = text
    return made


def audited(message: str, after_s: float) -> Any:
    made = proto("", after_s, "system_event", severity=500, insert_id="audit")
    audit = AuditLog(method_name="/Services.ReplaceService")
    audit.status.message = message
    made.proto_payload.Pack(audit)
    return made


def lines_of(entries: Sequence[Any], **secrets: str) -> list[LogEntry]:
    """The lines of entries that came in any order."""
    tail, transcript = Tail(), Transcript(Redactor(secrets), "chat")
    for entry in entries:
        tail.add(logged(entry))
    told = [line for entry in tail.rest() for line in transcript.lines(entry)]
    return [*told, *transcript.rest()]


READY = (
    "Ready condition status changed to False for Revision chat-00003-6kk with message: "
    "The user-provided container failed to start and listen on the port"
)
PROBE = (
    'Default STARTUP TCP probe failed 1 time consecutively for container "app-1" on port 8080. '
    "The instance was not started. Connection failed with status CANCELLED."
)
TRACEBACK = (
    "ERROR:    Traceback (most recent call last):",
    '  File "/app/main.py", line 12, in lifespan',
    "    raise RuntimeError('no database')",
    "RuntimeError: no database",
)


def crash() -> list[Any]:
    """A uvicorn that crashes at its start, as it was seen (facts 2.4); it came out of order."""
    traceback = [
        proto(text, 6.520 + number / 1e5, insert_id=f"t{number}")
        for number, text in enumerate(TRACEBACK)
    ]
    exit_ = proto("Container called exit(3).", 7.17, "varlog/system", severity=400)
    exit_.timestamp.nanos += 123
    return [
        audited(READY, 7.31),
        proto("the app's own print, flushed at exit", 6.522, "stdout"),
        exit_,
        *reversed(traceback),
        proto("ERROR: Application startup failed. Exiting.", 6.521),
        proto("INFO: Started server process [1]", 6.49, insert_id="a"),
        proto("INFO: Waiting for application startup.", 6.49, insert_id="b"),
        proto(PROBE, 7.30, "varlog/system", severity=500),
        proto(
            "Starting new instance. Reason: DEPLOYMENT_ROLLOUT", 0, "varlog/system", severity=200
        ),
    ]


def test_a_crash_is_told_in_the_order_in_which_it_happened() -> None:
    lines = lines_of(crash())
    assert [line.text for line in lines] == [
        "Starting new instance. Reason: DEPLOYMENT_ROLLOUT",
        "INFO: Started server process [1]",
        "INFO: Waiting for application startup.",
        *TRACEBACK,
        "ERROR: Application startup failed. Exiting.",
        "the app's own print, flushed at exit",
        "Container called exit(3).",
        PROBE,
        READY,
    ]
    assert [line.number for line in lines] == list(range(1, 13))
    assert [line.stream for line in lines[:2]] == ["system", "stderr"]
    assert (lines[-4].stream, lines[-1].stream) == ("stdout", "system")
    assert [line.severity for line in lines[-3:]] == ["WARNING", "ERROR", "ERROR"]
    assert lines[3].severity is None, "plain text has no level of its own"
    assert {line.revision for line in lines} == {"chat-00003-6kk"}


def test_a_traceback_that_came_as_one_entry_is_told_line_by_line() -> None:
    text = "Traceback (most recent call last):\n" + "\n".join(TRACEBACK[1:]) + "\n"
    lines = lines_of([proto(text, severity=500)])
    assert [line.text for line in lines] == text.rstrip("\n").split("\n")
    (event,) = assemble(lines)
    assert event.trace is not None
    assert event.trace.innermost.type == "RuntimeError"
    assert (event.trace.innermost.number, event.severity) == (4, "ERROR")


def test_nanoseconds_and_then_insert_ids_decide_what_came_first() -> None:
    first, second, third = proto("1", insert_id="z"), proto("2", insert_id="a"), proto("3")
    second.timestamp.nanos, third.timestamp.nanos = 7, 7
    third.insert_id = "b"
    assert [line.text for line in lines_of([third, second, first])] == ["1", "2", "3"]


def test_an_entry_that_is_read_twice_is_told_once_and_alike_ones_twice() -> None:
    tail = Tail()
    one = proto("x", insert_id="1")
    assert tail.add(logged(one))
    assert not tail.add(logged(one))
    assert tail.add(logged(proto("x", insert_id="2")))
    assert tail.add(logged(proto("x", insert_id="1", log="stdout")))
    assert tail.add(logged(proto("x")))
    assert tail.add(logged(proto("y"))), "without an id its text tells it apart"


def test_of_json_the_message_is_the_text_and_nothing_else_is_lost() -> None:
    made = proto()
    json_format.ParseDict(
        {
            "message": "slow query",
            "rows": 3,
            "took": 0.5,
            "tags": ["a", None, True],
            "by": {"id": 7},
        },
        made.json_payload,
    )
    (line,) = lines_of([made])
    message, _, rest = line.text.partition(" {")
    assert message == "slow query"
    assert json.loads("{" + rest) == {
        "rows": 3,
        "took": 0.5,
        "tags": ["a", None, True],
        "by": {"id": 7},
    }


def test_a_traceback_in_a_field_of_json_stands_below_the_message() -> None:
    made = proto(severity=500)
    stack = "Traceback (most recent call last):\n" + "\n".join(TRACEBACK[1:])
    json_format.ParseDict({"message": "boom", "exc": stack, "user": "u1"}, made.json_payload)
    lines = lines_of([made])
    assert lines[0].text == 'boom {"user":"u1"}'
    events = list(assemble(lines))
    assert events[1].trace is not None
    assert events[1].trace.innermost.message == "no database"


def test_json_without_a_message_is_shown_whole() -> None:
    made = proto()
    json_format.ParseDict({"event": "started"}, made.json_payload)
    assert [line.text for line in lines_of([made])] == ['{"event":"started"}']
    odd = proto()
    json_format.ParseDict({"message": {"a": 1}}, odd.json_payload)
    assert [line.text for line in lines_of([odd])] == ['{"a":1}']


def test_a_payload_that_nobody_knows_breaks_nothing() -> None:
    made = proto(log="system_event")
    made.proto_payload.type_url = "type.googleapis.com/google.cloud.future.Event"
    made.proto_payload.value = b"\xff\xff"
    broken = proto(log="system_event", after_s=1)
    broken.proto_payload.type_url = "type.googleapis.com/google.cloud.audit.AuditLog"
    broken.proto_payload.value = b"\xff\xff"
    texts = [line.text for line in lines_of([made, broken])]
    assert texts == [
        "(a payload of type google.cloud.future.Event)",
        "(an audit entry that cannot be read)",
    ]


def test_an_audit_entry_without_a_message_says_what_was_done() -> None:
    made = proto(log="system_event")
    made.proto_payload.Pack(AuditLog(method_name="Deploy", resource_name="services/chat"))
    assert [line.text for line in lines_of([made])] == ["Deploy services/chat"]


def asked(text: str = "", url: str = "https://x.run.app/rooms?key=1", **fields: Any) -> Any:
    made = proto(text, log="requests", **fields)
    request = made.http_request
    request.request_method, request.request_url, request.status = "GET", url, 200
    request.latency.FromMilliseconds(7334)
    made.trace = "projects/p/traces/" + "ab" * 16
    return made


def test_a_request_is_told_without_its_query() -> None:
    found = logged(asked()).asked
    assert found is not None
    assert (found.method, found.path, found.status) == ("GET", "/rooms", 200)
    assert (found.latency_s, found.trace) == (7.334, "ab" * 16)
    bare = logged(asked(url="https://x.run.app")).asked
    strange = logged(asked(url="https://[x/rooms?key=1")).asked
    assert bare is not None
    assert strange is not None
    assert (bare.path, strange.path) == ("/", "/rooms")


def test_only_what_went_wrong_with_a_request_is_a_line_of_the_log() -> None:
    text = "The request was aborted because there was no available instance."
    lines = lines_of([asked(), asked(text, severity=400)])
    assert [(line.stream, line.text, line.severity) for line in lines] == [
        ("system", text, "WARNING")
    ]


def test_secrets_are_hidden_in_text_and_in_json() -> None:
    made = proto()
    json_format.ParseDict({"message": f"token {SECRET}", "also": SECRET}, made.json_payload)
    texts = [line.text for line in lines_of([proto(f"say {SECRET}"), made], TOKEN=SECRET)]
    assert "say [redacted:TOKEN]" in texts
    assert not any(SECRET in text for text in texts)


def test_a_secret_that_came_as_an_entry_a_line_is_hidden_too() -> None:
    printed = ["before", *KEY.split("\n"), "after"]
    entries = [
        proto(text, number / 1000, labels={"instanceId": "one"})
        for number, text in enumerate(printed)
    ]
    between = [
        proto("of another instance", 0.0015, labels={"instanceId": "two"}),
        proto("of another stream", 0.0025, "stdout", labels={"instanceId": "one"}),
    ]
    texts = [line.text for line in lines_of([*entries, *between])]
    assert not any("MIIE" in text for text in texts)
    assert {"before", "after", "of another instance", "of another stream"} <= set(texts)
    two_lines = "first-half-of-it\nsecond-half-of-it"
    halves = [proto(half, n / 10) for n, half in enumerate(two_lines.split("\n"))]
    assert [line.text for line in lines_of(halves, PEM=two_lines)] == ["[redacted:PEM]"]


def test_lines_wait_for_a_secret_no_longer_than_to_the_end() -> None:
    entries = [proto("-----BEGIN PRIVATE KEY-----"), proto("never ended", 1)]
    lines = lines_of(entries)
    assert lines
    assert lines[-1].number == len(lines)


def test_what_is_held_to_be_put_in_order_is_bounded() -> None:
    tail = Tail()
    for number in range(Tail.MOST_HELD + 1):
        tail.add(logged(proto("x", number, insert_id=str(number))))
    assert tail.is_full
    assert tail.oldest().at == BEGAN
    assert not tail.is_full


def test_json_of_rest_is_read_whatever_types_it_names() -> None:
    known = {
        "logName": "projects/p/logs/cloudaudit.googleapis.com%2Fsystem_event",
        "resource": {"labels": {"service_name": "chat", "revision_name": "chat-1"}},
        "timestamp": "2026-03-04T05:06:07.123456789Z",
        "severity": "ERROR",
        "aFieldOfTheFuture": {"x": 1},
    }
    audit = {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "status": {
            "message": "it is not ready",
            "details": [{"@type": "type.googleapis.com/google.cloud.future.Why", "x": 1}],
        },
        "serviceData": {"@type": "type.googleapis.com/google.cloud.future.Data"},
    }
    future = {"@type": "type.googleapis.com/google.cloud.future.Event", "x": 1}
    read = [logged(parsed({**known, "protoPayload": each})) for each in (audit, future)]
    assert [entry.text for entry in read] == [
        "it is not ready",
        "(a payload of type google.cloud.future.Event)",
    ]
    assert {entry.revision for entry in read} == {"chat-1"}
    assert {entry.order[0] % 1000 for entry in read} == {789}
    assert logged(parsed({**known, "textPayload": "said"})).text == "said"
    assert logged(parsed({"httpRequest": "what"})).text == ""
