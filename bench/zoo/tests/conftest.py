"""Where the target is, as any suite reads it; a stand-in that answers what the target would."""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest


@pytest.fixture(scope="session")
def base_url() -> str:
    """The target, over HTTP."""
    return os.environ["BASE_URL"]


@pytest.fixture(scope="session")
def ws_url() -> str:
    """The target, over WebSockets."""
    return os.environ["WS_URL"]


@pytest.fixture(scope="session")
def grpc_address() -> str:
    """HOST:PORT of the gRPC service."""
    return os.environ["GRPC_ADDRESS"]


@pytest.fixture
def key() -> str:
    """One that nobody has used."""
    return uuid.uuid4().hex


class _Standin(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        text = parse_qs(urlsplit(self.path).query).get("text", [""])[0]
        told = {"status": "healthy", "text": text, "reversed": text[::-1], "length": len(text)}
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def standin_url() -> Iterator[str]:
    """A server of the suite's own that answers as the target does."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Standin)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
