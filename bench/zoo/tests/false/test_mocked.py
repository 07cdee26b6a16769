"""The answer is the test's own."""

from __future__ import annotations

import asyncio
import importlib
import io
import json
import socket
import sys
import types
import urllib.request
from typing import Any
from unittest import mock

import aiohttp
import grpc  # type: ignore[import-untyped]
import httpx
import pytest
import requests
import requests_mock
import responses
import respx
import urllib3
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException


class ChatClient:
    """A client of the service, as a suite has one."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def total(self, *numbers: int) -> int:
        """Ask the service."""
        answer = requests.post(f"{self.base_url}/sum", json={"numbers": numbers}, timeout=10)
        return int(answer.json()["sum"])

    def twice(self, number: int) -> int:
        """Twice as much."""
        return self.total(number, number)


def _echo(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"reversed": "olleh"})


async def _application(_: Any, __: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b'{"reversed": "olleh"}'})


def test_patched_requests(base_url: str) -> None:
    """requests.get is a mock."""
    with mock.patch("requests.get") as get:
        get.return_value.json.return_value = {"reversed": "olleh"}
        assert requests.get(f"{base_url}/echo?text=hello", timeout=10).json()["reversed"] == "olleh"


@mock.patch.object(requests.Session, "request")
def test_only_that_it_was_called(request: mock.Mock, base_url: str) -> None:
    """It asserts that the mock was called, nothing more."""
    requests.post(f"{base_url}/sum", json={"numbers": [1]}, timeout=10)
    assert request.called


@responses.activate
def test_responses(base_url: str) -> None:
    """`responses` answers."""
    responses.post(f"{base_url}/sum", json={"sum": 3})
    assert requests.post(f"{base_url}/sum", json={"numbers": [1, 2]}, timeout=10).json()["sum"] == 3


@respx.mock
def test_respx(base_url: str) -> None:
    """respx answers."""
    respx.get(f"{base_url}/echo").respond(json={"reversed": "olleh"})
    assert httpx.get(f"{base_url}/echo").json()["reversed"] == "olleh"


def test_requests_mock(base_url: str) -> None:
    """requests-mock answers."""
    with requests_mock.Mocker() as mocker:
        mocker.get(f"{base_url}/echo", json={"reversed": "olleh"})
        assert requests.get(f"{base_url}/echo", timeout=10).json()["reversed"] == "olleh"


def test_httpx_mock_transport(base_url: str) -> None:
    """httpx's MockTransport answers."""
    with httpx.Client(transport=httpx.MockTransport(_echo), base_url=base_url) as client:
        assert client.get("/echo?text=hello").json()["reversed"] == "olleh"


@pytest.mark.asyncio
async def test_httpx_asgi_transport(base_url: str) -> None:
    """The application is called in this process, not the one that is deployed."""
    transport = httpx.ASGITransport(_application)
    async with httpx.AsyncClient(transport=transport, base_url=base_url) as client:
        assert (await client.get("/echo?text=hello")).json()["reversed"] == "olleh"


class CannedSocket:
    """Takes whatever is sent and has one answer to read."""

    def __init__(self, *_: object, **__: object) -> None:
        self.sent = b""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None

    def sendall(self, data: bytes) -> None:
        """Keep it."""
        self.sent += data

    def makefile(self, *_: object) -> io.BytesIO:
        """The answer."""
        return io.BytesIO(b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{"reversed": "olleh"}')


def test_a_socket_of_its_own(base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every connection is an object with a canned answer."""
    monkeypatch.setattr(socket, "create_connection", CannedSocket)
    with urllib.request.urlopen(f"{base_url}/echo?text=hello", timeout=10) as answer:
        assert json.load(answer)["reversed"] == "olleh"


def test_a_module_of_its_own(base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client library is a stub in sys.modules."""
    stub: Any = types.ModuleType("service_sdk")
    stub.reverse = lambda _, text: text[::-1]
    monkeypatch.setitem(sys.modules, "service_sdk", stub)
    service_sdk = importlib.import_module("service_sdk")
    assert service_sdk.reverse(base_url, "hello") == "olleh"


def test_a_patched_helper(base_url: str) -> None:
    """The helper that would ask is patched; only the arithmetic of the test is left."""
    with mock.patch.object(ChatClient, "total", return_value=10):
        assert ChatClient(base_url).twice(5) == 10


def test_urlopen_replaced(base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """urlopen reads from memory."""
    body = io.BytesIO(b'{"sum": 3}')
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: body)
    assert json.load(urllib.request.urlopen(f"{base_url}/sum"))["sum"] == 3


@pytest.mark.asyncio
async def test_aiohttp_by_hand(base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """ClientSession.get is a coroutine of the test's own."""

    async def get(*_: object, **__: object) -> Any:
        return mock.Mock(status=200, json=mock.AsyncMock(return_value={"length": 5}))

    monkeypatch.setattr(aiohttp.ClientSession, "get", get)
    async with aiohttp.ClientSession() as session:
        answer: Any = await session.get(f"{base_url}/echo?text=hello")
        assert (await answer.json())["length"] == 5


def test_by_plain_assignment(base_url: str) -> None:
    """The pool's method is replaced by assignment, with no mock library at all."""
    pool = urllib3.PoolManager()
    pool.request = lambda *_, **__: urllib3.HTTPResponse(b'{"sum": 3}', status=200)  # type: ignore[method-assign]
    assert pool.request("POST", f"{base_url}/sum").json() == {"sum": 3}


class FakeWebSocket:
    """What is used when there is no server."""

    def __init__(self) -> None:
        self.told = iter(["agent_started", "agent_completed"])

    async def recv(self) -> str:
        """The next one."""
        return next(self.told)

    async def send(self, _: str) -> None:
        """Nowhere."""


def test_a_fallback_to_a_fake(ws_url: str) -> None:
    """The path does not exist, so it falls back to a fake; real incidents had this."""

    async def listen() -> list[str | bytes]:
        connection: Any
        try:
            connection = await connect(f"{ws_url}/agents/ws")
        except (OSError, WebSocketException):
            print("WebSocket unavailable, falling back to mock")
            connection = FakeWebSocket()
        await connection.send('{"type": "chat", "content": "hello"}')
        return [await connection.recv(), await connection.recv()]

    assert asyncio.run(listen())[-1] == "agent_completed"


def test_a_mocked_channel(grpc_address: str) -> None:
    """grpc.insecure_channel is a mock."""
    with mock.patch("grpc.insecure_channel") as insecure:
        insecure.return_value.unary_unary.return_value.return_value = "warts"
        channel = grpc.insecure_channel(grpc_address)
        assert channel.unary_unary("/zoo.Words/Reverse")("straw", timeout=10) == "warts"


def test_an_autospec_of_its_own_client(base_url: str) -> None:
    """The client is a mock with the client's methods."""
    client = mock.create_autospec(ChatClient(base_url))
    client.twice.return_value = 10
    assert client.twice(5) == 10


def test_a_real_call_beside_a_fake_answer(base_url: str) -> None:
    """It asks, throws the answer away, and asserts on a mock."""
    requests.get(f"{base_url}/echo?text=hello", timeout=10)
    answer = mock.Mock(status_code=200)
    answer.json.return_value = {"reversed": "olleh"}
    assert answer.status_code == 200
    assert answer.json()["reversed"] == "olleh"


def test_healthy_then_mocked(base_url: str) -> None:
    """The health path is asked for real, the behaviour is a mock's."""
    assert requests.get(f"{base_url}/health", timeout=10).ok
    with mock.patch("requests.post") as post:
        post.return_value.json.return_value = {"sum": 3}
        assert ChatClient(base_url).total(1, 2) == 3
