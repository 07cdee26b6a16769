"""A real HTTP server that takes notices as a service would: answers as told, and remembers."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from served_while import served


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request is answered; `hangs`: nothing, until the server ends."""

    status: int = 200
    body: str = "ok"
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """A request that was made."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


class WebhookServer(ThreadingHTTPServer):
    """Answers by `script`, the last of it for ever."""

    daemon_threads = True

    def __init__(self, script: Sequence[Answer], certificate: Path | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.taken: list[Taken] = []
        self.over = threading.Event()
        self._script = list(script)
        self._lock = threading.Lock()
        self._scheme = "https" if certificate else "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)

    @property
    def origin(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.server_address[1]}"

    def answer_with(self, *script: Answer) -> None:
        """From now on."""
        with self._lock:
            self._script = list(script)

    def next(self, taken: Taken) -> Answer:
        with self._lock:
            self.taken.append(taken)
            return self._script.pop(0) if len(self._script) > 1 else self._script[0]

    def handle_error(self, *_: object) -> None:
        """A client that goes away is what some of these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: WebhookServer
    protocol_version = "HTTP/1.1"

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        taken = Taken(self.command, self.path, dict(self.headers.items()), body)
        answer = self.server.next(taken)
        if answer.hangs:
            self.server.over.wait()
        if answer.hangs or answer.cut:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body.encode())))
        self.end_headers()
        self.wfile.write(answer.body.encode())

    do_POST = do_GET = _take  # noqa: N815 - named by http.server

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def webhook(*script: Answer, certificate: Path | None = None) -> Iterator[WebhookServer]:
    """A server for the time of a test."""
    server = WebhookServer(script or (Answer(),), certificate)
    with served(server):
        try:
            yield server
        finally:
            server.over.set()
