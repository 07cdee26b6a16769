"""WebSockets through the front door: untouched bytes, and a log of who closed them and why."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from front_door_rig import WAIT_S, DoorRig, RawClient, a_door, http_service, websocket_service
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from loopctl.platforms.host.request_log import RequestRecord, WsClose
from loopctl.platforms.host.upstreams import Upstream

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

rig = pytest.fixture(a_door)


@pytest.fixture
def service() -> Iterator[Upstream]:
    with websocket_service("chat-00001") as upstream:
        yield upstream


def closed(rig: DoorRig) -> RequestRecord:
    return rig.until(lambda records: any(record.event == "close" for record in records))[-1]


def test_messages_pings_and_compression_pass(rig: DoorRig, service: Upstream) -> None:
    rig.route((service, 100))
    big = b"0123456789" * 50_000
    with connect(rig.door.ws_url) as socket:
        assert "permessage-deflate" in socket.response.headers["Sec-WebSocket-Extensions"]  # type: ignore[union-attr]
        socket.send("hello")
        assert socket.recv(WAIT_S) == "chat-00001:hello"
        socket.send(big)
        assert socket.recv(WAIT_S) == big
        assert socket.ping().wait(WAIT_S)


def test_the_handshake_leaves_its_receipt_at_once(rig: DoorRig, service: Upstream) -> None:
    rig.route((service, 100))
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    with connect(f"{rig.door.ws_url}/live?token=secret", additional_headers=headers):
        (record,) = rig.records
        assert (record.event, record.status, record.upgraded) == ("open", 101, True)
        assert (record.path, record.trace, record.ws_close) == ("/live", TRACE, None)
    assert closed(rig).trace == TRACE


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, "main cleanup"), (1011, "agent died"), (4000, "")]
)
def test_the_services_close_passes_and_is_logged(
    rig: DoorRig, service: Upstream, code: int, reason: str
) -> None:
    rig.route((service, 100))
    with connect(rig.door.ws_url) as socket:
        socket.send(f"close {code} {reason}")
        with pytest.raises(ConnectionClosed) as caught:
            socket.recv(WAIT_S)
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (code, reason)
    record = closed(rig)
    assert record.ws_close == WsClose(code=code, reason=reason, by="service")
    assert record.error is None
    assert record.bytes_in > 0
    assert record.bytes_out > 0


def test_the_clients_close_is_logged_as_the_clients(rig: DoorRig, service: Upstream) -> None:
    rig.route((service, 100))
    with connect(rig.door.ws_url) as socket:
        socket.close(1000, "main cleanup")
    assert closed(rig).ws_close == WsClose(code=1000, reason="main cleanup", by="client")


def test_a_service_that_vanishes_closes_nothing_politely(rig: DoorRig, service: Upstream) -> None:
    rig.route((service, 100))
    with connect(rig.door.ws_url) as socket:
        socket.send("vanish")
        with pytest.raises(ConnectionClosed) as caught:
            socket.recv(WAIT_S)
    assert caught.value.rcvd is None
    record = closed(rig)
    assert (record.ws_close, record.error) == (None, "upstream-closed")


def test_a_client_that_vanishes_is_told_from_the_service(rig: DoorRig, service: Upstream) -> None:
    rig.route((service, 100))
    with RawClient(rig.port) as client:
        client.send(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        client.until(b"\r\n\r\n")
    record = closed(rig)
    assert record.error == "client-gone"
    assert rig.do(rig.door.drained("chat-00001", WAIT_S))


def test_a_tunnel_stays_with_its_revision_over_a_switch(rig: DoorRig, service: Upstream) -> None:
    rig.route((service, 100))
    with websocket_service("chat-00002") as next_service, connect(rig.door.ws_url) as old:
        rig.route((next_service, 100))
        old.send("still there?")
        assert old.recv(WAIT_S) == "chat-00001:still there?"
        with connect(rig.door.ws_url) as new:
            new.send("hello")
            assert new.recv(WAIT_S) == "chat-00002:hello"
        assert rig.door.in_flight("chat-00001") == 1
        old.close()
        assert rig.do(rig.door.drained("chat-00001", WAIT_S))


def test_a_handshake_that_is_not_accepted_is_an_ordinary_answer(rig: DoorRig) -> None:
    with http_service("chat-00003") as service:
        rig.route((service.upstream, 100))
        with pytest.raises(InvalidStatus) as caught:
            connect(rig.door.ws_url).close()
    assert caught.value.response.status_code == 200
    (record,) = rig.records
    assert (record.event, record.status, record.upgraded) == ("request", 200, False)
