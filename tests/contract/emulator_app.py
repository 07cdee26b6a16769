"""A service for the emulator's own tests: what it does is in its environment and in the path."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        match self.path.strip("/").partition("/")[0]:
            case "environment":
                self.answer(json.dumps(dict(os.environ)))
            case "pid":
                self.answer(str(os.getpid()))
            case "headers":
                self.answer(json.dumps(dict(self.headers.items())))
            case "die":
                os._exit(5)
            case "hang":
                time.sleep(60)
            case "chunks":
                self.chunks()
            case "raw":
                self.raw()
            case _:
                self.answer(f"{os.environ['K_REVISION']} {self.path}")

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.answer(self.rfile.read(length).decode())

    def answer(self, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def chunks(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for word in (b"one", b"two"):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(word), word))
        self.wfile.write(b"0\r\n\r\n")

    def raw(self) -> None:
        """Another protocol: every byte comes back in upper case."""
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", "shout")
        self.end_headers()
        while data := self.connection.recv(1024):
            self.connection.sendall(data.upper())
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    for line in os.environ.get("SAY", "").splitlines():
        print(line, flush=True)
    for line in os.environ.get("SAY_ERROR", "").splitlines():
        print(line, file=sys.stderr, flush=True)
    if "EXIT" in os.environ:
        sys.exit(int(os.environ["EXIT"]))
    if "DEAF" in os.environ:
        signal.pause()
    if "EAT_MIB" in os.environ:
        kept = [b"x" * 2**20 for _ in range(int(os.environ["EAT_MIB"]))]
        signal.pause()
        del kept
    ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()


if __name__ == "__main__":
    main()
