"""Measuring two things in turn, and one line of the table that comes of it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Measure = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison; `ratio` is of the medians, loopctl's over the other's."""

    what: str
    ours: str
    beside: str
    theirs: str
    ratio: float
    rounds: int

    def __str__(self) -> str:
        ratio = f"{self.ratio:.2f}"
        cells = (self.what, self.ours, self.beside, self.theirs, ratio, str(self.rounds))
        return f"| {' | '.join(cells)} |"


HEADER = "| what | loopctl | beside | | ratio | rounds |\n|---|--:|---|--:|--:|--:|"


def compare(what: str, ours: Measure, beside: str, theirs: Measure, rounds: int, unit: Unit) -> Row:
    """Measure both and compare their medians."""
    mine, others = medians(ours, theirs, rounds)
    return row(what, mine, beside, others, rounds, unit)


def medians(ours: Measure, theirs: Measure, rounds: int) -> tuple[float, float]:
    """Both in turn, so that whatever else the machine does meets both."""
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def row(what: str, ours: float, beside: str, theirs: float, rounds: int, unit: Unit) -> Row:
    """A line from two numbers that were measured already."""
    return Row(what, unit(ours), beside, unit(theirs), ours / theirs, rounds)


Unit = Callable[[float], str]


def seconds(value: float) -> str:
    """Seconds for people."""
    if value >= 1:
        return f"{value:.2f} s"
    return f"{value * 1e3:.1f} ms" if value >= 1e-3 else f"{value * 1e6:.0f} µs"


def per_second(value: float) -> str:
    """A rate for people."""
    return f"{value:,.0f} /s"


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
