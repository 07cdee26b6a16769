"""What the emulated revisions and their platform write into the log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from emulator_rig import Asker, asking, condition, emulating, entries, short, texts
from google.cloud.audit.audit_log_pb2 import AuditLog

from emulator.server import Emulator

SYSTEM = "run.googleapis.com%2Fvarlog%2Fsystem"
STDOUT = "run.googleapis.com%2Fstdout"
STDERR = "run.googleapis.com%2Fstderr"
TRACEBACK = """Traceback (most recent call last):
  File "main.py", line 1, in <module>
    open("words")
FileNotFoundError: words"""


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with emulating() as running:
        yield running


@pytest.fixture
def api(emulator: Emulator) -> Iterator[Asker]:
    with asking(emulator, "grpc") as asker:
        yield asker


def ids(emulator: Emulator) -> list[str]:
    return [entry.log_name.partition("/logs/")[2] for entry in entries(emulator)]


def test_a_crash_is_told_in_the_order_in_which_it_happens(emulator: Emulator, api: Asker) -> None:
    api.failure(api.create("chat", env={"SAY_ERROR": TRACEBACK + "\ngone", "EXIT": "3"}))
    bad = short(api.get("chat").latest_created_revision)
    start, traceback, gone, called, probe, audit = entries(emulator)
    assert start.severity == 200
    assert start.text_payload.startswith("Starting new instance. Reason: DEPLOYMENT_ROLLOUT")
    assert (traceback.text_payload, traceback.severity) == (TRACEBACK, 500)
    assert (gone.text_payload, gone.severity) == ("gone", 0)
    assert (called.text_payload, called.severity) == ("Container called exit(3).", 400)
    assert probe.severity == 500
    assert probe.text_payload == (
        'Default STARTUP TCP probe failed 1 time consecutively for container "app-1" on port '
        "8080. The instance was not started. Connection failed with status CANCELLED."
    )
    said = AuditLog()
    audit.proto_payload.Unpack(said)
    assert audit.severity == 500
    assert said.status.message.startswith(
        f"Ready condition status changed to False for Revision {bad} with message: The user-"
    )
    assert ids(emulator) == [
        SYSTEM,
        STDERR,
        STDERR,
        SYSTEM,
        SYSTEM,
        "cloudaudit.googleapis.com%2Fsystem_event",
    ]


def test_lines_of_an_application_have_microseconds_and_the_platforms_nanoseconds(
    emulator: Emulator, api: Asker
) -> None:
    api.failure(api.create("chat", env={"SAY": "one\ntwo", "EXIT": "0"}))
    assert all(entry.timestamp.nanos % 1000 == 0 for entry in entries(emulator, STDOUT))
    assert all(entry.timestamp.nanos % 1000 for entry in entries(emulator, SYSTEM))
    assert "Container called exit(0)." in texts(emulator, SYSTEM)


def test_plain_lines_have_no_severity_on_either_stream(emulator: Emulator, api: Asker) -> None:
    api.created("chat", env={"SAY": "plain", "SAY_ERROR": f"ERROR:    {TRACEBACK}"})
    assert texts(emulator, STDOUT) == ["plain"]
    assert texts(emulator, STDERR) == f"ERROR:    {TRACEBACK}".splitlines()
    streams = [*entries(emulator, STDOUT), *entries(emulator, STDERR)]
    assert {entry.severity for entry in streams} == {0}
    assert {entry.labels["instanceId"] for entry in streams} != {""}


def test_a_line_of_json_becomes_a_payload(emulator: Emulator, api: Asker) -> None:
    line = (
        '{"severity": "ERROR", "message": "no", "n": 3, "time": "TIME", '
        '"logging.googleapis.com/trace": "projects/p/traces/abc", '
        '"logging.googleapis.com/spanId": "def", "logging.googleapis.com/labels": {"a": "b"}, '
        '"httpRequest": {"requestMethod": "GET", "status": 500}}'
    )
    before = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M:%S.000006Z}"
    api.created("chat", env={"SAY": line.replace("TIME", before) + "\n{broken"})
    entry, broken = entries(emulator, STDOUT)
    assert dict(entry.json_payload) == {"message": "no", "n": 3.0}
    assert (entry.severity, entry.trace, entry.span_id) == (500, "projects/p/traces/abc", "def")
    assert entry.labels["a"] == "b"
    assert (entry.http_request.request_method, entry.http_request.status) == ("GET", 500)
    assert entry.timestamp.ToJsonString() == before
    assert broken.text_payload == "{broken"


def test_a_container_that_never_listens_takes_the_probes_whole_time() -> None:
    with emulating(time_scale=1 / 480) as emulator, asking(emulator, "grpc") as api:
        began = time.monotonic()
        error = api.failure(api.create("chat", env={"DEAF": "1"}))
        assert time.monotonic() - began >= 0.5
        assert "failed to start and listen on the port" in str(error.message)
        assert texts(emulator, SYSTEM)[-1] == (
            'Default STARTUP TCP probe failed 1 time consecutively for container "app-1" on port '
            "8080. The instance was not started. Connection failed with status DEADLINE_EXCEEDED."
        )


def test_an_http_probe_passes_and_fails_by_the_status(emulator: Emulator, api: Asker) -> None:
    probe = {"period_seconds": 10, "failure_threshold": 2, "http_get": {"path": "/hang"}}
    named = {"name": "web", "startup_probe": probe}
    api.failure(api.create("chat", container=named))
    assert texts(emulator, SYSTEM)[-1] == (
        'STARTUP HTTP probe failed 2 times consecutively for container "web" on port 8080 path '
        '"/hang". The instance was not started.'
    )
    named["startup_probe"] = {
        "timeout_seconds": 100,
        "period_seconds": 100,
        "failure_threshold": 2,
        "http_get": {"path": "/"},
    }
    assert condition(
        api.revision(api.created("well", container=named).latest_ready_revision), "Ready"
    )


def test_a_container_that_eats_more_than_its_memory_is_killed(
    emulator: Emulator, api: Asker
) -> None:
    limits = {"resources": {"limits": {"memory": "64Mi"}}}
    api.failure(api.create("chat", env={"EAT_MIB": "200"}, container=limits))
    told = next(entry for entry in entries(emulator, SYSTEM) if "Memory" in entry.text_payload)
    assert told.severity == 500
    assert told.text_payload.startswith("Memory limit of 64 MiB exceeded with ")
    assert told.text_payload.endswith(
        " MiB used. Consider increasing the memory limit, see "
        "https://cloud.google.com/run/docs/configuring/memory-limits"
    )


def test_a_program_that_is_not_there_is_told_of(emulator: Emulator, api: Asker) -> None:
    api.failure(api.create("chat", container={"command": ["uvicornn"]}))
    assert any(
        'error finding executable "uvicornn" in PATH' in text for text in texts(emulator, SYSTEM)
    )
