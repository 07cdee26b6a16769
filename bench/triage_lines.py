"""Reading a log for its cause

A service's log of 4 instances whose lines interleave: access lines, text and JSON of several
loggers, tracebacks of four languages one entry a line, lines of 20 kB; generated as it is read, and
what generating takes is left out. It is assembled, held against the shipped catalogue and grouped
into templates, as a diagnosis does it, in a process of its own; memory is the kernel's record of
the most that process had resident. Beside it, in turn, the plainest grouping there is, one regex
that masks numbers, for which a traceback is as many lines as it has and JSON is text; and what
people do by hand, looking for `error`. Flat: the time an entry takes, 1,000,000 over 10,000.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from bench.project import ROOT, environ
from bench.table import Pair, Row, in_turn, per_second

PART = "s"
_SIZES = (10_000, 100_000, 1_000_000)
_ROUNDS = {10_000: 5, 100_000: 3, 1_000_000: 1}
_LEAST = 150_000
_MOST_MB = 200
_FLAT = 1.2


def rows() -> Iterator[Row]:
    """A rate for each size beside the plain one; flatness and memory of the largest."""
    peaks: list[float] = []
    pairs = {size: _pair(size, peaks) for size in _SIZES}
    for size, pair in pairs.items():
        what = f"log entries assembled, matched and grouped, of {size:,}"
        beside = pair.beside(per_second, "one regex that masks numbers")
        if size < _SIZES[-1]:
            yield Row(PART, what, per_second(pair.ours), beside)
        else:
            met = pair.ours >= _LEAST
            yield Row(PART, what, per_second(pair.ours), beside, f"≥ {_LEAST:,} /s", met)
    flat = pairs[_SIZES[0]].ours / pairs[_SIZES[-1]].ours
    grep = per_second(_rate("grep", _SIZES[-1], []))
    yield Row(
        PART,
        "time that an entry takes among 1,000,000, over that among 10,000",
        f"{flat:.2f} ×",
        f"looking for `error` alone: {grep}",
        f"≤ {_FLAT} ×",
        flat <= _FLAT,
    )
    yield Row(
        PART,
        "peak memory over 1,000,000 log entries",
        f"{max(peaks):.0f} MB",
        "",
        f"≤ {_MOST_MB} MB",
        max(peaks) <= _MOST_MB,
    )


def _pair(size: int, peaks: list[float]) -> Pair:
    return in_turn(
        lambda: _rate("ours", size, peaks), lambda: _rate("plain", size, []), _ROUNDS[size]
    )


def _rate(who: str, size: int, peaks: list[float]) -> float:
    ran = subprocess.run(
        [sys.executable, "-m", "bench.line_reading", who, str(size)],
        cwd=ROOT,
        env=environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        raise RuntimeError(f"reading ended in {ran.returncode}\n{ran.stderr}")
    told = json.loads(ran.stdout)
    peaks.append(told["peak_mb"])
    return float(size / told["seconds"])
