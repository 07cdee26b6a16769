"""What the live view keeps of a run: its worklog, and the times that stand in no worklog."""

from __future__ import annotations

import time
from collections import deque
from datetime import datetime
from typing import Final

from loopctl.console.canvas import Moment
from loopctl.console.wording import lines_of, repeat_of
from loopctl.inert import one_line
from loopctl.journal.fold import WorklogFold
from loopctl.journal.wording import clock
from loopctl.journal.worklog import Worklog
from loopctl.model.events import (
    CasesGraded,
    Event,
    HealthJudged,
    Intent,
    NovelLine,
    Result,
    RunResumed,
    RunStarted,
    StageEntered,
    StageFinished,
    SuiteFinished,
    SuiteStarted,
)
from loopctl.process import utc_now

_SAID: Final = ("log", "build", "probe")
"""The kinds of quotes that somebody has said: others are computed, or have lines of their own."""


_RECENT: Final = 100
"""Events among which one has something to say."""


class Course:
    """Takes every event from `run.started` on, as it happens or all of the past at once.

    Times are those of the run itself (`Event.ran`), so that they are the same for whoever attaches
    to it later.
    """

    def __init__(self) -> None:
        self._fold = WorklogFold()
        self._begun = False
        self._ran = 0.0
        self._at = time.monotonic()
        self._stage_began = 0.0
        self._suites: dict[str, float] = {}
        self._since: dict[str, datetime] = {}
        self._again: dict[str, str] = {}
        self._recent: deque[Event] = deque(maxlen=_RECENT)
        self._said = ""
        self._logged = ""

    def add(self, event: Event) -> None:
        """Take one event."""
        self._fold.add(event)
        self._begun = True
        # An event of the past: the run has gone on since it was written.
        ago = max(0.0, (utc_now() - event.at).total_seconds())
        self._ran, self._at = event.ran, time.monotonic() - ago
        self._note_times(event)
        self._note_repeat(event)
        self._note_lines(event)

    def _note_times(self, event: Event) -> None:
        match event.payload:
            case StageEntered():
                self._stage_began = event.ran
            case RunResumed() | StageFinished():
                self._suites.clear()
            case SuiteStarted() if event.suite is not None:
                self._suites[event.suite] = event.ran
            case SuiteFinished() if event.suite is not None:
                self._suites.pop(event.suite, None)
            case HealthJudged() if event.service is not None:
                self._since[event.service] = event.at
            case _:
                return

    def _note_repeat(self, event: Event) -> None:
        """Which suites are being run again, and no more."""
        if event.suite is None:
            return
        match event.payload:
            case Intent(effect="suite") as intent if again := repeat_of(intent):
                self._again[event.suite] = again
            case Result(effect="suite"):
                self._again.pop(event.suite, None)
            case _:
                return

    def _note_lines(self, event: Event) -> None:
        match event.payload:
            case NovelLine(quote=quote) if not self._logged:
                # The first of them tells the most.
                self.log(event.service, quote)
            case StageFinished(faults=faults):
                for fault in faults:
                    for each in fault.quotes:
                        if each.kind in _SAID:
                            self.log(fault.service, each.quote)
            case _:
                pass
        match event.payload:
            case RunStarted() | CasesGraded():
                # Cases that did not pass have lines of their own.
                return
            case _:
                self._recent.append(event)

    def log(self, service: str | None, text: str, at: datetime | None = None) -> None:
        """A line of a log that tells something; the last one is shown."""
        about = " ".join(filter(None, (one_line(service or "", 63), clock(at) if at else "")))
        self._logged = f"{about}: {one_line(text, 400)}" if about else one_line(text, 400)

    def worklog(self) -> Worklog | None:
        """As of the last event; None before the first."""
        return self._fold.snapshot() if self._begun else None

    def moment(self) -> Moment:
        """As of now."""
        elapsed = self._ran + time.monotonic() - self._at
        # Not before somebody looks: the past of a long run comes all at once.
        said = (text for event in reversed(self._recent) for text in lines_of(event, verbose=False))
        self._said = next(said, self._said)
        self._recent.clear()
        return Moment(
            elapsed_s=elapsed,
            stage_s=elapsed - self._stage_began,
            suites_s={name: elapsed - began for name, began in self._suites.items()},
            since=dict(self._since),
            again=dict(self._again),
            said=self._said,
            logged=self._logged,
        )
