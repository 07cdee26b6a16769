"""A real service on this machine, for tests that need somebody to ask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from served_while import answered_by, served


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    body = b""

    def do_GET(self) -> None:
        status = 503 if self.path.startswith("/down") else 200
        self.send_response(status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(body: bytes = b'{"message": {"text": "hello"}}') -> Iterator[str]:
    """It answers every GET with `body` while the block lasts, 503 below `/down`; its URL."""
    with served(answered_by(_Answer, body=body)) as url:
        yield url
