"""The page of a run

`report.html` of a run of 1,000 tests, of which 50 failed, with 100,000 log lines beside it: read
from the run's journal and its kept log, in a process of its own, start and imports left out;
memory is the kernel's record of the most that process had resident. Beside it, in turn and the
same way, what CI systems show: `junit.xml` of the same run, which has no log lines and no reasons.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.large_run import large_run
from bench.project import ROOT, environ
from bench.table import Row, seconds

PART = "w"
_TESTS = 1_000
_LINES = 100_000
_ROUNDS = 5
_MOST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class _Made:
    seconds: float
    peak_mb: float
    size: int


def rows() -> Iterator[Row]:
    """Time, memory and size."""
    with tempfile.TemporaryDirectory() as place:
        folder = large_run(Path(place), _TESTS, _LINES)
        rounds = [(_make("page", folder), _make("junit", folder)) for _ in range(_ROUNDS)]
    ours, theirs = (_median(list(each)) for each in zip(*rounds, strict=True))
    what = f"report.html of {_TESTS:,} tests and {_LINES:,} log lines"
    beside = f"{seconds(theirs.seconds)}, junit.xml ({ours.seconds / theirs.seconds:.1f} ×)"
    yield Row(PART, what, seconds(ours.seconds), beside)
    beside = f"{theirs.peak_mb:.0f} MB, junit.xml"
    yield Row(PART, "peak memory of the process that makes it", f"{ours.peak_mb:.0f} MB", beside)
    met = ours.size < _MOST_BYTES
    beside = f"{theirs.size / 1e3:.0f} kB, junit.xml"
    yield Row(PART, "its size", f"{ours.size / 1e3:.0f} kB", beside, "< 1 MB", met)


def _make(what: str, folder: Path) -> _Made:
    command = [sys.executable, "-m", "bench.report_making", what, str(folder)]
    told = json.loads(subprocess.check_output(command, cwd=ROOT, env=environ()))
    return _Made(told["seconds"], told["peak_mb"], told["size"])


def _median(made: list[_Made]) -> _Made:
    return _Made(
        statistics.median(each.seconds for each in made),
        statistics.median(each.peak_mb for each in made),
        made[0].size,
    )
