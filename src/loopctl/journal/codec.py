"""Events to JSON and back.

Payloads are plain frozen dataclasses; pydantic validates them on the way in, so that a journal
somebody edited, or one cut by a full disk, is told from a good one.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from loopctl.errors import ExitCode, LoopctlError
from loopctl.model.events import VERSION, CasesGraded, Event, Payload, Unrecognised
from loopctl.redact import Redactor

T = TypeVar("T")

KINDS: Mapping[str, type[Payload]] = {
    kind.KIND: kind for kind in get_args(Payload) if kind is not Unrecognised
}


class JournalError(LoopctlError):
    """A journal cannot be read, does not fit, or is not to be trusted."""

    exit_code = ExitCode.UNDELIVERED


_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def _adapter(payload: type) -> TypeAdapter[Any]:
    # Made when first needed: most commands read no journal, and building all costs 60 ms.
    if payload not in _ADAPTERS:
        _ADAPTERS[payload] = TypeAdapter(payload)
    return _ADAPTERS[payload]


def to_json(event: Event) -> dict[str, Any]:
    """The event as the journal stores it."""
    payload = event.payload
    if isinstance(payload, Unrecognised):
        kind, data = payload.kind, dict(payload.data)
    else:
        kind, data = payload.KIND, _adapter(type(payload)).dump_python(payload, mode="json")
    envelope = {"seq": event.seq, "at": event.at.isoformat(), "v": event.v, "kind": kind}
    if event.ran:
        envelope["ran"] = round(event.ran, 3)
    if event.cycle:
        envelope["cycle"] = event.cycle
    optional = {"wave": event.wave, "service": event.service, "suite": event.suite}
    envelope.update({key: value for key, value in optional.items() if value is not None})
    return {**envelope, "data": data}


def redacted(event: Event, redactor: Redactor) -> tuple[Event, str]:
    """The event without any secret, and its line: what is stored and what everybody sees."""
    document = _hidden(to_json(event), redactor)
    return from_json(document), json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _hidden(value: Any, redactor: Redactor) -> Any:
    """The document redacted, but for loopctl's own words.

    A secret that reads `verify` would else make the journal unreadable, and hide nothing: the
    word is in every journal.
    """
    match value:
        case str():
            return value if value in _own_words() else redactor.text(value)
        case dict():
            own = {k: _hidden(v, redactor) for k, v in value.items() if k in _own_words()}
            return own | redactor.json({k: v for k, v in value.items() if k not in own})
        case list():
            return [_hidden(item, redactor) for item in value]
        case _:
            return value


@functools.cache
def _own_words() -> frozenset[str]:
    """Names of fields, kinds of events, and every word that a field may only have one of."""
    words: set[str] = {"seq", "at", "v", "kind", "ran", "cycle", "wave", "service", "suite", "data"}
    waiting: list[Any] = list(KINDS.values())
    seen: set[Any] = set()
    while waiting:
        kind = waiting.pop()
        if kind in seen:
            continue
        seen.add(kind)
        if dataclasses.is_dataclass(kind):
            hints = get_type_hints(kind)
            names = [field.name for field in dataclasses.fields(kind)]
            words.update(names)
            waiting += [hints[name] for name in names]
        elif isinstance(kind, type) and issubclass(kind, StrEnum):
            words.update(kind)
        elif get_origin(kind) is Literal:
            words.update(get_args(kind))
        else:
            waiting += get_args(kind)
    return frozenset(words | set(KINDS))


def from_json(document: Mapping[str, Any]) -> Event:
    """Read one event. Unknown kinds are kept; raises `JournalError` on anything malformed."""
    try:
        version, kind = int(document["v"]), str(document["kind"])
        if version > VERSION or kind not in KINDS:
            payload: Payload = Unrecognised(kind, document["data"])
        else:
            payload = _adapter(KINDS[kind]).validate_python(document["data"])
        return Event(
            seq=int(document["seq"]),
            at=_moment(document["at"]),
            cycle=int(document.get("cycle", 0)),
            payload=payload,
            wave=_optional(document, "wave", int),
            service=_optional(document, "service", str),
            suite=_optional(document, "suite", str),
            v=version,
            ran=float(document.get("ran", 0.0)),
        )
    except KeyError as error:
        raise JournalError(f"not an event of a loopctl journal: {error} is missing") from error
    except (TypeError, ValueError, OverflowError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise JournalError(f"not an event of a loopctl journal: {reason}") from error


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return at


def _optional(document: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    value = document.get(name)
    if value is None or isinstance(value, kind):
        return value
    raise TypeError(f"{name} is {value!r}")


@dataclasses.dataclass(slots=True)
class _CasesLine:
    """The line of a batch of cases, the only kind that comes by the thousand."""

    seq: int
    at: str
    v: int
    kind: str
    data: CasesGraded
    cycle: int = 0
    wave: int | None = None
    service: str | None = None
    suite: str | None = None
    ran: float = 0.0

    def event(self) -> Event:
        return Event(
            seq=self.seq,
            at=_moment(self.at),
            cycle=self.cycle,
            payload=self.data,
            wave=self.wave,
            service=self.service,
            suite=self.suite,
            v=self.v,
            ran=self.ran,
        )


def _batch_of_cases(line: str) -> Event | None:
    """The event, read in one go: half the time of two. None for whatever `from_json` must judge."""
    if f'"kind":"{CasesGraded.KIND}"' not in line:
        return None
    try:
        found: _CasesLine = _adapter(_CasesLine).validate_json(line)
        return found.event() if (found.kind, found.v) == (CasesGraded.KIND, VERSION) else None
    except ValueError:
        return None


def parse(line: str) -> Event:
    """Read one line; raises `JournalError`."""
    if (cases := _batch_of_cases(line)) is not None:
        return cases
    try:
        document = json.loads(line)
    except ValueError as error:
        raise JournalError(f"not JSON: {error}") from error
    except RecursionError as error:
        raise JournalError("not an event of a loopctl journal: nested too deeply") from error
    if not isinstance(document, dict):
        raise JournalError("not a JSON object")
    return from_json(cast("dict[str, Any]", document))
