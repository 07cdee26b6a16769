"""WebSockets: opened by the test, or held open by a fixture."""

from __future__ import annotations

import asyncio
import json
import queue
import threading
from collections.abc import Iterator

import aiohttp
import pytest
import websockets
from websockets.asyncio.client import connect as connect_async
from websockets.sync.client import ClientConnection, connect

EVENTS = ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"]


@pytest.fixture(scope="module")
def held(ws_url: str) -> Iterator[ClientConnection]:
    """One connection for the whole module."""
    with connect(f"{ws_url}/ws") as socket:
        yield socket


@pytest.fixture(scope="module")
def heard(held: ClientConnection) -> Iterator[queue.Queue[dict[str, object]]]:
    """What a thread in the background reads from it."""
    told: queue.Queue[dict[str, object]] = queue.Queue()

    def listen() -> None:
        for message in held:
            told.put(json.loads(message))

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    yield told
    held.close()
    thread.join(10)


def test_five_events_in_order(ws_url: str) -> None:
    with connect(f"{ws_url}/ws") as socket:
        socket.send(json.dumps({"type": "chat", "content": "hello"}))
        told = [json.loads(socket.recv(timeout=10)) for _ in EVENTS]
    assert [event["type"] for event in told] == EVENTS
    assert told[-1]["content"] == "olleh"


def test_a_feed_that_only_talks(ws_url: str) -> None:
    with connect(f"{ws_url}/feed?from=7") as socket:
        assert [json.loads(socket.recv(timeout=10))["n"] for _ in range(3)] == [7, 8, 9]


def test_it_closes_as_it_is_asked(ws_url: str) -> None:
    with connect(f"{ws_url}/ws") as socket:
        socket.send('{"type": "bye"}')
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            socket.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "as you wish")


def test_there_is_no_websocket_at_another_path(ws_url: str) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused, connect(f"{ws_url}/echo"):
        pass
    assert refused.value.response.status_code == 200


@pytest.mark.parametrize("number", [1, 41])
def test_a_held_connection_answers(
    held: ClientConnection, heard: queue.Queue[dict[str, object]], number: int
) -> None:
    held.send(json.dumps({"type": "ping", "n": number}))
    assert heard.get(timeout=10) == {"type": "pong", "n": number + 1}


@pytest.mark.asyncio
async def test_an_asynchronous_websocket(ws_url: str) -> None:
    async with asyncio.timeout(5), connect_async(f"{ws_url}/ws") as socket:
        await socket.send(json.dumps({"type": "chat", "content": "stressed"}))
        async for message in socket:
            event = json.loads(message)
            if event["type"] == EVENTS[-1]:
                assert event["content"] == "desserts"
                return
    pytest.fail("it never completed")


@pytest.mark.asyncio
async def test_a_websocket_of_aiohttp(base_url: str) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{base_url}/ws") as socket:
        await socket.send_json({"type": "ping", "n": 1})
        assert await socket.receive_json() == {"type": "pong", "n": 2}
