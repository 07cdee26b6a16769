"""What the front door adds to a request, and what a promotion under load does to users."""

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
from bench.table import Row, per_second, row, seconds

ROOT = Path(__file__).parents[1]
_CONNECTIONS = 8
_ROUNDS = 3
_ROUND_S = 1.5
_PROMOTIONS = 20


def rows() -> Iterator[Row]:
    """Latency and rate through the door beside the bare service; then promotions under load."""
    with ExitStack() as stack:
        log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "requests.jsonl"
        services = [stack.enter_context(_process("bench.bare_service")) for _ in range(2)]
        ports = [port for port, _ in services]
        door, process = stack.enter_context(_process("bench.door", str(log), *map(str, ports)))
        yield from _added(door, ports[0])
        yield _promoted(door, ports[0], process)


def _added(door: int, bare: int) -> Iterator[Row]:
    through, straight = [], []
    for _ in range(_ROUNDS):
        through.append(asyncio.run(load(door, 1, _ROUND_S / 2)))
        straight.append(asyncio.run(load(bare, 1, _ROUND_S / 2)))
    ours, theirs = _p50(through), _p50(straight)
    what = f"a request through the front door, p50 (adds {seconds(ours - theirs)})"
    yield row(what, ours, "straight to the service", theirs, _ROUNDS, seconds)
    through, straight = [], []
    for _ in range(_ROUNDS):
        through.append(asyncio.run(load(door, _CONNECTIONS, _ROUND_S)))
        straight.append(asyncio.run(load(bare, _CONNECTIONS, _ROUND_S)))
    rates = [statistics.median(one.rate for one in loads) for loads in (through, straight)]
    what = f"requests through the front door, {_CONNECTIONS} connections"
    yield row(what, rates[0], "straight to the service", rates[1], _ROUNDS, per_second)


def _promoted(door: int, bare: int, process: subprocess.Popen[str]) -> Row:
    """The longest time in which no user was answered, while traffic moves again and again."""

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
    what = (
        f"longest gap in {_PROMOTIONS} promotions under load "
        f"({moved.failed} of {moved.failed + len(moved.latencies):,} requests failed)"
    )
    beside = f"the bare service, nothing moved ({still.failed} failed)"
    return row(what, moved.longest_gap_s, beside, still.longest_gap_s, 1, seconds)


def _p50(loads: list[Load]) -> float:
    return statistics.median(statistics.median(one.latencies) for one in loads)


@contextmanager
def _process(module: str, *arguments: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline()), process
        finally:
            process.kill()
