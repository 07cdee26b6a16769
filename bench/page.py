"""The page of benchmarks: machine, date, table, and how each row is measured."""

from __future__ import annotations

import os
import platform
import re
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


def page(rows: Sequence[Row], parts: Sequence[ModuleType], before: str = "") -> str:
    """The whole page. Rows of `before`, an older page, stay where no new ones of their letter are;
    when they were measured is said.
    """
    lines = list(map(str, rows))
    letters = {_letter(line) for line in lines}
    kept = [line for line in before.splitlines() if _is_row(line) and _letter(line) not in letters]
    table = "\n".join([HEADER, *sorted([*kept, *lines], key=_letter)])
    how = "\n".join(_how(part) for part in parts)
    when = _machine()
    if kept:
        these = ", ".join(sorted(letters))
        when = f"{_measured(before)}\n\nRows {these} at another time: {when}"
    return f"{_INTRO}\n{when}\n\n{table}\n\n## How it is measured\n\n{how}"


def _is_row(line: str) -> bool:
    return re.match(r"\| [a-z] \| ", line) is not None


def _letter(line: str) -> str:
    return line[2]


def _measured(page: str) -> str:
    """What an older page says of when and where."""
    return next(line for line in page.splitlines() if line.startswith("Measured on "))


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
