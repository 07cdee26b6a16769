"""The view for the log of a CI system: the plain lines, each stage folded by itself.

What went wrong in a stage is said once more below its fold, because nobody opens that who does
not know what for.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Final, TextIO

from loopctl.console.ci_commands import closing, opening
from loopctl.console.output import Output
from loopctl.console.plain import HEARTBEAT_S, PlainView
from loopctl.console.wording import lines_of
from loopctl.journal.wording import clock, count
from loopctl.model.ci_job import CiSystem
from loopctl.model.events import (
    CasesGraded,
    ChainChecked,
    ContentProven,
    Event,
    FindingMade,
    RemedyDecided,
    RunEnded,
    StageEntered,
    StageFinished,
    SuiteFinished,
)
from loopctl.model.evidence import SuiteOutcome
from loopctl.process import utc_now

_CASES: Final = 10
_OTHERS: Final = 20


class CiView:
    """Prints events to `stream` as they happen, in groups as `system` knows them."""

    def __init__(
        self,
        system: CiSystem,
        stream: TextIO,
        *,
        verbose: bool = False,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._system = system
        self._output = Output(stream)
        self._plain = PlainView(stream, verbose=verbose, heartbeat_s=heartbeat_s)
        self._lock = threading.Lock()
        self._open: str | None = None
        self._groups = 0
        self._cases: dict[str, datetime] = {}
        self._others: dict[str, datetime] = {}

    def __call__(self, event: Event) -> None:
        """Print what the event says; the result of a stage stands below its fold."""
        with self._lock:
            match event.payload:
                case StageEntered(stage=stage):
                    self._fold(event, f"loopctl: {stage.value}{_of(event)}")
                    self._plain(event)
                case StageFinished():
                    self._unfold(event.at)
                    self._plain(event)
                    self._tell()
                case RunEnded():
                    self._unfold(event.at)
                    self._plain(event)
                case _:
                    self._plain(event)
                    self._note(event)

    def close(self) -> None:
        """Stop the heartbeat; a fold that is open, as after a kill, is closed."""
        self._plain.close()
        with self._lock:
            self._unfold(utc_now())
            self._tell()

    def _fold(self, event: Event, title: str) -> None:
        self._unfold(event.at)
        self._groups += 1
        # Its time, too: GitLab folds by name, and a job may make several runs.
        self._open = f"loopctl_{event.at:%H%M%S}_{self._groups}"
        self._output.line(opening(self._system, self._open, title, event.at))

    def _unfold(self, at: datetime) -> None:
        if self._open is not None:
            self._output.line(closing(self._system, self._open, at))
            self._open = None

    def _note(self, event: Event) -> None:
        if self._open is None or not _is_telling(event):
            return
        said = self._cases if isinstance(event.payload, CasesGraded) else self._others
        for text in lines_of(event, verbose=False):
            said.setdefault(text, event.at)

    def _tell(self) -> None:
        for said, most, what in (
            (self._cases, _CASES, "failing case"),
            (self._others, _OTHERS, "line"),
        ):
            lines = [f"{clock(at)}   {text}" for text, at in said.items()]
            for line in _first(lines, most, what):
                self._output.line(line)
            said.clear()


def _of(event: Event) -> str:
    wave = f", wave {event.wave + 1}" if event.wave is not None else ""
    return f"{wave} (cycle {event.cycle})"


def _is_telling(event: Event) -> bool:
    """Whether it says what is wrong, why, or what to do about it."""
    match event.payload:
        case CasesGraded() | FindingMade() | RemedyDecided():
            return True
        case SuiteFinished(judgement=judgement):
            return judgement.outcome in (SuiteOutcome.FAILED, SuiteOutcome.UNPROVEN)
        case ContentProven(proof=proof):
            return bool(proof.broken)
        case ChainChecked(broken=broken):
            return broken is not None
        case _:
            return False


def _first(lines: Sequence[str], most: int, what: str) -> Sequence[str]:
    more = len(lines) - most
    if more <= 0:
        return lines
    return [*lines[:most], f"            … and {count(more, f'more {what}')}, in the fold above"]
