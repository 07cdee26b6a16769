"""How a container ended before it was ready: a condition says that it did, its log says how.

The lines: facts/cloud-run.md section 2.4. They are there some seconds after the condition.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final, Protocol

from loopctl.errors import PortError, Stopped
from loopctl.inert import one_line
from loopctl.model.artifact import Revision
from loopctl.model.endings import ending_of
from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.platforms.cloud_run.clients import Clients
from loopctl.platforms.cloud_run.log_entries import Logged, logged
from loopctl.platforms.cloud_run.log_filter import STDERR, STDOUT, SYSTEM, View
from loopctl.platforms.cloud_run.log_reader import LogReader
from loopctl.process import Stop, utc_now
from loopctl.redact import Redactor

_LONGEST: Final = 500
_BEFORE: Final = timedelta(minutes=1)
_LOOK_EVERY_S: Final = 2.0
_LOOK_FOR_S: Final = 12.0
_AGED: Final = timedelta(minutes=10)
"""A revision fails within its probes' time; so long after it was made no line of it comes late."""

_LAST_WORDS: Final = 5
_LAST_WORDS_S: Final = 5.0
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
            with stop.child(_share(_LOOK_FOR_S, stop)) as limited:
                while not _decides(found := self._lines(revision, limited)):
                    if _is_old(revision):
                        break
                    limited.wait(_LOOK_EVERY_S)
        except Stopped:
            stop.remaining(0)
        except PortError:
            return fault
        return self._said(revision, fault, found, self._last_words(revision, stop))

    def _lines(self, revision: Revision, stop: Stop) -> Sequence[Logged]:
        query = self._query(revision, SYSTEM)
        return [logged(entry) for page in self.reader.pages(query, stop) for entry in page]

    def _last_words(self, revision: Revision, stop: Stop) -> Sequence[Quote]:
        """The last lines that it wrote itself, rather to stderr than to stdout: of plain lines no
        severity tells which matters. One page is read, however much it wrote.
        """
        page: Sequence[Any] = ()
        try:
            with stop.child(_share(_LAST_WORDS_S, stop)) as limited:
                query = self._query(revision, STDERR, STDOUT)
                # They may be ingested after the line that tells the end, whose entry came first.
                while not (page := self._newest(query, limited)):
                    if _is_old(revision):
                        break
                    limited.wait(_LOOK_EVERY_S)
        except Stopped:
            stop.remaining(0)
        except PortError:
            return ()
        said = [line for line in map(logged, page) if line.text.strip()]
        shown = [line for line in said if line.stream == "stderr"] or said
        return [
            Quote(
                "log",
                f"{line.stream} of {revision.name}",
                # Of a traceback, which is one entry, the last line tells what was raised.
                self._line(line.text.strip().splitlines()[-1]),
            )
            for line in shown[:_LAST_WORDS][::-1]
        ]

    def _newest(self, query: str, stop: Stop) -> Sequence[Any]:
        """The first page that holds anything: one may be empty and yet not be the last."""
        return next(filter(None, self.reader.pages(query, stop, newest_first=True)), ())

    def _query(self, revision: Revision, *logs: str) -> str:
        view = View(self.clients.place, revision.service, revision.name, logs)
        return view.between(revision.created_at - _BEFORE, None)

    def _line(self, text: str) -> str:
        return one_line(self.redactor.text(text), limit=_LONGEST)

    def _said(
        self, revision: Revision, fault: Fault, lines: Sequence[Logged], words: Sequence[Quote]
    ) -> Fault:
        for line in lines:
            text = self._line(line.text)
            quote = Quote("log", f"varlog/system of {revision.name}", text)
            exact = _exact(revision.service, line.text, text)
            if exact is not None:
                kind, summary, value = exact
                quotes = (quote, *words, *fault.quotes)
                place = self.clients.place
                hint = (
                    f"its last words: gcloud run services logs read {revision.service} "
                    f"--region={place.region} --project={place.project}"
                )
                return replace(
                    fault, kind=kind, summary=summary, value=value, quotes=quotes, hint=hint
                )
        return replace(fault, quotes=(*words, *fault.quotes))


def _share(most_s: float, stop: Stop) -> float:
    """Half of the time that is left at the most: what the condition tells must not be lost."""
    return min(most_s, stop.remaining(2 * most_s) / 2)


def _is_old(revision: Revision) -> bool:
    """Whether what it has logged is there by now, or never will be."""
    return utc_now() - revision.created_at > _AGED


def _exact(name: str, raw: str, text: str) -> tuple[FaultKind, str, str | None] | None:
    """Kind, summary and value of the fault that one line tells of."""
    ending = ending_of(raw)
    if ending is None:
        return None
    if ending.kind is FaultKind.NEVER_READY:
        return ending.kind, f"{name}: {ending.words}: {text}", ending.value
    return ending.kind, f"{name}: {ending.words or text}", ending.value


def _decides(lines: Sequence[Logged]) -> bool:
    """Whether enough is there: how it ended, or that its probe had no answer for all its time."""
    if any(_exact("", each.text, "") for each in lines):
        return True
    return any(_PROBE.search(each.text) and "CANCELLED" not in each.text for each in lines)
