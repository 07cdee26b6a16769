"""The journal

One event is redacted, written and synced, beside `write` and `fsync` of the same bytes. The 60,000
events are a run's start and batches of one case each, the worst way to write down as many cases.
The limit is for the fold alone, which is what a report or a resumed run makes of the events; the
row below it is all of what `show` does with such a journal: read, parse, check and fold. Each is
measured in a process of its own, as a command is.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench.project import ROOT, environ
from bench.table import Row, in_turn, seconds, timed
from loopctl.journal.codec import redacted, to_json
from loopctl.journal.store import Journal
from loopctl.model.events import CasesGraded, Event, Intent, RunStarted, SuiteFacts
from loopctl.model.evidence import CaseStatus, Grade, GradedCase
from loopctl.redact import Redactor

PART = "e"

_APPENDS = 200
_EVENTS = 60_000
_ROUNDS = 5
_FOLD_S = 0.5
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
    """One synced append; the fold of a very long run, alone and from its file."""
    with tempfile.TemporaryDirectory() as name:
        yield _append(Path(name))
        yield from _fold(Path(name) / "long.jsonl")


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
        pair = in_turn(ours, lambda: timed(write_and_sync), _ROUNDS)
    finally:
        os.close(bare)
        journal.close()
    beside = f"{seconds(pair.theirs / _APPENDS)}, the same bytes ({pair.ratio:.2f} ×)"
    return Row("e", "journal append with fsync", seconds(pair.ours / _APPENDS), beside)


def _fold(path: Path) -> Iterator[Row]:
    events = [Event(1, _AT, 1, _STARTED), *(_case(number) for number in range(2, _EVENTS + 1))]
    with path.open("w") as file:
        file.writelines(json.dumps(to_json(e), separators=(",", ":")) + "\n" for e in events)
    command = [sys.executable, "-m", "bench.long_journal", str(path)]
    told = [_two(subprocess.check_output(command, cwd=ROOT, env=environ())) for _ in range(_ROUNDS)]
    whole, alone = (statistics.median(several) for several in zip(*told, strict=True))
    what = f"fold of {_EVENTS:,} events"
    yield Row("e", what, seconds(alone), "", f"≤ {seconds(_FOLD_S)}", alone <= _FOLD_S)
    beside = f"{path.stat().st_size / 1e6:.0f} MB"
    yield Row("e", "the same, read from its file", seconds(whole), beside)


def _two(out: bytes) -> tuple[float, float]:
    whole, alone = map(float, out.split())
    return whole, alone


def _case(number: int) -> Event:
    case = GradedCase(
        f"tests/test_a.py::test_{number}", CaseStatus.PASSED, 0.1, _AT, Grade.OBSERVED, "12 B out"
    )
    return Event(number, _AT, 1, CasesGraded((case,)), suite="suite")
