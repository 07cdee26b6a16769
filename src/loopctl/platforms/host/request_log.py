"""The request log of a front door: one record for each request, one more when a tunnel closes.

A record never holds a query string, a header other than the user agent, or a body: those carry
tokens. What else may carry one, a path say, is redacted by `RequestRecord.hiding` before it meets
the disk. All text in it comes from strangers; `RequestRecord.to_json` is plain ASCII.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Literal

import h11

Peer = Literal["client", "service"]
Event = Literal["request", "open", "close"]

_LONGEST_METHOD: Final = 100
_LONGEST_PATH: Final = 2000
_LONGEST_AGENT: Final = 200
_TRACEPARENT: Final = re.compile(
    rb"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-[0-9a-f]{2}"
    rb"(?P<more>-.*)?"
)


@dataclass(frozen=True, slots=True)
class WsClose:
    """The first close frame of a WebSocket connection, and which side sent it."""

    code: int
    reason: str
    by: Peer


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One line of the request log.

    `event` is `request` for a plain exchange; a WebSocket connection leaves `open` at its 101
    and `close` at its end. `at` (UTC) is when the request's head was complete; `latency_s` runs
    from there to the end of the answer's head (None: there was none), `duration_s` to the moment
    the record was written. `bytes_in` and `bytes_out` count body bytes from and to the client, for
    a tunnel the raw bytes behind the handshake. `revision` is None when no upstream was chosen.
    `status` is what the client was sent, None when it got no head. `trace` is the 32 hex digits
    of a valid W3C `traceparent`. `error` is None for an exchange that went well, else one word:
    the mark of the front door's own answer, `client-gone`, `upstream-closed`,
    `upstream-protocol`, `front-door-closed`, or `front-door-fault` for a fault of our own.
    """

    event: Event
    at: datetime
    service: str
    revision: str | None
    method: str
    path: str
    status: int | None
    latency_s: float | None
    duration_s: float
    bytes_in: int
    bytes_out: int
    trace: str | None
    user_agent: str | None
    remote_port: int
    upgraded: bool
    ws_close: WsClose | None
    error: str | None

    def hiding(self, hidden: Callable[[str], str]) -> RequestRecord:
        """Return the record as it may be kept: texts without secrets, and only then cut to size.

        Half a secret at a cut could not be recognised any more.
        """
        close = self.ws_close
        return replace(
            self,
            method=hidden(self.method)[:_LONGEST_METHOD],
            path=hidden(self.path)[:_LONGEST_PATH],
            user_agent=self.user_agent and hidden(self.user_agent)[:_LONGEST_AGENT],
            ws_close=close and replace(close, reason=hidden(close.reason)),
        )

    def to_json(self) -> str:
        """Return the record as one line of JSON, ASCII only, without a line break."""
        return json.dumps({**asdict(self), "at": self.at.isoformat().replace("+00:00", "Z")})


RequestLog = Callable[[RequestRecord], None]


@dataclass(slots=True)
class OpenRequest:
    """What is known so far of a request that is still going on; it becomes a `RequestRecord`."""

    service: str
    remote_port: int
    method: str = ""
    path: str = ""
    trace: str | None = None
    user_agent: str | None = None
    revision: str | None = None
    status: int | None = None
    latency_s: float | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    upgraded: bool = False
    ws_close: WsClose | None = None
    error: str | None = None
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _started: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, request: h11.Request, service: str, remote_port: int) -> OpenRequest:
        """Begin the record of `request`, whose head has just been read."""
        headers = dict(request.headers)
        agent = headers.get(b"user-agent")
        return cls(
            service=service,
            remote_port=remote_port,
            method=inert(request.method),
            path=path_only(request.target),
            trace=trace_id([value for name, value in request.headers if name == b"traceparent"]),
            user_agent=inert(agent) if agent is not None else None,
        )

    def answered(self, status: int) -> None:
        """Note that the answer's head is complete."""
        self.status = status
        self.latency_s = time.monotonic() - self._started

    def record(self, event: Event) -> RequestRecord:
        """Return what is known now."""
        return RequestRecord(
            event=event,
            at=self.at,
            service=self.service,
            revision=self.revision,
            method=self.method,
            path=self.path,
            status=self.status,
            latency_s=self.latency_s,
            duration_s=time.monotonic() - self._started,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            trace=self.trace,
            user_agent=self.user_agent,
            remote_port=self.remote_port,
            upgraded=self.upgraded,
            ws_close=self.ws_close,
            error=self.error,
        )


def trace_id(traceparents: list[bytes]) -> str | None:
    """Return the trace id of the one valid `traceparent`, or None (W3C Trace Context, 3.2.2)."""
    match = _TRACEPARENT.fullmatch(traceparents[0]) if len(traceparents) == 1 else None
    if match is None or match["version"] == b"ff" or (match["version"] == b"00" and match["more"]):
        return None
    if not match["trace"].strip(b"0") or not match["span"].strip(b"0"):
        return None
    return match["trace"].decode("ascii")


def path_only(target: bytes) -> str:
    """Return the path of a request target: no query, no authority."""
    path = re.split(rb"[?#]", target, maxsplit=1)[0]
    if b"://" in path and not path.startswith(b"/"):
        path = b"/" + path.split(b"://", 1)[1].partition(b"/")[2]
    return inert(path)


def inert(raw: bytes) -> str:
    """Return a stranger's bytes as text that no terminal acts upon."""
    text = raw.decode("ascii", "backslashreplace")
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
