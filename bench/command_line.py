"""How long a person waits for the short commands."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.table import Measure, Row, compare, seconds, timed

ROOT = Path(__file__).parents[1]


def rows() -> Iterator[Row]:
    """`--version` beside one import of typer; `validate` beside an empty interpreter."""
    version = _python("-m", "loopctl", "--version")
    yield compare(
        "`loopctl --version`",
        version,
        '`python -c "import typer"`',
        _python("-c", "import typer"),
        5,
        seconds,
    )
    yield compare(
        "`loopctl validate golden-path`",
        _python("-m", "loopctl", "validate", "golden-path"),
        '`python -c "pass"`',
        _python("-c", "pass"),
        3,
        seconds,
    )


def _python(*arguments: str) -> Measure:
    def run() -> None:
        subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True, timeout=60
        )

    return lambda: timed(run)
