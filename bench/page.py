"""The page of benchmarks: machine, date, table, and how each row is measured."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from bench.table import HEADER, Row

_INTRO = """\
# What loopctl costs

`make bench` measures it, each row beside its alternative, all in one run; this page is written by
`python -m bench --write docs/benchmarks.md`. Where two things are compared they are measured in
turn, and their medians stand in the table. All load goes to 127.0.0.1.
"""


def page(rows: Sequence[Row], parts: Sequence[ModuleType]) -> str:
    """The whole page."""
    table = "\n".join([HEADER, *map(str, rows)])
    how = "\n".join(_how(part) for part in parts)
    return f"{_INTRO}\n{_machine()}\n\n{table}\n\n## How it is measured\n\n{how}"


def _machine() -> str:
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    return (
        f"Measured on {day}: {os.cpu_count()} cores of {_processor()}, {_memory_gb():.0f} GB,"
        f" {platform.system()} {platform.release()}, {platform.python_implementation()}"
        f" {platform.python_version()}."
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def _how(part: ModuleType) -> str:
    """A module's own words: the first line names the rows, the others say how."""
    title, _, text = (part.__doc__ or "").partition("\n")
    letters = " ".join(f"({letter})" for letter in part.PART)
    return f"### {letters} {title}\n\n{text.strip()}\n"
