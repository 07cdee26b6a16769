"""Reading the files that a host writes: log captures and request logs, as they grow."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, TypeVar

from loopctl.errors import PortError
from loopctl.model.logs import LogEntry, RequestEntry
from loopctl.platforms.host.client import HostClient
from loopctl.platforms.host.control import Fields, ProtocolError
from loopctl.platforms.host.durable import read_json
from loopctl.ports.logs import LogError
from loopctl.process import ProcessId, Stop, is_alive

T = TypeVar("T", bound=str)

_STREAMS: Final[tuple[Literal["stdout", "stderr", "system"], ...]] = ("stdout", "stderr", "system")
_EVENTS: Final[tuple[Literal["request", "open", "close"], ...]] = ("request", "open", "close")
_SIDES: Final[tuple[Literal["client", "service"], ...]] = ("client", "service")


@dataclass(frozen=True, slots=True)
class Mark:
    """A record of the host about its own record-keeping; what each kind means is said there."""

    kind: str
    at: datetime
    count: int = 0


@dataclass(frozen=True, slots=True)
class LogLine:
    """A captured line and what the host says beside it.

    `behind` is the offset of the next line. `started_by` is the process of the host that has just
    started the revision, `ended`: the process's end was captured, `dropped` counts lines that are
    missing before this one, `full`: from here on only the end is kept.
    """

    entry: LogEntry
    behind: int
    started_by: int | None = None
    ended: bool = False
    dropped: int = 0
    full: bool = False


def log_lines(file: Path, service: str, offset: int = 0) -> Iterator[LogLine]:
    """The captured lines from `offset` on. Raises `OSError`."""
    for fields, behind in _whole_lines(file, offset):
        with contextlib.suppress(ProtocolError, ValueError):
            yield _log_line(fields, service, behind)


def request_lines(file: Path, offset: int = 0) -> Iterator[tuple[RequestEntry | Mark, int]]:
    """The records of a request log, each with the offset behind it. Raises `OSError`."""
    for fields, behind in _whole_lines(file, offset):
        with contextlib.suppress(ProtocolError, ValueError):
            yield _request_line(fields), behind


def _whole_lines(file: Path, offset: int) -> Iterator[tuple[Fields, int]]:
    """Each line that is complete and JSON: another was cut by a crash, or is being written."""
    with file.open("rb") as lines:
        lines.seek(offset)
        for line in lines:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            with contextlib.suppress(ProtocolError, ValueError):
                yield Fields(json.loads(line), file.name), offset


def _log_line(fields: Fields, service: str, behind: int) -> LogLine:
    entry = LogEntry(
        at=datetime.fromisoformat(fields.text("t")),
        service=service,
        revision=fields.text("revision"),
        stream=_one_of(_STREAMS, fields.text("stream"), "stream"),
        text=fields.text("text"),
        number=fields.whole("n"),
    )
    if entry.stream != "system":
        return LogLine(entry, behind)
    facts = fields.names()
    return LogLine(
        entry,
        behind,
        started_by=fields.whole("host") if "host" in facts else None,
        ended="code" in facts,
        dropped=fields.whole("dropped") if "dropped" in facts else 0,
        full="full" in facts,
    )


def _request_line(fields: Fields) -> RequestEntry | Mark:
    if fields.text_or_none("mark") is not None:
        at = datetime.fromisoformat(fields.text("t"))
        return Mark(fields.text("mark"), at, int(fields.number("count", 0)))
    close = fields.part_or_none("ws_close")
    status = fields.number("status", -1)
    event = _one_of(_EVENTS, fields.text("event"), "event")
    return RequestEntry(
        at=datetime.fromisoformat(fields.text("at")),
        service=fields.text("service"),
        revision=fields.text_or_none("revision") or "",
        method=fields.text("method"),
        path=fields.text("path"),
        status=None if status < 0 else int(status),
        event=event,
        latency_s=fields.number("latency_s", 0.0),
        trace=fields.text_or_none("trace"),
        close_code=None if close is None else close.whole("code"),
        close_reason=None if close is None else close.text("reason"),
        closed_by=None if close is None else _one_of(_SIDES, close.text("by"), "side"),
        age_s=fields.number("duration_s") if event == "close" else None,
        error=fields.text_or_none("error"),
        remote_port=fields.whole("remote_port"),
    )


def state_folder(host: HostClient, stop: Stop) -> Path:
    """Where an environment's captures are. Raises `LogError`."""
    try:
        return host.state(stop)
    except PortError as error:
        raise LogError(error.what, where=error.where, hint=error.hint) from None


def living_host(state: Path) -> int | None:
    """The process of the host that owns a state folder, None when it has ended.

    Raises `OSError` when the record of it cannot be read.
    """
    fields = read_json(state / "host.json")
    with contextlib.suppress(ProtocolError):
        if fields is not None:
            host = ProcessId(fields.whole("pid"), fields.whole("started"))
            return host.pid if is_alive(host) else None
    return None


def _one_of(known: Sequence[T], text: str, what: str) -> T:
    for each in known:
        if each == text:
            return each
    raise ProtocolError(f"no {what} is called {text!r}")
