"""What the evidence plugin costs a test that does nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import loopctl
from bench.table import Measure, Row, medians, row, seconds, timed

_TESTS = 200
_ROUNDS = 3
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
        ours, theirs = medians(_pytest(folder, "-p", "loopctl_evidence"), _pytest(folder), _ROUNDS)
        each = seconds((ours - theirs) / _TESTS)
        what = f"{_TESTS} tests that do nothing, `-p loopctl_evidence` (adds {each} a test)"
        yield row(what, ours, "without it", theirs, _ROUNDS, seconds)


def _pytest(folder: Path, *plugin: str) -> Measure:
    targets = '{"chat": {"urls": ["http://127.0.0.1:9"]}}'
    told = {"LOOPCTL_SPOOL": str(folder / "spool"), "LOOPCTL_TARGETS": targets}
    env = {**os.environ, "PYTHONPATH": str(_PLUGIN), **(told if plugin else {})}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin]

    def run() -> None:
        subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True, timeout=60)

    return lambda: timed(run)
