"""Pytest processes watched by the plugin, and the servers on this machine that their tests meet."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from websockets.sync.server import ServerConnection, serve

from loopctl import evidence
from loopctl.evidence.grade import grade
from loopctl.model.evidence import Case, Grading, Receipt
from loopctl.redact import Redactor
from loopctl.suites.progress import Progress

PLUGIN_FOLDER = Path(evidence.__file__).parent / "plugin"
SEED = "00ff"
REVISION = "chat-00001-abc"

# What every interpreter can run: the standard library and pytest.
PLAIN = r"""
import http.client, os, socket, threading, unittest.mock, urllib.request
import pytest

HTTP, ELSEWHERE = os.environ["ZOO_HTTP"], int(os.environ["ZOO_ELSEWHERE"])
PORT = int(HTTP.rpartition(":")[2])

def connect():
    return socket.create_connection(("127.0.0.1", PORT))

def ask(path, **headers):
    request = urllib.request.Request(HTTP + path, headers=headers)
    with urllib.request.urlopen(request) as answer:
        return answer.read().decode()

def test_no_contact(): pass
def test_urllib(): ask("/urllib?token=s3cr3t")
def test_own_trace(): ask("/own", traceparent="00-%s-%s-01" % ("a" * 32, "b" * 16))
def test_health(): ask("/health")
def test_connect_only(): connect().close()

def test_answer_left_unread():
    import select
    with connect() as line:
        line.sendall(b"GET /unread HTTP/1.0\r\n\r\n")
        assert select.select([line], [], [], 10)[0], "the answer is there, and nobody takes it"

def test_raw():
    with connect() as raw:
        raw.sendall(b"GET /raw HTTP/1.0\r\n\r\n")
        assert raw.recv(9)

def test_dropped_unclosed():
    connection = http.client.HTTPConnection("localhost", PORT)
    connection.request("GET", "/dropped")
    connection.getresponse()

def test_thread():
    thread = threading.Thread(target=ask, args=("/thread",))
    thread.start()
    thread.join()

@pytest.fixture(scope="session")
def held():
    connection = http.client.HTTPConnection("127.0.0.1", PORT)
    connection.request("GET", "/warm")
    connection.getresponse().read()
    yield connection
    connection.close()

def test_fixture_only(held): pass

def test_reused(held):
    held.request("GET", "/again")
    held.getresponse().read()

def test_refused_elsewhere():
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", ELSEWHERE))

def test_many():
    for _ in range(40): connect().close()
    ask("/many")

def test_child():
    import subprocess
    subprocess.run(["/bin/sh", "-c", "exit 0", "s3cr3t"], check=True)

def test_forked_child():
    child = os.fork()
    if not child:
        connect().close()
        os._exit(0)
    os.waitpid(child, 0)

def test_patched():
    with unittest.mock.patch("http.client.HTTPConnection.request"): pass

def test_spied():
    with unittest.mock.patch("socket.create_connection", wraps=socket.create_connection):
        ask("/spy")

@pytest.fixture
def faked(monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *a, **k: None)

def test_monkeypatched_in_setup(faked): pass
def test_after_the_fake_was_undone(): pass

def test_clock_and_disk_faked(monkeypatch):
    import json, time
    monkeypatch.setattr(time, "time", lambda: 0)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(json, "dumps", lambda *a, **k: "no")
    monkeypatch.setattr(os, "write", lambda *a: 1 / 0)

def test_closes_what_it_does_not_own(tmp_path):
    spool = os.environ["LOOPCTL_SPOOL"]
    for fd in range(3, 64):
        try:
            if os.readlink("/proc/self/fd/%d" % fd) == spool:
                os.close(fd)
                assert os.open(str(tmp_path / "mine"), os.O_CREAT | os.O_RDWR) == fd
        except OSError:
            pass
    ask("/closed")

@pytest.mark.xfail(reason="known")
def test_xfail(): assert 0
@pytest.mark.xfail(strict=True)
def test_xpass_strict(): pass
@pytest.mark.skip(reason="not today")
def test_skipped(): pass
def test_name_error(): undefined_name
@pytest.fixture
def broken(): raise ValueError("no database")
def test_fixture_error(broken): pass

def test_chained():
    try: ask("/nowhere", broken="\n")
    except ValueError as problem: raise RuntimeError("wrapped") from problem

def test_huge_and_dirty():
    print("\x1b[31mred")
    raise AssertionError("\udc80\x1b[0m" + "x" * 10_000_000)

@pytest.mark.parametrize("name", ["\x1b[31m", "\udc80"])
def test_dirty_id(name): pass
"""

CLIENTS = r"""
import asyncio, os
import httpx, pytest, requests, urllib3, websockets
from websockets.sync.client import connect

HTTP, WS = os.environ["ZOO_HTTP"], os.environ["ZOO_WS"]

def test_requests(): requests.get(HTTP + "/requests")
def test_urllib3(): urllib3.PoolManager().request("GET", HTTP + "/urllib3")
def test_httpx_unclosed(): httpx.Client().get(HTTP + "/httpx_unclosed")
def test_only_errors(): assert httpx.get(HTTP + "/bad").status_code == 503

def test_httpx_async():
    async def ask():
        async with httpx.AsyncClient() as client:
            await client.get(HTTP + "/httpx_async")
    asyncio.run(ask())

def test_redirect_to_another_host():
    with httpx.Client(follow_redirects=True) as client:
        client.get(HTTP + "/away")

def test_websocket():
    with connect(WS + "/websocket") as socket:
        socket.send("?")
        assert socket.recv()

def test_websocket_asyncio():
    async def ask():
        async with websockets.connect(WS + "/websocket_asyncio") as socket:
            await socket.send("?")
            assert await socket.recv()
    asyncio.run(ask())

@pytest.fixture(scope="session")
def open_socket():
    with connect(WS) as socket: yield socket

def test_open_websocket_idle(open_socket): pass
def test_open_websocket_used(open_socket):
    open_socket.send("?")
    assert open_socket.recv()

@pytest.fixture(scope="session")
def client():
    with httpx.Client() as client:
        client.get(HTTP + "/warm")
        yield client

def test_kept_alive_client(client): client.get(HTTP + "/again")

def test_mock_transport():
    httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200))).get(HTTP)
"""


@dataclass(frozen=True)
class Watched:
    """One pytest run, with the lines its plugin left and what pytest itself said."""

    python: str
    returncode: int
    output: str
    lines: list[dict[str, Any]]
    spool: Path

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["e"] == event]

    def verdicts(self) -> list[str]:
        """What `pytest -v` printed of each test, without the progress."""
        said = (line.rpartition(" [")[0] for line in self.output.splitlines())
        return [line.rstrip() for line in said if line.startswith("test_zoo.py::")]

    def phase(self, test: str, phase: str = "call") -> dict[str, Any]:
        [line] = [
            line
            for line in self.of("phase")
            if line["id"].rpartition("::")[2] == test and line["phase"] == phase
        ]
        return line

    def contact(self, test: str, phase: str = "call") -> dict[str, Any]:
        [contact] = self.phase(test, phase)["contacts"]
        assert isinstance(contact, dict)
        return contact

    def cases(self) -> dict[str, Case]:
        """What loopctl makes of the lines, by the test's name."""
        found: list[Case] = []
        progress = Progress(Redactor({}), found.append, lambda _: None, str(self.spool.parent))
        progress.take(json.loads(json.dumps(self.lines)))
        return {case.id.rpartition("::")[2]: case for case in found}

    def graded(self, target: Target, *, receipts: bool = True, alone: bool = True) -> Graded:
        """Every case with its grade, with the target's request log at hand or not."""
        return {
            name: grade(
                case,
                receipts=tuple(target.receipts) if receipts else (),
                revisions={"chat": REVISION},
                loopback_is_target=True,
                health_paths=("/health",),
                receipts_available=receipts,
                alone=alone,
            )
            for name, case in self.cases().items()
        }


Graded = Mapping[str, Grading]


class Target:
    """Servers on free ports; `seen` has every traceparent by the path that it was sent to.

    `receipts` are what a request log of the services would hold.
    """

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.seen: dict[str, list[str | None]] = defaultdict(list)
        self.environment: dict[str, str] = {}
        self.away = ""
        self.listener: object = None

    def note(self, path: str, traceparent: str | None, port: int, status: int = 200) -> None:
        """Remember a request."""
        self.seen[path].append(traceparent)
        trace = traceparent.split("-")[1] if traceparent else ""
        by: Any = "trace" if trace else "request"
        now = datetime.now(UTC)
        self.receipts.append(Receipt(trace, now, "chat", REVISION, "GET", path, status, by, port))

    def traces(self, path: str) -> list[str]:
        return [parent.split("-")[1] for parent in self.seen[path] if parent is not None]


class Listener(ThreadingHTTPServer):
    """Takes a burst of connections at once, and clients that hang up without a word on it."""

    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A test that dropped its connection is part of the zoo."""


class Answers(BaseHTTPRequestHandler):
    """Remembers the trace, and answers as the path asks."""

    protocol_version = "HTTP/1.1"
    target: Target

    def do_GET(self) -> None:
        status = {"/bad": 503, "/away": 302}.get(self.path, 200)
        parent, port = self.headers.get("traceparent"), self.client_address[1]
        # A body left unread makes the kernel reset the connection, at times before the answer came.
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server is self.target.listener:
            self.target.note(self.path, parent, port, status)
        else:
            self.target.seen[self.path].append(parent)
        self.send_response(status)
        self.send_header("Content-Length", "2")
        if status == 302:
            self.send_header("Location", self.target.away)
        self.end_headers()
        self.wfile.write(b"ok")

    do_POST = do_GET  # noqa: N815 - the base's name

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@contextmanager
def running_target() -> Iterator[Target]:
    """The target, and another server that is none of ours."""
    target = Target()

    def echo(connection: ServerConnection) -> None:
        assert connection.request is not None
        parent, port = connection.request.headers.get("traceparent"), connection.remote_address[1]
        target.note(connection.request.path, parent, port, 101)
        for message in connection:
            connection.send(message)

    answers = type("TargetAnswers", (Answers,), {"target": target})
    ours, other = (Listener(("127.0.0.1", 0), answers) for _ in range(2))
    target.listener = ours
    target.away = f"http://127.0.0.1:{other.server_port}/arrived"
    speaker = serve(echo, "127.0.0.1", 0)
    threads = [threading.Thread(target=each.serve_forever) for each in (ours, other, speaker)]
    for thread in threads:
        thread.start()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: refused for as long as we hold it
        http = f"http://127.0.0.1:{ours.server_port}"
        ws = f"ws://127.0.0.1:{speaker.socket.getsockname()[1]}"
        targets = json.dumps({"chat": {"urls": [http, ws]}})
        target.environment = {"ZOO_HTTP": http, "ZOO_WS": ws, "LOOPCTL_TARGETS": targets}
        target.environment["ZOO_ELSEWHERE"] = str(unused.getsockname()[1])
        yield target
    for server in (ours, other, speaker):
        server.shutdown()
    for thread in threads:
        thread.join(10)
    ours.server_close()
    other.server_close()


def watch(
    folder: Path,
    tests: str,
    environment: Mapping[str, str],
    *arguments: str,
    python: str = sys.executable,
) -> Watched:
    """Run pytest in a process of its own, as loopctl does."""
    (folder / "test_zoo.py").write_text(tests, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n")
    spool = folder / "spool.jsonl"
    settings = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PLUGIN_FOLDER),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # one second less a process
        "LOOPCTL_SPOOL": str(spool),
        "LOOPCTL_TRACE_SEED": SEED,
        "LOOPCTL_HEALTH_PATHS": '["/health"]',
    }
    command = [python, "-m", "pytest", "-p", "loopctl_evidence", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--tb=no", *arguments],
        cwd=folder,
        env={**settings, **environment},
        capture_output=True,
        timeout=120,
        check=False,
    )
    text = spool.read_bytes().decode("utf-8") if spool.exists() else ""
    lines = [json.loads(line) for line in text.splitlines()]
    output = done.stdout.decode("utf-8", "replace")
    return Watched(python, done.returncode, output, lines, spool)
