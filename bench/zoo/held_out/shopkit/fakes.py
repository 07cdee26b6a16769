"""Stand-ins for the shop, for when "staging is down again"."""

from __future__ import annotations

import json
import threading
from collections.abc import Awaitable, Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_PRODUCT = {"sku": "SKU-001", "name": "Coffee no. 1", "price": {"cents": 637, "currency": "EUR"}}
_ORDER = {"id": "o-fake", "user": "alice", "status": "paid", "total_cents": 637, "lines": []}


def _answer(path: str) -> tuple[int, Any]:
    if path.startswith("/api/v1/products/"):
        return 200, _PRODUCT
    if path.startswith("/api/v1/products"):
        return 200, {"products": [_PRODUCT], "page": 1, "has_more": False}
    if path.startswith("/api/v1/orders"):
        return 201, _ORDER
    return 200, {"status": "healthy", "token": "fake", "user": "alice"}


async def asgi_shop(
    scope: Any,
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    """The shop as an ASGI app in this process."""
    await receive()
    status, body = _answer(scope["path"])
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


def wsgi_shop(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The shop as a WSGI app in this process."""
    status, body = _answer(environ["PATH_INFO"])
    start_response(f"{status} OK", [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]


class _DevHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = _answer(self.path)
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def dev_server() -> tuple[ThreadingHTTPServer, str]:
    """The developer's own shop on localhost, as `make dev` starts it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _DevHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://localhost:{server.server_port}"


class MockRoomManager:
    """Answers like the room."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    async def ask(self, question: str) -> list[dict[str, Any]]:
        """Always the same good answer."""
        self.sent.append({"type": "ask", "question": question})
        return [{"type": "typing"}, {"type": "done", "text": "SKU-001 costs 637 cents."}]


class OfflineFirst:
    """Answers GETs out of its file, and asks the shop only for what is not there."""

    def __init__(self, cassette: Any, ask: Callable[[str], Any]) -> None:
        self._kept = json.loads(cassette.read_text()) if cassette.exists() else {}
        self._ask = ask

    def get(self, path: str) -> Any:
        """The kept answer, or else the shop's."""
        if path not in self._kept:
            self._kept[path] = self._ask(path)
        return self._kept[path]
