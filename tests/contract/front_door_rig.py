"""A front door in a loop of its own, and real services to stand behind it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar

import httpx
from raw_server import raw_server
from websockets.sync.server import ServerConnection, serve

from loopctl.platforms.host.front_door import FrontDoor
from loopctl.platforms.host.request_log import RequestRecord
from loopctl.platforms.host.upstreams import Upstream

WAIT_S = 10.0

Returned = TypeVar("Returned")


class DoorRig:
    """An open front door whose event loop runs in a thread, as in the host process."""

    def __init__(self) -> None:
        self.records: list[RequestRecord] = []
        self._news = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.door = FrontDoor("chat", self._log)
        self.port = self.do(self.door.open())

    def _log(self, record: RequestRecord) -> None:
        with self._news:
            self.records.append(record)
            self._news.notify_all()

    def do(self, work: Coroutine[object, object, Returned]) -> Returned:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_S)

    def route(self, *shares: tuple[Upstream, int]) -> None:
        async def switch() -> None:
            self.door.set_routes(shares)

        self.do(switch())

    def until(self, told: Callable[[list[RequestRecord]], bool]) -> list[RequestRecord]:
        """Return the records once `told` is true of them."""
        with self._news:
            assert self._news.wait_for(lambda: told(self.records), WAIT_S), self.records
            return list(self.records)

    def last(self) -> RequestRecord:
        return self.until(bool)[-1]

    def close(self) -> None:
        self.do(self.door.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()


class RawClient:
    """A client that sends exactly the bytes it is told to."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def until(self, mark: bytes) -> bytes:
        """Return what has come, up to and with `mark` somewhere in it."""
        got = b""
        while mark not in got:
            data = self.socket.recv(65536)
            assert data, f"ended without {mark!r}: {got[:500]!r}"
            got += data
        return got

    def rest(self) -> bytes:
        """Return everything up to the end of the connection."""
        got = b""
        while data := self.socket.recv(65536):
            got += data
        return got


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HttpService

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/stream":
                self._stream()
            case "/cut-length":
                self._answer(200, b"ten bytes.", {"Content-Length": "100"})
                self.close_connection = True
            case "/cut-chunked":
                self._answer(200, b"5\r\nhello\r\n", {"Transfer-Encoding": "chunked"})
                self.close_connection = True
            case "/gate":
                self.server.entered.set()
                self.server.gate.wait(WAIT_S)
                self._whole(200, self.server.revision.encode())
            case "/headers":
                self._whole(200, json.dumps(self.headers.items()).encode())
            case "/flood":
                self._flood()
            case "/nothing":
                self._answer(204, b"", {"X-Loopctl-Front-Door": "forged"})
            case "/hang-up":
                self.server.asked += 1
                self.close_connection = True
            case _:
                self._whole(200, self.server.revision.encode())

    do_HEAD = do_GET  # noqa: N815  (the library calls it by this name)

    def do_POST(self) -> None:
        if self.path == "/too-large":
            self._whole(413, b"too large")
            self.close_connection = True
            return
        if self.path == "/hang-up":
            self.server.asked += 1
        if self.path != "/hang-up":
            self._whole(200, self._body())
        self.close_connection = self.path == "/hang-up"

    def _body(self) -> bytes:
        if length := self.headers["Content-Length"]:
            return self.rfile.read(int(length))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _flood(self) -> None:
        """Send 100 MB, unless the other side stops taking them."""
        self._answer(200, b"", {"Content-Length": "100000000"})
        self.connection.settimeout(0.3)
        try:
            for _ in range(100):
                self.wfile.write(bytes(1_000_000))
        except TimeoutError:
            self.server.choked.set()
        self.close_connection = True

    def _stream(self) -> None:
        self._answer(200, b"", {"Transfer-Encoding": "chunked"})
        for _ in range(3):
            self.wfile.write(b"6\r\ndata\n\n\r\n")
            self.server.gate.wait(WAIT_S)
            self.server.gate.clear()
        self.wfile.write(b"0\r\n\r\n")

    def _whole(self, status: int, body: bytes) -> None:
        self._answer(status, body, {"Content-Length": str(len(body))})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.server.client_left.set()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the library's)
        """Say nothing."""


class HttpService(ThreadingHTTPServer):
    """A service of the standard library that answers with its revision's name."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, revision: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.revision = revision
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.client_left = threading.Event()
        self.choked = threading.Event()
        self.asked = 0
        self.upstream = Upstream(revision, "127.0.0.1", self.server_address[1])


@contextmanager
def http_service(revision: str) -> Iterator[HttpService]:
    with HttpService(revision) as service:
        thread = threading.Thread(target=service.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield service
        finally:
            service.gate.set()
            service.shutdown()
            thread.join(WAIT_S)


@contextmanager
def websocket_service(revision: str) -> Iterator[Upstream]:
    """A service that echoes with its name, and closes when it is told `close CODE REASON`."""

    def talk(connection: ServerConnection) -> None:
        for message in connection:
            if isinstance(message, str) and message.startswith("close "):
                _, code, reason = message.split(" ", 2)
                connection.close(int(code), reason)
            elif message == "vanish":
                connection.socket.shutdown(socket.SHUT_RDWR)
            else:
                connection.send(message if isinstance(message, bytes) else f"{revision}:{message}")

    with serve(talk, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Upstream(revision, "127.0.0.1", server.socket.getsockname()[1])
        finally:
            server.shutdown()
            thread.join(WAIT_S)


@contextmanager
def raw_service(revision: str, answer: bytes) -> Iterator[Upstream]:
    """A service that sends `answer` to every connection that says anything, and hangs up."""
    with raw_server(lambda connection: connection.sendall(answer)) as port:
        yield Upstream(revision, "127.0.0.1", port)


def a_door() -> Iterator[DoorRig]:
    """For a fixture: a front door that leads nowhere yet."""
    rig = DoorRig()
    yield rig
    rig.close()


def a_client(rig: DoorRig) -> Iterator[httpx.Client]:
    """For a fixture: who asks the front door."""
    with httpx.Client(base_url=rig.door.url, timeout=WAIT_S) as client:
        yield client


def a_service() -> Iterator[HttpService]:
    """For a fixture: the first revision."""
    with http_service("chat-00001") as service:
        yield service
