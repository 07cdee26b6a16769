"""Declarative suites against servers that say exactly what a test wants them to say."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.sync.server import ServerConnection, serve

from loopctl.evidence.grade import grade
from loopctl.model.evidence import Case, Grade, Grading, Receipt, SuiteEnd
from loopctl.model.plan import EvidenceSpec, Priority, SuiteKind, SuitePhase, SuiteSpec
from loopctl.model.references import Endpoint
from loopctl.ports.suite import Suite, SuiteContext
from loopctl.process import Stop, utc_now
from loopctl.redact import Redactor
from loopctl.suites.declared.http_suite import HttpSuite
from loopctl.suites.declared.websocket_suite import WebSocketSuite

SECRET = "s3cr3t-of-the-service-77"
Talk = Callable[[ServerConnection], None]
Answer = Callable[[socket.socket, bytes], None]


@dataclass
class Rig:
    """One declarative suite, what it is given, and what came of its last run."""

    folder: Path
    url: str
    probe: Mapping[str, Any]
    kind: SuiteKind = SuiteKind.HTTP
    test_timeout_s: float = 5.0
    suite_timeout_s: float = 20.0
    receipts: bool = True
    only: tuple[str, ...] | None = None
    baseline: Path | None = None
    token: str | None = None
    cases: list[Case] = field(default_factory=list)

    @property
    def suite(self) -> Suite:
        made = {SuiteKind.HTTP: HttpSuite, SuiteKind.WEBSOCKET: WebSocketSuite}
        return made[self.kind](Redactor({"TOKEN": SECRET}))

    @property
    def spec(self) -> SuiteSpec:
        return SuiteSpec(
            id="probe",
            title="probe",
            priority=Priority.P1,
            phase=SuitePhase.VERIFY,
            kind=self.kind,
            run="",
            cwd=Path("/nowhere"),
            suite_timeout_s=self.suite_timeout_s,
            test_timeout_s=self.test_timeout_s,
            evidence=EvidenceSpec(Grade.OBSERVED, ("chat",), receipts=self.receipts),
            probe=self.probe,
        )

    @property
    def context(self) -> SuiteContext:
        return SuiteContext(
            endpoints={"chat": Endpoint.of(self.url)},
            variables={},
            folder=self.folder / "kept",
            trace_seed="ab" * 16,
            only=self.only,
            baseline=self.baseline,
            token_files={"chat": self.token_file} if self.token else {},
        )

    @property
    def token_file(self) -> Path:
        """What the service's token is told by, as it is now."""
        path = self.folder / "chat.token"
        path.write_text(self.token or "")
        return path

    def run(self, stop: Stop | None = None, on: Callable[[Case], None] | None = None) -> SuiteEnd:
        self.cases.clear()
        take = on or self.cases.append
        return self.suite.run(self.spec, self.context, take, stop or Stop(60))

    def one(self) -> Case:
        """Run it, and the only case that came of it."""
        self.run()
        (case,) = self.cases
        return case

    def message(self) -> str:
        """Run it; why its only case failed."""
        message = self.one().message
        assert message is not None, "it passed"
        return message

    def shapes(self) -> Any:
        return json.loads((self.folder / "kept" / "shapes.json").read_text())

    def becomes_baseline(self) -> None:
        """What this run left is from now on what the last green run left."""
        self.baseline = self.folder / "green"
        self.baseline.mkdir(exist_ok=True)
        kept = (self.folder / "kept" / "shapes.json").read_bytes()
        (self.baseline / "shapes.json").write_bytes(kept)


def graded(case: Case, *receipts: Receipt) -> Grading:
    """What the case proves, by the rules that VERIFY asks."""
    return grade(
        case,
        receipts=receipts,
        revisions={"chat": "chat-1"},
        loopback_is_target=True,
        health_paths=(),
        receipts_available=bool(receipts),
    )


def receipt_of(case: Case, status: int) -> Receipt:
    """What the request log of the target has of the case's request."""
    assert case.call is not None
    assert case.call.trace is not None
    return Receipt(case.call.trace, utc_now(), "chat", "chat-1", "GET", "/x", status)


def values(case: Case, metric: str) -> list[float]:
    return [sample.value for sample in case.samples if sample.metric == metric]


def reply(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def json_reply(document: object, status: str = "200 OK") -> bytes:
    return reply(status, json.dumps(document).encode(), "Content-Type: application/json")


@contextmanager
def listening(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A TCP server: each connection is handed to `answer` with every request's head and body."""
    open_ones: list[socket.socket] = []
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:

        def talk(line: socket.socket) -> None:
            with suppress(OSError, ValueError), line:
                if tls is None:
                    while request := _request(line):
                        answer(line, request)
                    return
                with tls.wrap_socket(line, server_side=True) as secure:
                    while request := _request(secure):
                        answer(secure, request)

        def accept() -> None:
            while True:
                try:
                    line, _ = listener.accept()
                except OSError:
                    return
                open_ones.append(line)
                threads.append(threading.Thread(target=talk, args=(line,)))
                threads[-1].start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        scheme = "https" if tls else "http"
        try:
            yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for line in open_ones:
                with suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


def _request(line: socket.socket) -> bytes:
    """One whole request, by its content-length; empty when the client has gone."""
    got = b""
    while b"\r\n\r\n" not in got:
        more = line.recv(65536)
        if not more:
            return b""
        got += more
    head, _, body = got.partition(b"\r\n\r\n")
    sizes = [int(h[15:]) for h in head.lower().split(b"\r\n") if h.startswith(b"content-length:")]
    while sizes and len(body) < sizes[0]:
        body += line.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def plain_words(said: bytes) -> Iterator[int]:
    """A server that says this to the first bytes that come, whatever they are; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError), listener.accept()[0] as line:
                line.recv(65536)
                line.sendall(said)
                while line.recv(65536):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def talking(talk: Talk, **settings: Any) -> Iterator[str]:
    """A WebSocket server; the http URL under which it is known."""

    def polite(connection: ServerConnection) -> None:
        with suppress(Exception):  # the client's manners are what is tested
            talk(connection)

    with serve(polite, "127.0.0.1", 0, **settings) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's TLS with a certificate that nobody has reason to accept."""
    key, certificate = folder / "key.pem", folder / "cert.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    made += ["-nodes", "-days", "2", "-subj", "/CN=localhost"]
    made += [
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
