"""What the live view draws on, and what it knows beside the worklog."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from loopctl.console.lines import cut, line, text_of
from loopctl.console.marks import UNICODE, Marks
from loopctl.inert import one_line

NARROW: Final = 60
WIDE: Final = 100


@dataclass(frozen=True, slots=True)
class Moment:
    """What the worklog does not hold.

    Times so far in seconds: of the run, of the stage, and of each suite that goes on. `since` is
    when a service's health was settled. `again` are the suites that run again, with what for.
    `said` is the last thing that happened, `logged` the last telling line of a log.
    """

    elapsed_s: float = 0.0
    stage_s: float = 0.0
    suites_s: Mapping[str, float] = field(default_factory=dict)
    since: Mapping[str, datetime] = field(default_factory=dict)
    again: Mapping[str, str] = field(default_factory=dict)
    said: str = ""
    logged: str = ""


@dataclass(frozen=True, slots=True)
class Canvas:
    """Columns and rows, the terminal's signs, and what the last line says all the time."""

    width: int
    height: int = 1000
    marks: Marks = UNICODE
    hint: str = ""

    @property
    def is_narrow(self) -> bool:
        """Whether there is room for what matters most, and no more."""
        return self.width < NARROW

    @property
    def is_wide(self) -> bool:
        """Whether there is room for what is nice to know."""
        return self.width >= WIDE

    def shown(self, text: str, limit: int) -> str:
        """Text of others on one line, inert, in the characters that the terminal has."""
        codec = self.marks.codec
        return one_line(text, limit).encode(codec, "backslashreplace").decode(codec)

    def name(self, text: str, width: int) -> str:
        """The same in at most `width` columns, without telling how much is missing."""
        return text_of(cut(line(self.shown(text, 4 * width)), width, self.marks.cut))
