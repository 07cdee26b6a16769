"""The evidence plugin

pytest over 1,000 tests that do nothing, with `-p loopctl_evidence` and without; the difference of
the medians over the number of tests. What the plugin costs a start of pytest is in it. Then 20
tests that connect 500 times each to a listener of this machine and close again: the difference over
the number of connects.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import loopctl
from bench.project import environ
from bench.table import Measure, Pair, Row, in_turn, seconds, timed

PART = "g"
_TESTS = 1_000
_ROUNDS = 5
_EACH_S = 0.0006
_CONNECTING_TESTS = 20
_CONNECTS = 500
_CONNECT_S = 0.0001
_PLUGIN = Path(loopctl.__file__).parent / "evidence" / "plugin"


def rows() -> Iterator[Row]:
    """Tests that do nothing, and tests that connect, with the plugin and without."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "test_nothing.py").write_text(
            "import pytest\n\n"
            f"@pytest.mark.parametrize('n', range({_TESTS}))\n"
            "def test_nothing(n):\n    pass\n"
        )
        pair = _beside(Path(name), "http://127.0.0.1:9")
        each = (pair.ours - pair.theirs) / _TESTS
        yield _row(f"plugin, of {_TESTS:,} tests that do nothing, each", each, pair, _EACH_S)
    with tempfile.TemporaryDirectory() as name, _listener() as port:
        (Path(name) / "test_connects.py").write_text(
            "import socket, pytest\n\n"
            f"@pytest.mark.parametrize('n', range({_CONNECTING_TESTS}))\n"
            "def test_connects(n):\n"
            f"    for _ in range({_CONNECTS}):\n"
            f"        socket.create_connection(('127.0.0.1', {port})).close()\n"
        )
        connects = _CONNECTING_TESTS * _CONNECTS
        pair = _beside(Path(name), f"http://127.0.0.1:{port}")
        each = (pair.ours - pair.theirs) / connects
        yield _row(f"plugin, of {connects:,} connects to the target, each", each, pair, _CONNECT_S)


def _row(what: str, each: float, pair: Pair, limit: float) -> Row:
    beside = f"{seconds(pair.ours)} with it, {seconds(pair.theirs)} without"
    return Row("g", what, seconds(each), beside, f"≤ {seconds(limit)}", each <= limit)


def _beside(folder: Path, target: str) -> Pair:
    observed, bare = _pytest(folder, target, "-p", "loopctl_evidence"), _pytest(folder, target)
    in_turn(observed, bare, 1)
    return in_turn(observed, bare, _ROUNDS)


@contextlib.contextmanager
def _listener() -> Iterator[int]:
    """A port of this machine that accepts and closes."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)

    def accept() -> None:
        with contextlib.suppress(OSError):  # it was shut down
            while True:
                listening.accept()[0].close()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def _pytest(folder: Path, target: str, *plugin: str) -> Measure:
    spool = folder / "spool"
    targets = json.dumps({"chat": {"urls": [target]}})
    told = {"LOOPCTL_SPOOL": str(spool), "LOOPCTL_TARGETS": targets} if plugin else {}
    path = os.pathsep.join(filter(None, (str(_PLUGIN), os.environ.get("PYTHONPATH"))))
    env = environ(PYTHONPATH=path, **told)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin]

    def run() -> None:
        subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True, timeout=60)

    def measure() -> float:
        spool.unlink(missing_ok=True)
        return timed(run)

    return measure
