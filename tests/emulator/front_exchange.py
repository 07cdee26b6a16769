"""One request at a front door: what is told of it, and its answer."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import h11
from google.logging.type.http_request_pb2 import HttpRequest

from emulator.http_peer import HttpPeer, header
from emulator.listener import Listener


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace id of 32 hex digits, a span id of 16."""

    trace: str
    span: str


@dataclass(slots=True)
class Exchange:
    """A request and the sizes and the status of its answer, as far as it has come."""

    peer: HttpPeer
    request: h11.Request
    listener: Listener
    began: float = 0.0
    received: int = 0
    sent: int = 0
    status: int = 0

    def __post_init__(self) -> None:
        self.began = time.monotonic()

    @property
    def target(self) -> str:
        return self.request.target.decode("latin-1")

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    def header(self, name: str) -> str:
        return header(self.request.headers.raw_items(), name) or ""

    @property
    def upgrades(self) -> bool:
        """Whether it asks to speak another protocol from now on, as WebSockets do."""
        wanted = [part.strip().lower() for part in self.header("connection").split(",")]
        return "upgrade" in wanted and bool(self.header("upgrade"))

    def trace(self) -> Trace:
        """The caller's trace, or a new one."""
        parent = self.header("traceparent").split("-")
        if len(parent) >= 4 and len(parent[1]) == 32:
            return Trace(parent[1], parent[2])
        google, _, rest = self.header("x-cloud-trace-context").partition("/")
        if len(google) == 32:
            span = rest.partition(";")[0]
            return Trace(google, f"{int(span):016x}" if span.isdigit() else secrets.token_hex(8))
        return Trace(secrets.token_hex(16), secrets.token_hex(8))

    def answer(self, status: int, page: bytes, content_type: str = "text/html") -> None:
        """An answer of the platform's own."""
        self.status, self.sent = status, len(page)
        kind = f"{content_type}; charset=UTF-8".encode()
        headers = [(b"content-type", kind), (b"server", b"Google Frontend")]
        self.peer.respond(status, headers, page)

    def told(self) -> HttpRequest:
        """The request as the log has it."""
        remote, _ = self.peer.address
        told = HttpRequest(
            request_method=self.request.method.decode(),
            request_url=f"http://{self.header('host')}{self.target}",
            request_size=self.received + len(self.target),
            status=self.status,
            response_size=self.sent,
            user_agent=self.header("user-agent"),
            remote_ip=remote,
            server_ip="127.0.0.1",
            referer=self.header("referer"),
            protocol=f"HTTP/{self.request.http_version.decode()}",
        )
        told.latency.FromNanoseconds(int((time.monotonic() - self.began) * 1e9))
        return told
