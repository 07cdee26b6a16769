"""What pytest's own output is made of, line by line. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

SECTION: Final = re.compile(r"={3,} (?P<name>.+?) ={3,}$|=+ (?P<short>[A-Za-z ]+) =+$")
BLOCK: Final = re.compile(r"_{3,} (?P<name>\S.*?) _{3,}$")
CAPTURED: Final = re.compile(r"-{3,} (?:Captured|Live) .+? -{3,}$")
COLLECTED: Final = re.compile(r"(?:collecting .{0,20}? )?collected (?P<count>\d{1,9}) items?\b")
DESELECTED: Final = re.compile(r"/ (?P<count>\d{1,9}) deselected")
SHORT: Final = re.compile(r"(?P<word>FAILED|ERROR) (?P<id>\S+(?:\[.*?\])?)(?: - (?P<said>.*))?$")
PROGRESS: Final = re.compile(
    r"(?:\[gw\d+\] (?:\[ *\d+%\] )?)?(?P<id>\S+\.py::\S+) "
    r"(?P<word>PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS|RERUN)\b"
)
PLACE: Final = re.compile(
    r"(?P<file>[^\s:][^:]*\.py):(?P<line>\d{1,9}):(?: in (?P<function>\S+)| (?P<type>[\w.]+))?\s*$"
)
RAISED: Final = re.compile(r"(?P<type>[A-Za-z_][\w.]*): ?(?P<said>.*)$")
_ENDED: Final = re.compile(
    r"=* ?(?:(?P<none>no tests ran)|(?P<counts>\d+ [a-z]+(?:, \d+ [a-z]+)*)) in "
    r"(?P<seconds>\d{1,9}(?:\.\d{0,9})?)(?:s|\x20seconds)(?: \([\d:]+\))? ?=*$"
)
_COUNT: Final = re.compile(r"(\d{1,9}) ([a-z]+)")
_WORDS: Final = {"errors": "error", "warnings": "warning", "reruns": "rerun"}


@dataclass(frozen=True, slots=True)
class Ended:
    """The last line of a session: how many ended how, and how long it took."""

    counts: dict[str, int]
    seconds: float

    @property
    def collected(self) -> int:
        """How many tests were run, or skipped."""
        words = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")
        return sum(self.counts.get(word, 0) for word in words)


@dataclass(slots=True)
class Block:
    """One failure as pytest prints it below its name."""

    name: str
    is_error: bool
    number: int
    lines: list[str] = field(default_factory=list)
    output: list[str] = field(default_factory=list)


def ended(text: str) -> Ended | None:
    """The line that ends a session; None for any other."""
    match = _ENDED.match(text)
    if match is None:
        return None
    found = {_WORDS.get(word, word): int(n) for n, word in _COUNT.findall(match["counts"] or "")}
    known = ("passed", "failed", "error", "skipped", "deselected", "xfailed", "xpassed", "warning")
    if match["counts"] and not any(word in found for word in known):
        return None
    return Ended(found, float(match["seconds"]))
