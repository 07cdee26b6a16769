"""The chat room and the price feed, over WebSockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Iterator
from queue import Queue
from typing import Any

import aiohttp
import httpx
import pytest
import websockets
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_sync

from bench.zoo.held_out.shopkit.config import BASE_URL, PASSWORDS, WS_URL


def token_of(user: str) -> str:
    """A fresh token."""
    told = {"user": user, "password": PASSWORDS[user]}
    token = httpx.post(f"{BASE_URL}/api/v1/login", json=told).json()["token"]
    return str(token)


class RoomDriver:
    """One member of a room."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket

    @classmethod
    @contextlib.asynccontextmanager
    async def enter(cls, user: str, room: str) -> AsyncIterator[RoomDriver]:
        """Join, and leave at the end."""
        token = await asyncio.to_thread(token_of, user)
        async with websockets.connect(f"{WS_URL}/ws?token={token}") as socket:
            driver = cls(socket)
            await driver.say(type="join", room=room)
            joined = await driver.hear()
            assert joined["type"] == "joined"
            yield driver

    async def say(self, **told: Any) -> None:
        """Send."""
        await self.socket.send(json.dumps(told))

    async def hear(self, timeout: float = 2) -> dict[str, Any]:
        """Receive one."""
        async with asyncio.timeout(timeout):
            return dict(json.loads(await self.socket.recv()))

    async def hear_until(self, kind: str) -> list[dict[str, Any]]:
        """Receive up to one of a kind."""
        heard = [await self.hear()]
        while heard[-1]["type"] != kind:
            heard.append(await self.hear())
        return heard


async def test_a_conversation_of_several_turns(unique: str) -> None:
    async with RoomDriver.enter("alice", unique) as alice:
        for sku, cents in (("SKU-001", 637), ("SKU-002", 774), ("SKU-003", 911)):
            await alice.say(type="ask", question=f"how much is {sku}")
            heard = await alice.hear_until("done")
            assert heard[0] == {"type": "typing"}
            deltas = "".join(one["text"] for one in heard if one["type"] == "delta")
            assert deltas == heard[-1]["text"] == f"{sku} costs {cents} cents."


async def test_two_see_each_other(unique: str) -> None:
    async with RoomDriver.enter("alice", unique) as alice, RoomDriver.enter("bob", unique) as bob:
        await alice.say(type="message", text="hello")
        assert (await bob.hear())["text"] == "hello"
        await bob.say(type="message", text="good morning")
        heard = [await alice.hear(), await alice.hear()]
    assert [(one["from"], one["seq"]) for one in heard] == [("alice", 1), ("bob", 2)]


async def test_history_survives_a_reconnect(unique: str) -> None:
    async with RoomDriver.enter("bob", unique) as bob:
        await bob.say(type="message", text="remember me")
        await bob.hear()
    async with RoomDriver.enter("bob", unique) as bob:
        await bob.say(type="history")
        history = await bob.hear()
    assert [one["text"] for one in history["messages"]] == ["remember me"]


async def test_without_a_token_the_room_is_closed(ws_url: str) -> None:
    async with websockets.connect(f"{ws_url}/ws?token=forged") as socket:
        await socket.send(json.dumps({"type": "join", "room": "lobby"}))
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            await asyncio.wait_for(socket.recv(), 2)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


@pytest.fixture
def member() -> Iterator[ClientConnection]:
    """A connection that is open before the test begins."""
    with connect_sync(f"{WS_URL}/ws?token={token_of('alice')}", open_timeout=3) as socket:
        yield socket


def test_a_type_that_is_none(member: ClientConnection) -> None:
    member.send(json.dumps({"type": "dance"}))
    assert json.loads(member.recv(timeout=2)) == {"type": "error", "code": "unknown-type"}


async def test_prices_keep_coming(ws_url: str) -> None:
    numbers: list[int] = []
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{ws_url}/feed?sku=SKU-025") as socket,
    ):
        async for message in socket:
            told = message.json()
            assert (told["sku"], told["cents"]) == ("SKU-025", 3925)
            numbers.append(told["n"])
            if len(numbers) == 5:
                break
    assert numbers == [1, 2, 3, 4, 5]


def test_a_listener_in_the_background(ws_url: str) -> None:
    heard: Queue[dict[str, Any]] = Queue()

    def listen() -> None:
        with connect_sync(f"{ws_url}/feed?sku=SKU-002") as socket:
            for _ in range(3):
                heard.put(json.loads(socket.recv(timeout=2)))

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    first = heard.get(timeout=3)
    listener.join(3)
    assert first["cents"] == 774
