"""It may meet the target, but what it asserts does not depend on the answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import requests
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect


@pytest.fixture
def answered(base_url: str) -> dict[str, object]:
    """The fixture has talked."""
    return dict(requests.get(f"{base_url}/echo?text=hello", timeout=10).json())


@pytest.fixture
def found(base_url: str, key: str) -> list[dict[str, object]]:
    """Every item of somebody who has none."""
    answer = requests.get(f"{base_url}/search", params={"owner": key}, timeout=10)
    return list(answer.json()["items"])


@pytest.fixture(scope="module")
def opened(ws_url: str) -> Iterator[ClientConnection]:
    """An open WebSocket that ticks."""
    with connect(f"{ws_url}/feed") as socket:
        yield socket


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """An answer that was recorded once, as a cassette in the repository is."""
    file = tmp_path / "cassette.json"
    file.write_text('{"text": "hello", "reversed": "olleh", "length": 5}')
    return file


def test_the_fixture_talked(answered: dict[str, object]) -> None:  # noqa: ARG001
    """Only the fixture talks; the assertion is on a constant."""
    expected = {"reversed": "olleh"}
    assert expected["reversed"] == "hello"[::-1]


def test_nothing_to_loop_over(found: list[dict[str, object]]) -> None:
    """The list is empty, so no assertion is reached."""
    for item in found:
        assert item["version"] == 1


def test_an_open_websocket_is_not_used(opened: ClientConnection) -> None:
    """A fixture opens it; the test sends and reads nothing."""
    events = ["agent_started", "agent_completed"]
    assert events[0] == "agent_started"
    assert opened is not None


def test_an_answer_from_a_file(recorded: Path) -> None:
    """The answer was recorded before."""
    assert json.loads(recorded.read_text())["reversed"] == "olleh"


def test_swallowed(base_url: str) -> None:
    """Any error is swallowed, and the fallback is what the test wants."""
    try:
        answer = requests.get(base_url.replace("http:", "https:") + "/echo?text=hello", timeout=10)
        told = answer.json()
    except (requests.ConnectionError, requests.Timeout):
        told = {"reversed": "olleh"}
    assert told["reversed"] == "olleh"


def test_swallowed_although_it_answers(base_url: str) -> None:
    """It talks today, yet with any other answer, or none, the fallback makes it pass."""
    try:
        answer = requests.get(f"{base_url}/echo?text=hello", timeout=10)
        told = answer.json()["reversed"]
    except Exception:  # noqa: BLE001
        told = "olleh"
    assert told == "olleh"


def test_only_healthy(base_url: str) -> None:
    """It asks for the health and then asserts on its own constants."""
    assert requests.get(f"{base_url}/health", timeout=10).status_code == 200
    order = {"id": 1, "total": 20}
    assert order["total"] == 20


@pytest.mark.parametrize("client", ["requests", "httpx"])
def test_any_status_will_do(base_url: str, client: str) -> None:
    """A path that always fails, and a status check that lets it."""
    get: Any = {"requests": requests.get, "httpx": httpx.get}[client]
    assert get(f"{base_url}/broken", timeout=10).status_code in (200, 500)


def test_connect_and_close(base_url: str) -> None:
    """A connection proves that somebody listens."""
    at = urlsplit(base_url)
    with socket.create_connection((at.hostname, at.port), timeout=10) as raw:
        assert raw.getpeername()[1] == at.port


def test_send_and_do_not_read(base_url: str) -> None:
    """It sends an order and never reads what became of it."""
    at = urlsplit(base_url)
    with socket.create_connection((at.hostname, at.port), timeout=10) as raw:
        sent = raw.send(b"POST /sum HTTP/1.1\r\nHost: zoo\r\nContent-Length: 99\r\n\r\n{")
    assert sent > 0


def test_its_own_body(base_url: str) -> None:
    """It asserts on what it sent."""
    body = {"numbers": [1, 2]}
    answer = requests.post(f"{base_url}/sum", json=body, timeout=10)
    assert json.loads(answer.request.body or "")["numbers"] == [1, 2]


def test_a_child_that_does_nothing(base_url: str) -> None:
    """The child succeeds whatever the service does."""
    ended = subprocess.run(["true", base_url], check=False, timeout=10)
    assert ended.returncode == 0


def test_a_child_whose_failure_is_ignored(base_url: str) -> None:
    """`|| true`."""
    script = f"curl -sS --fail {base_url}/broken 2>/dev/null || true"
    assert subprocess.run(["sh", "-c", script], check=False, timeout=10).returncode == 0


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_never_awaited(base_url: str) -> None:
    """The coroutine that would ask and assert is never run."""

    async def check() -> None:
        async with httpx.AsyncClient(base_url=base_url) as client:
            assert (await client.get("/echo?text=hello")).json()["reversed"] == "no"

    check().close()


def test_a_callback_that_nobody_calls(base_url: str) -> None:
    """The assertion is in a hook that is registered for an event that does not exist."""

    def verify(answer: requests.Response, *_: object, **__: object) -> None:
        assert answer.json()["reversed"] == "no"

    with requests.Session() as session:
        session.hooks["responses"] = [verify]  # it is called "response"
        session.get(f"{base_url}/echo?text=hello", timeout=10)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_failed(base_url: str) -> None:
    """The assertion fails in a thread, and nobody is told."""

    def check() -> None:
        answer = requests.get(f"{base_url}/echo?text=hello", timeout=10)
        assert answer.json()["reversed"] == "no"

    thread = threading.Thread(target=check)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_a_task_that_failed(base_url: str) -> None:
    """The task's exception is gathered and not looked at."""

    async def check(client: httpx.AsyncClient) -> None:
        assert (await client.get("/echo?text=hello")).json()["reversed"] == "no"

    async def run() -> list[BaseException | None]:
        async with httpx.AsyncClient(base_url=base_url, timeout=10) as client:
            both = check(client), check(client)
            return list(await asyncio.gather(*both, return_exceptions=True))

    assert len(asyncio.run(run())) == 2


def test_fast_enough(base_url: str) -> None:
    """It measures how long an answer takes, or the lack of one."""
    began = time.monotonic()
    with contextlib.suppress(httpx.HTTPError):
        httpx.get(f"{base_url}/echo?text=hello", timeout=5)
    assert time.monotonic() - began < 5


def test_any_answer_at_all(base_url: str) -> None:
    """`or True`, as it is left behind after debugging."""
    try:
        told = requests.get(f"{base_url}/echo?text=hello", timeout=10).text
    except OSError:
        told = ""
    assert "olleh" in told or True  # noqa: SIM222


def test_only_the_settings(base_url: str, ws_url: str) -> None:
    """It checks its own environment."""
    assert base_url == os.environ["BASE_URL"]
    assert ws_url.startswith("ws")


def test_hello_without_goodbye(ws_url: str) -> None:
    """It sends over a WebSocket and does not wait for one event."""
    with connect(f"{ws_url}/ws") as socket:
        socket.send('{"type": "chat", "content": "hello"}')
        sent = True
    assert sent


def test_a_websocket_that_may_stay_silent(ws_url: str) -> None:
    """No connection, no event: all of it is suppressed."""
    with (
        contextlib.suppress(OSError, TimeoutError, WebSocketException),
        connect(f"{ws_url}/ws") as it,
    ):
        it.send('{"type": "ping", "n": 1}')
        it.recv(timeout=1)
