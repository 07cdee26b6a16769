"""The cases of a declarative suite: their names, and what each came to."""

from __future__ import annotations

import functools
import json
import string
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from loopctl.inert import one_line
from loopctl.model.evidence import (
    Case,
    CaseStatus,
    Contact,
    HttpExchange,
    PhaseRecord,
    Sample,
    TestPhase,
)
from loopctl.model.references import Endpoint
from loopctl.process import utc_now
from loopctl.redact import Redactor
from loopctl.suites.event_redaction import EventRedaction
from loopctl.suites.suite_environment import filled

_LONGEST_OUTPUT = 8000
_LONGEST_RAW = 64 * 1024
_LONGEST_MESSAGE = 500
_RAW_MESSAGE = _LONGEST_MESSAGE + 1024
# What a secret that is longer than that is made of, where it stands on one line.
_OF_TOKENS = string.ascii_letters + string.digits + "+/=._~%-"


class Clean:
    """Makes text of services fit to be shown: secrets redacted first, then short and inert.

    `name` redacts the name of a field, `kind` makes that of a sort of message fit: both remember,
    as the same ones come again and again.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self.name = EventRedaction(redactor).text
        self.kind = functools.lru_cache(maxsize=4096)(self._kind)

    def line(self, text: str, limit: int = 200) -> str:
        """One line."""
        # What is cut off here is far behind what is shown: no half of a secret can be seen.
        return one_line(self._redactor.text(text[:_LONGEST_RAW]), limit)

    def field(self, text: str) -> str:
        """A value, or names of fields, within a sentence."""
        return self.line(text, 120)

    def output(self, text: str) -> str:
        """What a case leaves to be read, its beginning if it is long."""
        return self._redactor.text(text[:_LONGEST_RAW])[:_LONGEST_OUTPUT]

    def transcript(self, messages: Iterable[str]) -> str:
        """What was said, a message a line, each its beginning if it is long."""
        # Redacted all at once where nothing has to be cut, which might leave half a secret.
        whole = (m if len(m) <= _LONGEST_MESSAGE else self._cut(m) for m in messages)
        return self._redactor.text("\n".join(whole))

    def _cut(self, message: str) -> str:
        return self._redactor.text(kept(message))[:_LONGEST_MESSAGE] + "…"

    def _kind(self, text: str) -> str:
        return one_line(self.name(text))


def kept(message: str) -> str:
    """As much of a message as is kept until it is redacted, without half a secret at its end."""
    if len(message) <= _RAW_MESSAGE:
        return message
    return f"{message[:_RAW_MESSAGE].rstrip(_OF_TOKENS)}…"


@dataclass(slots=True)
class Running:
    """One case from its start to its end. `faults` are why it has failed, none when it passed."""

    id: str
    trace: str | None = None
    started_at: datetime = field(default_factory=utc_now)
    contacts: tuple[Contact, ...] = ()
    exchanges: tuple[HttpExchange, ...] = ()
    samples: list[Sample] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    output: str = ""
    _began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self._began

    def ended(self) -> Case:
        """The case, now that all is known of it."""
        return self._case(CaseStatus.FAILED if self.faults else CaseStatus.PASSED)

    def timed_out(self, suite_timeout_s: float) -> Case:
        """The case when the suite's time was up."""
        self.faults.insert(0, f"still running when the suite's {suite_timeout_s:g} s were up")
        return self._case(CaseStatus.TIMEOUT)

    def _case(self, status: CaseStatus) -> Case:
        took = self.seconds
        phase = PhaseRecord(
            phase=TestPhase.CALL,
            outcome="failed" if self.faults else "passed",
            duration_s=took,
            trace=self.trace,
            contacts=self.contacts,
            exchanges=self.exchanges,
            began=self.started_at,
            ended=utc_now(),
        )
        return Case(
            id=self.id,
            status=status,
            duration_s=took,
            started_at=self.started_at,
            message="; ".join(self.faults) or None,
            output=self.output,
            phases=(phase,),
            samples=(*self.samples, Sample("error", 1.0 if self.faults else 0.0)),
        )


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """The names in their order; of two alike the second gets ` (2)`."""
    taken: dict[str, None] = {}
    for wanted in names:
        name, number = wanted, 1
        while name in taken:
            number += 1
            name = f"{wanted} ({number})"
        taken[name] = None
    return tuple(taken)


def filled_in(value: object, endpoints: Mapping[str, Endpoint], where: str) -> object:
    """A value of the loop file with its `${services.…}` filled in, however deep they stand.

    Raises `SuiteError` for a service that has no address.
    """
    match value:
        case str():
            return filled(value, endpoints, where)
        case Mapping():
            return {name: filled_in(inner, endpoints, where) for name, inner in value.items()}
        case list() | tuple():
            return [filled_in(inner, endpoints, where) for inner in value]
        case _:
            return value


def chosen(ids: Sequence[str], only: Sequence[str] | None) -> tuple[frozenset[str], list[str]]:
    """The ids to run, and those to be run that are not of this suite."""
    if only is None:
        return frozenset(ids), []
    return frozenset(only).intersection(ids), [name for name in only if name not in set(ids)]


def as_json(value: object) -> str:
    """A value of the loop file as it is sent."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
