"""HTTP/1.1 through the front door: bodies, framing, broken services and hostile clients."""

from __future__ import annotations

import json
import os
from collections import Counter

import httpx
import pytest
from front_door_rig import (
    WAIT_S,
    DoorRig,
    HttpService,
    RawClient,
    a_client,
    a_door,
    a_service,
    raw_service,
)

MARK = "x-loopctl-front-door"

rig = pytest.fixture(a_door)
client = pytest.fixture(a_client)
one = pytest.fixture(a_service)


def test_large_bodies_pass_both_ways_by_length_and_in_chunks(
    rig: DoorRig, one: HttpService, client: httpx.Client
) -> None:
    rig.route((one.upstream, 100))
    body = os.urandom(5_000_000)
    assert client.post("/echo", content=body).content == body
    pieces = (body[at : at + 100_000] for at in range(0, len(body), 100_000))
    assert client.post("/echo", content=pieces).content == body
    record = rig.last()
    assert (record.bytes_in, record.bytes_out) == (len(body), len(body))


def test_a_stream_arrives_event_by_event(rig: DoorRig, one: HttpService) -> None:
    rig.route((one.upstream, 100))
    with RawClient(rig.port) as client:
        client.send(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(3):
            assert client.until(b"data\n\n")
            assert rig.records == []
            one.gate.set()
        client.until(b"0\r\n\r\n")
        assert rig.last().bytes_out == 18


@pytest.mark.parametrize("path", ["/cut-length", "/cut-chunked"])
def test_a_service_that_dies_in_mid_answer_never_looks_whole(
    rig: DoorRig, one: HttpService, client: httpx.Client, path: str
) -> None:
    rig.route((one.upstream, 100))
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        client.get(path)
    record = rig.last()
    assert (record.status, record.error) == (200, "upstream-closed")


def test_a_cut_answer_breaks_even_where_its_end_is_the_end_of_the_connection(
    rig: DoorRig, one: HttpService
) -> None:
    rig.route((one.upstream, 100))
    with RawClient(rig.port) as client:
        client.send(b"GET /cut-chunked HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            client.rest()


@pytest.mark.parametrize(
    ("said", "mark"),
    [
        (b"", "upstream-closed"),
        (b"HTTP/1.1 200 O", "upstream-closed"),
        (b"220 mail.example ESMTP\r\n\r\n", "upstream-protocol"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "upstream-protocol"),
    ],
)
def test_what_is_not_an_answer_is_a_marked_502(
    rig: DoorRig, client: httpx.Client, said: bytes, mark: str
) -> None:
    with raw_service("chat-odd", said) as upstream:
        rig.route((upstream, 100))
        answer = client.get("/")
    assert (answer.status_code, answer.headers[MARK]) == (502, mark)


def test_the_service_sees_who_asked_and_no_hop_by_hop_header(
    rig: DoorRig, one: HttpService, client: httpx.Client
) -> None:
    rig.route((one.upstream, 100))
    asked = {
        "Host": "chat.example",
        "X-Forwarded-For": "10.0.0.1",
        "Connection": "x-private, content-length, keep-alive",
        "X-Private": "yes",
        "TE": "trailers",
        "Upgrade": "h2c",
    }
    seen = {
        name.lower(): value
        for name, value in json.loads(client.get("/headers", headers=asked).content)
    }
    assert seen["host"] == "chat.example"
    assert seen["x-forwarded-for"] == "10.0.0.1, 127.0.0.1"
    assert seen["x-forwarded-proto"] == "http"
    assert seen["x-forwarded-host"] == "chat.example"
    assert not seen.keys() & {"x-private", "te", "upgrade", "connection"}


def test_garbage_is_a_400_with_a_record(rig: DoorRig) -> None:
    with RawClient(rig.port) as client:
        client.send(b"\x16\x03\x01 this is not http\r\n\r\n")
        assert client.rest().startswith(b"HTTP/1.1 400 ")
    assert (rig.last().status, rig.last().error) == (400, "bad-request")


def test_two_framings_reach_the_service_as_one(rig: DoorRig, one: HttpService) -> None:
    rig.route((one.upstream, 100))
    with RawClient(rig.port) as client:
        client.send(
            b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
            b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
            b"5\r\nhello\r\n0\r\n\r\n"
        )
        assert client.rest().endswith(b"\r\n\r\nhello")
    assert len(rig.records) == 1


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 1\r\nContent-Length: 2\r\n",
        b"Content-Length: -1\r\n",
        b"Transfer-Encoding : chunked\r\n",
    ],
)
def test_framing_that_can_be_read_two_ways_is_refused(
    rig: DoorRig, one: HttpService, head: bytes
) -> None:
    rig.route((one.upstream, 100))
    with RawClient(rig.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n1")
        assert client.rest().startswith(b"HTTP/1.1 400 ")
    assert [record.revision for record in rig.records] == [None]


def test_a_broken_chunk_is_a_400(rig: DoorRig, one: HttpService) -> None:
    rig.route((one.upstream, 100))
    with RawClient(rig.port) as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        assert client.rest().startswith(b"HTTP/1.1 400 ")


def test_a_head_without_end_is_a_431(rig: DoorRig) -> None:
    with RawClient(rig.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 40_000)
        assert client.rest().startswith(b"HTTP/1.1 431 ")
    assert rig.last().error == "head-too-large"


def test_silent_clients_do_not_hold_up_others(
    rig: DoorRig, one: HttpService, client: httpx.Client
) -> None:
    rig.route((one.upstream, 100))
    silent = [RawClient(rig.port) for _ in range(50)]
    for idle in silent:
        idle.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
    assert client.get("/").status_code == 200
    for idle in silent:
        idle.socket.close()
    rig.until(lambda records: len(records) == 51)
    assert Counter(record.error for record in rig.records) == {"client-gone": 50, None: 1}


def test_pipelined_requests_are_answered_in_order(rig: DoorRig, one: HttpService) -> None:
    rig.route((one.upstream, 100))
    with RawClient(rig.port) as client:
        client.send(
            b"HEAD /who HTTP/1.1\r\nHost: x\r\n\r\n"
            b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nfirst"
            b"GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        head, echo, who = client.rest().split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert head.endswith(b"\r\n\r\n")
    assert echo.endswith(b"\r\n\r\nfirst")
    assert who.endswith(b"\r\n\r\nchat-00001")
    assert [record.method for record in rig.records] == ["HEAD", "POST", "GET"]


def test_an_http_1_0_client_gets_a_stream_it_can_read(rig: DoorRig, one: HttpService) -> None:
    rig.route((one.upstream, 100))
    with RawClient(rig.port) as client:
        client.send(b"GET /stream HTTP/1.0\r\n\r\n")
        for _ in range(3):
            client.until(b"data\n\n")
            one.gate.set()
        assert client.rest() == b""


def test_a_client_that_waits_for_100_gets_it_from_the_service(
    rig: DoorRig, one: HttpService
) -> None:
    rig.route((one.upstream, 100))
    with RawClient(rig.port) as client:
        client.send(
            b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
            b"Expect: 100-continue\r\nConnection: close\r\n\r\n"
        )
        client.until(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.send(b"hello")
        assert client.rest().endswith(b"\r\n\r\nhello")


def test_an_answer_before_the_end_of_the_body_arrives(rig: DoorRig, one: HttpService) -> None:
    rig.route((one.upstream, 100))
    with RawClient(rig.port) as client:
        client.send(b"POST /too-large HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n")
        assert b"413" in client.until(b"too large")
        assert client.rest() == b""


def test_a_client_that_leaves_ends_its_request_at_the_service(
    rig: DoorRig, one: HttpService
) -> None:
    rig.route((one.upstream, 100))
    with RawClient(rig.port) as client:
        client.send(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        client.until(b"data\n\n")
    assert rig.last().error == "client-gone"
    for _ in range(500):
        one.gate.set()
        if one.client_left.wait(0.02):
            break
    assert one.client_left.is_set()
    assert rig.door.in_flight("chat-00001") == 0


def test_a_service_is_held_back_when_its_client_does_not_read(
    rig: DoorRig, one: HttpService
) -> None:
    rig.route((one.upstream, 100))
    with RawClient(rig.port) as client:
        client.send(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
        assert one.choked.wait(WAIT_S)
