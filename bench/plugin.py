"""The evidence plugin

pytest over 1,000 tests that do nothing, with `-p loopctl_evidence` and without; the difference of
the medians over the number of tests. What the plugin costs a start of pytest is in it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import loopctl
from bench.project import environ
from bench.table import Measure, Row, in_turn, seconds, timed

PART = "g"
_TESTS = 1_000
_ROUNDS = 5
_EACH_S = 0.0006
_PLUGIN = Path(loopctl.__file__).parent / "evidence" / "plugin"


def rows() -> Iterator[Row]:
    """A suite of no-op tests with the plugin and without."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_nothing.py").write_text(
            "import pytest\n\n"
            f"@pytest.mark.parametrize('n', range({_TESTS}))\n"
            "def test_nothing(n):\n    pass\n"
        )
        observed, bare = _pytest(folder, "-p", "loopctl_evidence"), _pytest(folder)
        in_turn(observed, bare, 1)
        pair = in_turn(observed, bare, _ROUNDS)
        each = (pair.ours - pair.theirs) / _TESTS
        yield Row(
            "g",
            f"plugin, of {_TESTS:,} tests that do nothing, each",
            seconds(each),
            f"{seconds(pair.ours)} with it, {seconds(pair.theirs)} without",
            f"≤ {seconds(_EACH_S)}",
            each <= _EACH_S,
        )


def _pytest(folder: Path, *plugin: str) -> Measure:
    spool = folder / "spool"
    targets = json.dumps({"chat": {"urls": ["http://127.0.0.1:9"]}})
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
