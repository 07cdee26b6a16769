"""A server that runs while a block lasts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer


@contextmanager
def served(server: HTTPServer) -> Iterator[str]:
    """Its address; whoever holds a request back lets it go before the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answered_by(handler: type[BaseHTTPRequestHandler], **known: object) -> ThreadingHTTPServer:
    """A server on a port of its own; `known` is what its handlers find in themselves."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), known))
    server.daemon_threads = True
    return server
