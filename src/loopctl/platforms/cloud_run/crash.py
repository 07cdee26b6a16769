"""How a container ended before it was ready: a condition says that it did, its log says how.

The lines: facts/cloud-run.md section 2.4. They are there some seconds after the condition.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from loopctl.errors import PortError, Stopped
from loopctl.inert import one_line
from loopctl.model.artifact import Revision
from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.platforms.cloud_run.clients import Clients
from loopctl.platforms.cloud_run.log_entries import Logged, logged
from loopctl.platforms.cloud_run.log_filter import STDERR, STDOUT, SYSTEM, View
from loopctl.platforms.cloud_run.log_reader import LogReader
from loopctl.process import Stop
from loopctl.redact import Redactor

_LONGEST: Final = 500
_BEFORE: Final = timedelta(minutes=1)
_LOOK_EVERY_S: Final = 2.0
_LOOK_FOR_S: Final = 12.0
_LAST_WORDS: Final = timedelta(seconds=10)
_LAST_WORDS_S: Final = 5.0

_EXIT: Final = re.compile(r"Container called exit\((?P<code>-?\d+)\)")
_SIGNAL: Final = re.compile(r"Container terminated on signal (?P<signal>\d+)")
_MEMORY: Final = re.compile(r"Memory limit of .{1,40} exceeded|using too much memory")
_COMMAND: Final = re.compile(r"Application exec likely failed|failed to resolve binary path")
_PROBE: Final = re.compile(r"STARTUP \w+ probe failed")


class Autopsy(Protocol):
    """Looks how the container of a revision ended."""

    def __call__(self, revision: Revision, fault: Fault, stop: Stop) -> Fault:
        """The fault, said more exactly where the log tells how it came about."""
        ...


@dataclass(frozen=True, slots=True)
class LogAutopsy:
    """Reads the platform's own lines of the revision, and then what it said itself before it ended.

    What cannot be read is not told.
    """

    clients: Clients
    reader: LogReader
    redactor: Redactor

    def __call__(self, revision: Revision, fault: Fault, stop: Stop) -> Fault:
        """Waits some seconds for lines that come late; an unread log changes nothing."""
        found: Sequence[Logged] = ()
        try:
            with stop.child(_LOOK_FOR_S) as limited:
                while not _decides(found := self._lines(revision, limited)):
                    limited.wait(_LOOK_EVERY_S)
        except Stopped:
            stop.remaining(0)
        except PortError:
            return fault
        return self._said(revision, fault, found, stop)

    def _lines(self, revision: Revision, stop: Stop) -> Sequence[Logged]:
        view = View(self.clients.place, revision.service, revision.name, (SYSTEM,))
        query = view.between(revision.created_at - _BEFORE, None)
        return [logged(entry) for page in self.reader.pages(query, stop) for entry in page]

    def _said(self, revision: Revision, fault: Fault, lines: Sequence[Logged], stop: Stop) -> Fault:
        for line in lines:
            text = one_line(self.redactor.text(line.text), limit=_LONGEST)
            quote = Quote("log", f"varlog/system of {revision.name}", text)
            exact = _exact(revision.service, line.text, text)
            if exact is not None:
                kind, summary, value = exact
                quotes = (quote, *self._last_words(revision, line.at, stop), *fault.quotes)
                hint = f"its last words: gcloud run services logs read {revision.service}"
                return replace(
                    fault, kind=kind, summary=summary, value=value, quotes=quotes, hint=hint
                )
        return fault

    def _last_words(self, revision: Revision, end: datetime, stop: Stop) -> Sequence[Quote]:
        """The last line that it wrote itself, rather to stderr than to stdout: of plain lines no
        severity tells which matters.
        """
        view = View(self.clients.place, revision.service, revision.name, (STDERR, STDOUT))
        query = view.between(end - _LAST_WORDS, end + _LAST_WORDS)
        last: dict[str, Logged] = {}
        try:
            with stop.child(_LAST_WORDS_S) as limited:
                for page in self.reader.pages(query, limited):
                    said = (logged(entry) for entry in page)
                    last.update({line.stream: line for line in said if line.text.strip()})
        except Stopped:
            stop.remaining(0)
        except PortError:
            return ()
        found = last.get("stderr", last.get("stdout"))
        if found is None:
            return ()
        text = one_line(self.redactor.text(found.text.splitlines()[-1]), limit=_LONGEST)
        return (Quote("log", f"{found.stream} of {revision.name}", text),)


def _exact(name: str, raw: str, text: str) -> tuple[FaultKind, str, str | None] | None:
    """Kind, summary and value of the fault that one line tells of."""
    if (found := _EXIT.search(raw)) is not None:
        code = found["code"]
        return FaultKind.EXIT_CODE, f"{name}: its process ended with exit code {code}", code
    if (found := _SIGNAL.search(raw)) is not None:
        number = found["signal"]
        return FaultKind.SIGNAL, f"{name}: its process was killed by signal {number}", number
    if _MEMORY.search(raw):
        return FaultKind.OUT_OF_MEMORY, f"{name}: {text}", None
    if _COMMAND.search(raw):
        return FaultKind.NEVER_READY, f"{name}: its command could not be run: {text}", None
    return None


def _decides(lines: Sequence[Logged]) -> bool:
    """Whether enough is there: how it ended, or that its probe had no answer for all its time."""
    if any(_exact("", each.text, "") for each in lines):
        return True
    return any(_PROBE.search(each.text) and "CANCELLED" not in each.text for each in lines)
