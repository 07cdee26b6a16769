"""The front door

A front door in a process of its own, as in the host, writing its request log; an asyncio service
with nothing in it; a client of one asyncio loop over plain sockets. Latency is of one connection,
the rate of eight, through the door and straight to the service in turn. Then traffic is moved to
another service and back 20 times under eight connections: the gap is the longest time in which no
user was answered; beside it stands the same load on a bare service while nothing moves. The three
processes share the cores, so the rate is that of all of them together.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.load import Load, load
from bench.project import ROOT, environ
from bench.table import Row, per_second, seconds

PART = "f"

_CONNECTIONS = 8
_ROUNDS = 3
_ROUND_S = 1.5
_PROMOTIONS = 20
_GAP_S = 0.05
_ADDED_S = 0.001


def rows() -> Iterator[Row]:
    """Promotions under load; latency and rate through the door beside the bare service."""
    with ExitStack() as stack:
        log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "requests.jsonl"
        services = [stack.enter_context(_process("bench.bare_service")) for _ in range(2)]
        ports = [port for port, _ in services]
        door, process = stack.enter_context(_process("bench.door", str(log), *map(str, ports)))
        yield from _promoted(door, ports[0], process)
        yield _latency(door, ports[0])
        yield _rate(door, ports[0])


def _latency(door: int, bare: int) -> Row:
    through, straight = _in_turn(door, bare, 1, _ROUND_S / 2)
    ours, theirs = _p50(through), _p50(straight)
    return Row(
        "f",
        "latency that the front door adds, p50",
        seconds(ours - theirs),
        f"{seconds(ours)} through it, {seconds(theirs)} straight",
        f"≤ {seconds(_ADDED_S)}",
        ours - theirs <= _ADDED_S,
    )


def _rate(door: int, bare: int) -> Row:
    through, straight = _in_turn(door, bare, _CONNECTIONS, _ROUND_S)
    ours, theirs = (statistics.median(one.rate for one in loads) for loads in (through, straight))
    what = f"requests a second through the front door, {_CONNECTIONS} connections"
    beside = f"{per_second(theirs)}, the bare service ({ours / theirs:.2f} ×)"
    return Row("f", what, per_second(ours), beside)


def _in_turn(
    door: int, bare: int, connections: int, duration_s: float
) -> tuple[list[Load], list[Load]]:
    through, straight = [], []
    for _ in range(_ROUNDS):
        through.append(asyncio.run(load(door, connections, duration_s)))
        straight.append(asyncio.run(load(bare, connections, duration_s)))
    return through, straight


def _promoted(door: int, bare: int, process: subprocess.Popen[str]) -> Iterator[Row]:
    async def moving() -> Load:
        asking = asyncio.ensure_future(load(door, _CONNECTIONS, 2.5))
        assert process.stdin is not None
        for _ in range(_PROMOTIONS):
            await asyncio.sleep(0.1)
            process.stdin.write("promote\n")
            process.stdin.flush()
        return await asking

    moved = asyncio.run(moving())
    still = asyncio.run(load(bare, _CONNECTIONS, 2.5))
    what = f"failed requests in {_PROMOTIONS} promotions under {_CONNECTIONS} connections"
    beside = f"of {moved.failed + len(moved.latencies):,}"
    yield Row("f", what, str(moved.failed), beside, "0", moved.failed == 0)
    yield Row(
        "f",
        "longest gap in them",
        seconds(moved.longest_gap_s),
        f"{seconds(still.longest_gap_s)}, the bare service while nothing moves",
        f"≤ {seconds(_GAP_S)}",
        moved.longest_gap_s <= _GAP_S,
    )


def _p50(loads: list[Load]) -> float:
    return statistics.median(statistics.median(one.latencies) for one in loads)


@contextmanager
def _process(module: str, *arguments: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environ(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline()), process
        finally:
            process.kill()
