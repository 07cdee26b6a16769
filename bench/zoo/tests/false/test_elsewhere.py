"""It talks, but not with the target."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import grpc  # type: ignore[import-untyped]
import httpx
import pytest
import requests
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve


@pytest.fixture
def standin_ws_url() -> Iterator[str]:
    """A WebSocket server of the suite's own."""

    def answer(socket: ServerConnection) -> None:
        for message in socket:
            socket.send(json.dumps({"type": "pong", "n": json.loads(message)["n"] + 1}))

    with serve(answer, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join(10)


def test_a_standin(standin_url: str) -> None:
    """A server of the suite's own answers."""
    answer = requests.get(f"{standin_url}/echo?text=hello", timeout=10)
    assert answer.json()["reversed"] == "olleh"


def test_a_websocket_standin(standin_ws_url: str) -> None:
    """A WebSocket server of the suite's own answers."""
    with connect(f"{standin_ws_url}/ws") as socket:
        socket.send('{"type": "ping", "n": 1}')
        assert json.loads(socket.recv(timeout=10))["n"] == 2


def test_redirected_away(base_url: str, standin_url: str) -> None:
    """The target sends it to another host, and that one's answer is judged."""
    answer = requests.get(
        f"{base_url}/away", params={"to": f"{standin_url}/echo?text=hello"}, timeout=10
    )
    assert answer.json()["reversed"] == "olleh"


def test_another_address_for_the_name(
    base_url: str, standin_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """getaddrinfo sends the target's name to the stand-in."""
    port = urlsplit(standin_url).port
    real = socket.getaddrinfo

    def look_up(*_: object, **__: object) -> Any:
        return real("127.0.0.1", port, type=socket.SOCK_STREAM)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    answer = httpx.get(f"{base_url}/echo?text=hello", timeout=10)
    assert answer.json()["reversed"] == "olleh"


def test_the_default_address(monkeypatch: pytest.MonkeyPatch, standin_url: str) -> None:
    """Reads a variable that nobody sets and takes the developer's own server instead."""
    monkeypatch.setenv("DEFAULT_URL", standin_url)
    url = os.environ.get("SERVICE_URL_THAT_NOBODY_SETS", os.environ["DEFAULT_URL"])
    assert httpx.get(f"{url}/echo?text=hello", timeout=10).json()["length"] == 5


def test_through_a_proxy_that_answers(base_url: str, standin_url: str) -> None:
    """The proxy of the session answers by itself."""
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {"http": standin_url}
        answer = session.get(f"{base_url}/echo?text=hello", timeout=10)
    assert answer.json()["reversed"] == "olleh"


def test_healthy_then_a_standin(base_url: str, standin_url: str) -> None:
    """The target is asked for its health only; the behaviour is the stand-in's."""
    assert requests.get(f"{base_url}/health", timeout=10).json()["status"] == "healthy"
    answer = requests.get(f"{standin_url}/echo?text=hello", timeout=10)
    assert answer.json()["reversed"] == "olleh"


def test_curl_asks_a_standin(standin_url: str) -> None:
    """The child asks a server of the suite's own."""
    command = ["curl", "-sS", "--fail", f"{standin_url}/echo?text=hello"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
    assert json.loads(told)["reversed"] == "olleh"


def test_a_grpc_server_in_the_test() -> None:
    """The servicer runs in the test itself, as unit tests of gRPC do."""
    server = grpc.server(ThreadPoolExecutor(1))
    handler = grpc.unary_unary_rpc_method_handler(
        lambda request, _: request[::-1], bytes.decode, str.encode
    )
    services = grpc.method_handlers_generic_handler("zoo.Words", {"Reverse": handler})
    server.add_generic_rpc_handlers((services,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        reverse = channel.unary_unary("/zoo.Words/Reverse", str.encode, bytes.decode)
        assert reverse("straw", timeout=10) == "warts"
    server.stop(None).wait(10)
