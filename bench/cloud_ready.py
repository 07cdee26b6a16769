"""When a revision on Cloud Run is ready, and when loopctl knows

Revisions that take a random time between 0.5 and 6 s to come up are deployed one after the other
on the emulator, as candidates with a tag. It stamps the moment at which a service's Ready turned
SUCCEEDED with its routes there; the other is that at which the platform's `status`, asked in the
rhythm of the health stage, is `Ready`. Beside it Google's own client, which waits by
`operation.result()`, with the same times. Calls are all that ask how far it is, from the write
until it is known, over the seconds between. In ours are those at the end that read the revision
or the service, where the operation's end did not tell; not in it is the one by which `deploy`
reads back what it made. Google's client believes the operation. The lower rows are those of a
server that does not know WaitOperation. Each way has an emulator in its own process, and all of
them run at once: they mostly wait.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.project import ROOT, environ
from bench.table import Row, seconds

PART = "p"
_REVISIONS = 20
_SHORTEST_S, _LONGEST_S = 0.5, 6.0
_SEED = 6
_MOST_S = 0.5
_MOST_CALLS = 1.0

Who = Literal["ours", "client"]
Door = Literal["grpc", "rest"]
Server = Literal["waits", "polled"]


@dataclass(frozen=True, slots=True)
class _Way:
    who: Who
    door: Door
    server: Server


@dataclass(frozen=True, slots=True)
class _Seen:
    """Seconds of delay of each revision, and calls a second while it was waited for."""

    delays: Sequence[float]
    calls: float

    @property
    def median(self) -> float:
        return statistics.median(self.delays)

    @property
    def p95(self) -> float:
        return statistics.quantiles(self.delays, n=20, method="inclusive")[-1]


_OURS = tuple(
    _Way("ours", door, server) for server in ("waits", "polled") for door in ("grpc", "rest")
)
_THEIRS = tuple(_Way("client", door, "waits") for door in ("grpc", "rest"))


def rows() -> Iterator[Row]:
    """A delay and a rate for each transport, with WaitOperation and without."""
    seen = _all(_times())
    for way in _OURS:
        yield from _rows(way, seen[way], seen[_Way("client", way.door, "waits")])


def _times() -> Sequence[float]:
    """The same in every run of the bench, and spread evenly."""
    spread = (_LONGEST_S - _SHORTEST_S) / _REVISIONS
    drawn = random.Random(_SEED)
    times = [_SHORTEST_S + spread * (n + drawn.random()) for n in range(_REVISIONS)]
    drawn.shuffle(times)
    return times


def _all(times: Sequence[float]) -> dict[_Way, _Seen]:
    running = {way: _start(way, times) for way in (*_OURS, *_THEIRS)}
    try:
        return {way: _seen(way, process) for way, process in running.items()}
    finally:
        for process in running.values():
            process.kill()
            process.communicate()


def _start(way: _Way, times: Sequence[float]) -> subprocess.Popen[str]:
    asked = [way.who, way.door, way.server, *(f"{time:.3f}" for time in times)]
    return subprocess.Popen(
        [sys.executable, "-m", "bench.cloud_waiting", *asked],
        cwd=ROOT,
        env={**environ(), "PYTHONPATH": str(ROOT / "tests")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _seen(way: _Way, process: subprocess.Popen[str]) -> _Seen:
    out, err = process.communicate(timeout=300)
    if process.returncode != 0:
        raise RuntimeError(f"{way} ended in {process.returncode}\n{out}\n{err}")
    told = json.loads(out)
    waited = sum(each["waited_s"] for each in told)
    return _Seen([each["delay_s"] for each in told], sum(each["calls"] for each in told) / waited)


def _rows(way: _Way, ours: _Seen, theirs: _Seen) -> Iterator[Row]:
    name = {"grpc": "gRPC", "rest": "REST"}[way.door]
    where = name if way.server == "waits" else f"{name}, without WaitOperation"
    yield Row(
        PART,
        f"revision ready → known, median of {len(ours.delays)}, over {where}",
        f"{seconds(ours.median)}, p95 {seconds(ours.p95)}",
        f"{seconds(theirs.median)}, p95 {seconds(theirs.p95)}, `operation.result()`"
        f" ({ours.median / theirs.median:.3f} ×)",
        f"≤ {seconds(_MOST_S)}",
        ours.median <= _MOST_S,
    )
    yield Row(
        PART,
        f"calls of the API meanwhile, over {where}",
        f"{ours.calls:.2f} /s",
        f"{theirs.calls:.2f} /s, `operation.result()` ({ours.calls / theirs.calls:.2f} ×)",
        f"≤ {_MOST_CALLS:g} /s",
        ours.calls <= _MOST_CALLS,
    )
