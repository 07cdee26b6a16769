"""Reading Cloud Logging

A revision's 100,000 lines in the emulator of Cloud Logging, a process of its own, read to the end
over gRPC and REST: in order, redacted, cut into lines, within pages of 1,000 entries. Beside it, in
turn, Google's own client over gRPC and plain HTTP and JSON over REST, which keep and redact
nothing. The budget of reads a minute is lifted for this, on both sides; with Google's default of 60
a hundred pages take about a minute. Memory is the kernel's record of the most that the reading
process had resident. Emulator and reader share the cores.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.project import ROOT, environ
from bench.table import Row, in_turn, per_second

PART = "o"
_ENTRIES = 100_000
_ROUNDS = 3
_MOST_MB = 150


def rows() -> Iterator[Row]:
    """A rate and the memory for each transport."""
    yield from _read("grpc", "gRPC", "client", "Google's client, nothing redacted")
    yield from _read("rest", "REST", "json", "JSON alone, nothing redacted")


def _read(transport: str, name: str, other: str, beside: str) -> Iterator[Row]:
    peaks: list[float] = []
    with _emulator(transport) as port:
        pair = in_turn(
            lambda: _rate("ours", transport, port, peaks),
            lambda: _rate(other, transport, port, []),
            _ROUNDS,
        )
    what = f"log entries read over {name}"
    yield Row(PART, what, per_second(pair.ours), pair.beside(per_second, beside))
    yield Row(
        PART,
        f"peak memory of reading {_ENTRIES:,} entries over {name}",
        f"{max(peaks):.0f} MB",
        "",
        f"≤ {_MOST_MB} MB",
        max(peaks) <= _MOST_MB,
    )


def _rate(who: str, transport: str, port: int, peaks: list[float]) -> float:
    ran = subprocess.run(
        [sys.executable, "-m", "bench.log_reading", who, transport, str(port)],
        cwd=ROOT,
        env=environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        raise RuntimeError(f"reading ended in {ran.returncode}\n{ran.stderr}")
    told = json.loads(ran.stdout)
    if told["entries"] != _ENTRIES:
        raise RuntimeError(f"{told['entries']} of {_ENTRIES} entries were read")
    peaks.append(told["peak_mb"])
    return float(told["entries"] / told["seconds"])


@contextmanager
def _emulator(transport: str) -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-m", "bench.log_emulator", transport, str(_ENTRIES)],
        cwd=ROOT,
        env={**environ(), "PYTHONPATH": str(ROOT / "tests")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()
