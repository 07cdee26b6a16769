"""What writing down every step costs, and reading it back."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench.table import Row, compare, seconds, timed
from loopctl.journal.codec import parse, redacted, to_json
from loopctl.journal.fold import fold
from loopctl.journal.store import Journal
from loopctl.model.events import CasesGraded, Event, Intent, RunStarted, SuiteFacts
from loopctl.model.evidence import CaseStatus, Grade, GradedCase
from loopctl.redact import Redactor

_APPENDS = 200
_EVENTS = 60_000
_AT = datetime(2025, 5, 1, tzinfo=UTC)
_STARTED = RunStarted(
    run_id="bench",
    loop="bench",
    loop_file="bench.yaml",
    root="/",
    environment="local",
    platform="local",
    loopctl="0",
    pid=1,
    pid_started=1,
    services=(),
    suites=(SuiteFacts("suite", "", "P1", "pytest", "verify", "observed"),),
)


def rows() -> Iterator[Row]:
    """One synced append, and the fold of a very long run."""
    with tempfile.TemporaryDirectory() as folder:
        yield _append(Path(folder))
    yield _fold()


def _append(folder: Path) -> Row:
    redactor = Redactor({"TOKEN": "a-secret-value-0123456789"})
    journal = Journal(folder / "journal.jsonl", redactor)
    journal.append(_STARTED)
    _, text = redacted(Event(1, _AT, 1, Intent("build", "1/chat")), redactor)
    line = text.encode() + b"\n"
    bare = os.open(folder / "bare.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def ours() -> float:
        return timed(lambda: [journal.append(Intent("build", "1/chat")) for _ in range(_APPENDS)])

    def write_and_sync() -> None:
        for _ in range(_APPENDS):
            os.write(bare, line)
            os.fsync(bare)

    try:
        return compare(
            f"{_APPENDS} journal events, redacted, synced",
            ours,
            "the same bytes, `write` and `fsync`",
            lambda: timed(write_and_sync),
            5,
            seconds,
        )
    finally:
        os.close(bare)
        journal.close()


def _fold() -> Row:
    events = [Event(1, _AT, 1, _STARTED), *(_case(number) for number in range(2, _EVENTS + 1))]
    lines = [json.dumps(to_json(event)) for event in events]
    return compare(
        f"fold of {_EVENTS:,} events",
        lambda: timed(lambda: fold(events)),
        "parsing their lines",
        lambda: timed(lambda: [parse(line) for line in lines]),
        1,
        seconds,
    )


def _case(number: int) -> Event:
    case = GradedCase(
        f"tests/test_a.py::test_{number}", CaseStatus.PASSED, 0.1, _AT, Grade.OBSERVED, "12 B out"
    )
    return Event(number, _AT, 1, CasesGraded((case,)), suite="suite")
