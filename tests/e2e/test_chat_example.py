"""The example service itself: sound without a FAULT, broken as told with one."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "chat"
SECRET = "a-secret-of-this-test-9f8e7d6c"
PASSWORD = "a password for tests"


@dataclass(frozen=True, slots=True)
class RunningChat:
    """A chat process of this test's own, its output going to a file."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def ws_url(self, path: str = "") -> str:
        return f"ws://127.0.0.1:{self.port}{path}"

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def get(self, path: str, **headers: str) -> httpx.Response:
        return httpx.get(self.url(path), headers=headers, timeout=8, trust_env=False)

    def wait_for_line(self, pattern: str, seconds: float = 10) -> re.Match[str]:
        """The first match in the log; fails with the whole log when it does not come."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.output())):
            assert time.monotonic() < deadline, f"no {pattern!r} in:\n{self.output()}"
            assert self.process.poll() is None or re.search(pattern, self.output()), self.output()
            time.sleep(0.02)
        return found

    def wait_until_listening(self) -> int:
        """The port it says it listens on."""
        return int(self.wait_for_line(r"listening on http://127\.0\.0\.1:(\d+)")[1])

    def exit_code(self) -> int:
        return self.process.wait(10)

    def token(self) -> str:
        account = {"user": f"u{time.monotonic_ns()}", "password": PASSWORD}
        with httpx.Client(base_url=self.url(), timeout=8, trust_env=False) as client:
            assert client.post("/signup", json=account).status_code == 201
            return str(client.post("/login", json=account).json()["token"])

    def socket(self, token: str) -> ClientConnection:
        return connect(
            self.ws_url(f"/ws?token={token}"), open_timeout=8, close_timeout=5, proxy=None
        )


Start = Callable[..., RunningChat]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts chat processes and ends their groups, whatever the test does."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(fault: str = "", **env: str) -> RunningChat:
        port, log = free_port(), tmp_path / f"chat-{len(started)}.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", "chat"],
                cwd=EXAMPLE,
                env=os.environ
                | {"PORT": str(port), "JWT_SECRET": SECRET, "FAULT": fault}
                | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
                | env,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        started.append(process)
        return RunningChat(process, port, log)

    yield begin
    for process in started:
        end_group(process)


def end_group(process: subprocess.Popen[bytes]) -> None:
    # Once reaped, the pid may be somebody else's: only a child we have not waited for is killed.
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def closes_with(code: int, reason: str) -> Iterator[None]:
    with pytest.raises(ConnectionClosed) as closed:
        yield
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, reason)


def receive(connection: ClientConnection) -> dict[str, object]:
    return dict(json.loads(connection.recv(timeout=8)))


@pytest.mark.slow
def test_without_a_fault_its_own_suites_pass(start: Start) -> None:
    chat = start()
    chat.wait_until_listening()
    suites = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=EXAMPLE,
        env={**os.environ, "BASE_URL": chat.url(), "WS_URL": chat.ws_url()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output = suites.communicate(timeout=60)[0].decode()
    finally:
        end_group(suites)
    assert suites.returncode == 0, output + chat.output()
    assert re.search(r"^[3-9]\d passed in", output, re.MULTILINE), output
    assert "skipped" not in output
    assert "Traceback" not in chat.output()
    assert SECRET not in chat.output()
    assert "eyJ" not in chat.output(), "a token was logged"


def test_health_names_the_revision_it_was_told(start: Start) -> None:
    chat = start(K_REVISION="chat-00007-abc")
    chat.wait_until_listening()
    assert chat.get("/health").json() == {"status": "healthy", "revision": "chat-00007-abc"}


@pytest.mark.slow
def test_sigterm_finishes_the_answer_in_flight_and_exits_0(start: Start) -> None:
    chat = start("slow")
    chat.wait_until_listening()
    with socket.create_connection(("127.0.0.1", chat.port), timeout=8) as client:
        client.sendall(b"GET /agents HTTP/1.1\r\nHost: test\r\n\r\n")
        # The kernel has the bytes; an idle connection beside it must not hold up the end.
        with socket.create_connection(("127.0.0.1", chat.port), timeout=8):
            assert_taken_up(chat)
            chat.process.send_signal(signal.SIGTERM)
            answer = b""
            while data := client.recv(65536):
                answer += data
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer.lower()
    assert chat.exit_code() == 0


def assert_taken_up(chat: RunningChat) -> None:
    """A round trip of a connection opened later, so that the earlier ones are being served."""
    with socket.create_connection(("127.0.0.1", chat.port), timeout=8) as probe:
        probe.sendall(b"not http\r\n\r\n")
        assert probe.recv(4096).startswith(b"HTTP/1.1 400")


def test_sigterm_closes_open_sockets_as_going_away(start: Start) -> None:
    chat = start()
    chat.wait_until_listening()
    with chat.socket(chat.token()) as connection:
        assert receive(connection)["type"] == "connection_established"
        chat.process.send_signal(signal.SIGTERM)
        with closes_with(1001, "going away"):
            connection.recv(timeout=8)
    assert chat.exit_code() == 0


def test_what_is_not_http_is_refused_and_leaves_no_traceback(start: Start) -> None:
    chat = start()
    chat.wait_until_listening()
    long_path = b"GET /" + b"a" * 14_000 + b" HTTP/1.1\r\nHost: test\r\n\r\n"
    exchanges = [
        (b"GARBAGE\r\n\r\n", b"HTTP/1.1 400"),
        (b"HEAD /health HTTP/1.1\r\nHost: test\r\n\r\n", b"HTTP/1.1 405"),
        (b"POST /login HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\n{", b"HTTP/1.1 400"),
        (long_path, b"HTTP/1.1 404"),
    ]
    for sent, answered in exchanges:
        with socket.create_connection(("127.0.0.1", chat.port), timeout=8) as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            assert client.recv(65536).startswith(answered), sent[:40]
    assert chat.get("/health").status_code == 200
    assert "Traceback" not in chat.output()
    assert max(map(len, chat.output().splitlines())) < 400


def test_a_port_in_use_is_said_and_exits_1(start: Start) -> None:
    first = start()
    first.wait_until_listening()
    second = start(PORT=str(first.port))
    assert second.exit_code() == 1
    assert "ERROR startup failed: " in second.output()
    assert "address already in use" in second.output()
    assert "Traceback" not in second.output()


def test_a_missing_secret_is_named_and_exits_1(start: Start) -> None:
    chat = start(JWT_SECRET="")
    assert chat.exit_code() == 1
    assert "ERROR startup failed: JWT_SECRET is required" in chat.output()


def test_an_unknown_fault_is_refused_with_those_that_exist(start: Start) -> None:
    chat = start("exit-4")
    assert chat.exit_code() == 2
    assert "FAULT='exit-4' is not known; choose one of: exit-3, import-error" in chat.output()
    assert "listening" not in chat.output()


@pytest.mark.parametrize(
    ("fault", "code", "line"),
    [
        ("exit-3", 3, r"^ERROR Application startup failed: .* Exiting\.$"),
        ("import-error", 1, r"^RuntimeError: WebSocket manager creation requires valid UserExec.*"),
        ("missing-config", 1, r"^ERROR .*JWT_SECRET_STAGING required in staging environment$"),
    ],
)
def test_a_fault_at_start_ends_the_process_with_its_code_and_line(
    start: Start, fault: str, code: int, line: str
) -> None:
    chat = start(fault)
    assert chat.exit_code() == code
    assert re.search(line, chat.output(), re.MULTILINE), chat.output()
    assert "listening" not in chat.output()
    assert SECRET not in chat.output()


def test_import_error_strikes_while_modules_are_imported(start: Start) -> None:
    chat = start("import-error")
    assert chat.exit_code() == 1
    assert "Traceback (most recent call last):" in chat.output()
    assert "in <module>" in chat.output()
    assert "starting" not in chat.output()


def test_wrong_port_listens_elsewhere_and_says_where(start: Start) -> None:
    chat = start("wrong-port")
    listening = chat.wait_until_listening()
    assert listening != chat.port
    with pytest.raises(httpx.ConnectError):
        chat.get("/health")
    elsewhere = f"http://127.0.0.1:{listening}/health"
    assert httpx.get(elsewhere, timeout=8, trust_env=False).status_code == 200


def test_health_307_redirects_health_and_nothing_else(start: Start) -> None:
    chat = start("health-307")
    chat.wait_until_listening()
    answer = chat.get("/health")
    assert answer.status_code == 307
    assert answer.headers["location"] == f"https://127.0.0.1:{chat.port}/health"
    assert chat.get("/agents").status_code == 200
    chat.wait_for_line(r'request method="GET" path="/health" status=307')


def test_503_after_healthy_is_healthy_for_two_seconds_only(start: Start) -> None:
    chat = start("503-after-healthy")
    chat.wait_until_listening()
    first = time.monotonic()
    assert chat.get("/health").status_code == 200
    chat.wait_for_line("ERROR lost the connection to the message store")
    assert time.monotonic() - first >= 1.9
    assert [chat.get(path).status_code for path in ("/health", "/agents", "/nowhere")] == [503] * 3
    with pytest.raises(InvalidStatus) as refused, chat.socket("any"):
        pass
    assert refused.value.response.status_code == 503


def test_ws_1000_closes_each_socket_at_once(start: Start) -> None:
    chat = start("ws-1000")
    chat.wait_until_listening()
    assert chat.get("/health").status_code == 200
    with chat.socket(chat.token()) as connection, closes_with(1000, "main cleanup"):
        connection.recv(timeout=8)
    chat.wait_for_line('websocket closed user=".*" code=1000 reason="main cleanup"')


def test_ws_1011_closes_the_second_socket_and_spares_the_first(start: Start) -> None:
    chat = start("ws-1011")
    chat.wait_until_listening()
    token = chat.token()
    with chat.socket(token) as first:
        assert receive(first)["type"] == "connection_established"
        with chat.socket(token) as second, closes_with(1011, "Factory SSOT validation failed"):
            second.recv(timeout=8)
        first.send(json.dumps({"type": "chat", "content": "6*7"}))
        assert [receive(first) for _ in range(5)][-1]["answer"] == "42"
    chat.wait_for_line("ERROR Factory SSOT validation failed: 2 sockets share one")


def test_message_wrapper_hides_every_type_in_a_system_message(start: Start) -> None:
    chat = start("message-wrapper")
    chat.wait_until_listening()
    with chat.socket(chat.token()) as connection:
        welcome = receive(connection)
        connection.send(json.dumps({"type": "chat", "content": "6*7"}))
        events = [receive(connection) for _ in range(5)]
    assert {event["type"] for event in [welcome, *events]} == {"system_message"}
    data = welcome["data"]
    assert isinstance(data, dict)
    assert data["event"] == "connection_established"


@pytest.mark.slow
def test_slow_answers_health_after_four_seconds(start: Start) -> None:
    chat = start("slow")
    chat.wait_until_listening()
    began = time.monotonic()
    assert chat.get("/health").status_code == 200
    assert 3.9 <= time.monotonic() - began < 8
    chat.wait_for_line("WARNING slow answer: /health took over 4000 ms")
