"""The stand-in: wrong to everybody, never a fault of the network, and gone when its block ends."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from pytest_suite_rig import until
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK
from websockets.sync.client import ClientConnection, connect

from loopctl.process import Stop
from loopctl.suites.stand_in import (
    ERROR,
    HANDSHAKE_BYTES,
    MOST_CONNECTIONS,
    SUCCESS,
    WRONG,
    StandIn,
    stand_in,
)

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]


@pytest.fixture(scope="module")
def place() -> Iterator[StandIn]:
    with stand_in(Stop(60)) as running:
        yield running


@pytest.fixture
def line(place: StandIn) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", place.ipv4), timeout=10) as opened:
        yield opened


def said(line: socket.socket) -> bytes:
    """Everything up to the end of the connection."""
    return b"".join(iter(lambda: line.recv(65536), b""))


def url(place: StandIn) -> str:
    return f"http://127.0.0.1:{place.ipv4}/sum?of=1"


def websocket(place: StandIn) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{place.ipv4}/ws", proxy=None)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_every_method_is_answered_wrongly_over_one_connection(place: StandIn, host: str) -> None:
    port = place.ipv4 if host == "127.0.0.1" else place.ipv6
    assert port is not None
    connection = http.client.HTTPConnection(host, port, timeout=10)
    connection.connect()
    mine = connection.sock.getsockname()
    for method in METHODS:
        body = b"x" * 100_000 if method in ("POST", "PUT") else None
        connection.request(method, "/any", body)
        answer = connection.getresponse()
        assert answer.status == ERROR.status
        assert answer.getheader("content-type") == "application/json"
        assert answer.read() == (b"" if method == "HEAD" else WRONG)
        assert connection.sock.getsockname() == mine, "the connection is kept"
    connection.close()
    assert list(json.loads(WRONG)) == ["loopctl"]


def test_clients_take_it_for_an_error_of_the_service_and_of_nothing_else(place: StandIn) -> None:
    answer = httpx.get(url(place))
    assert (answer.status_code, answer.is_server_error) == (ERROR.status, True)
    with pytest.raises(httpx.HTTPStatusError):
        answer.raise_for_status()


def test_a_body_of_unknown_length_is_read_to_its_end(place: StandIn) -> None:
    with httpx.Client() as client:
        for _ in range(2):
            sent = client.post(url(place), content=iter([b"x" * 70_000, b"y"]))
            assert sent.status_code == ERROR.status


def test_who_waits_to_be_told_to_go_on_is_answered_at_once(line: socket.socket) -> None:
    line.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
    answer = said(line)
    assert answer.startswith(b"HTTP/1.1 599 ")
    assert b"connection: close" in answer.lower()


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 200_000,
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
    ],
    ids=["tls", "http2", "no end of the head", "no number", "no key"],
)
def test_what_is_no_request_is_answered_wrongly_too(line: socket.socket, sent: bytes) -> None:
    line.sendall(sent)
    assert said(line).startswith(b"HTTP/1.1 599 ")


def test_even_without_a_body_it_says_more_than_a_handshake_does(line: socket.socket) -> None:
    line.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
    assert len(said(line)) > HANDSHAKE_BYTES


def test_a_message_is_answered_wrongly_and_then_the_websocket_is_closed(place: StandIn) -> None:
    with websocket(place) as opened:
        opened.send("x" * 300_000)
        assert json.loads(opened.recv(timeout=10)) == json.loads(WRONG)
        with pytest.raises(ConnectionClosedError) as closed:
            opened.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == ERROR.close_code


def test_who_only_listens_is_told_something_wrong(place: StandIn) -> None:
    with websocket(place) as opened:
        assert json.loads(opened.recv(timeout=10)) == json.loads(WRONG)


def test_a_websocket_that_says_nothing_hears_nothing_but_the_handshake(line: socket.socket) -> None:
    ping, close = b"\x89\x81\0\0\0\0p", b"\x88\x82\0\0\0\0\x03\xe8"
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n" + key + b"\r\n")
    head = line.recv(65536)
    # The example of RFC 6455, 1.3.
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
    line.sendall(ping + close)
    assert len(head + said(line)) == HANDSHAKE_BYTES


def test_a_flood_is_cut_off_and_the_next_are_answered(place: StandIn) -> None:
    with ExitStack() as held:
        where = ("127.0.0.1", place.ipv4)
        flood = [
            held.enter_context(socket.create_connection(where, timeout=10))
            for _ in range(MOST_CONNECTIONS + 20)
        ]
        for each in flood:
            each.settimeout(0.2)
        assert any(_is_cut(each) for each in flood[-20:])
    until(lambda: _status(place) == ERROR.status)


def _is_cut(line: socket.socket) -> bool:
    try:
        return line.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def _status(place: StandIn) -> int:
    try:
        return httpx.get(url(place)).status_code
    except httpx.TransportError:
        return 0


def test_a_slow_client_keeps_nobody_waiting(place: StandIn, line: socket.socket) -> None:
    line.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx")
    assert httpx.get(url(place), timeout=5).status_code == ERROR.status


def test_nothing_is_left_of_it() -> None:
    before = threading.active_count()
    stop = Stop(60)
    with stand_in(stop) as place:
        assert httpx.get(url(place)).status_code == ERROR.status
        kept = socket.create_connection(("127.0.0.1", place.ipv4), timeout=10)
        kept.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.recv(65536)
    assert said(kept) == b"", "a connection that was open is closed"
    kept.close()
    until(lambda: threading.active_count() == before)
    for host, port in (("127.0.0.1", place.ipv4), ("::1", place.ipv6)):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, port or 0), timeout=10)
    assert stop.reason is None


def test_it_ends_at_once_when_the_run_is_stopped() -> None:
    stop = Stop(60)
    with stand_in(stop) as place:
        kept = socket.create_connection(("127.0.0.1", place.ipv4), timeout=10)
        kept.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.recv(65536)
        stop.stop("by the user")
        assert said(kept) == b""
        kept.close()


def test_as_a_success_it_is_no_less_wrong() -> None:
    with stand_in(Stop(30), SUCCESS) as place:
        answer = httpx.post(url(place), timeout=5)
        assert (answer.status_code, answer.json()) == (200, json.loads(WRONG))
        with connect(url(place).replace("http", "ws"), proxy=None) as talking:
            talking.send("hello")
            assert talking.recv(timeout=5) == WRONG.decode()
            with pytest.raises(ConnectionClosedOK) as closed:
                talking.recv(timeout=5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == SUCCESS.close_code == 1000
