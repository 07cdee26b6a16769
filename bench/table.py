"""Measuring two things in turn, and one line of the table that comes of it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Measure = Callable[[], float]
Unit = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured, what it is held against, and the limit; `met` is None without a limit."""

    part: str
    what: str
    measured: str
    beside: str = ""
    limit: str = ""
    met: bool | None = None

    def __str__(self) -> str:
        verdict = {True: "met", False: "**not met**", None: ""}[self.met]
        cells = (self.part, self.what, self.measured, self.beside, self.limit, verdict)
        return f"| {' | '.join(cells)} |"


def skipped(part: str, what: str, why: str) -> Row:
    """The line of something that cannot be measured on this machine."""
    return Row(part, what, "–", f"not measured: {why}")


HEADER = "| | what | measured | beside it, in the same run | limit | |\n|---|---|--:|---|---|---|"


@dataclass(frozen=True, slots=True)
class Pair:
    """The medians of two things that were measured in turn over several rounds."""

    ours: float
    theirs: float

    @property
    def ratio(self) -> float:
        """Ours over theirs."""
        return self.ours / self.theirs

    def beside(self, unit: Unit, what: str) -> str:
        """The other one in words, with the ratio."""
        return f"{unit(self.theirs)}, {what} ({self.ratio:.2f} ×)"


def in_turn(ours: Measure, theirs: Measure, rounds: int) -> Pair:
    """Both in every round, so that whatever else the machine does meets both."""
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    return Pair(statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs))


def seconds(value: float) -> str:
    """Seconds for people."""
    if abs(value) >= 1:
        return f"{value:.2f} s"
    return f"{value * 1e3:.1f} ms" if abs(value) >= 1e-3 else f"{value * 1e6:.0f} µs"


def per_second(value: float) -> str:
    """A rate for people."""
    return f"{value:,.0f} /s"


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
