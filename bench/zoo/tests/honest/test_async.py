"""asyncio, trio and uvloop, under pytest-asyncio, anyio and by hand."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

import aiohttp
import anyio
import httpx
import pytest
import pytest_asyncio
import trio
import uvloop

T = TypeVar("T")


@pytest.fixture(scope="module")
def httpx_client(base_url: str) -> Iterator[httpx.Client]:
    """A pool for the whole module."""
    with httpx.Client(base_url=base_url, timeout=10) as client:
        yield client


@pytest_asyncio.fixture
async def aiohttp_session(base_url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A session for one test."""
    async with aiohttp.ClientSession(base_url) as session:
        yield session


@pytest.fixture(scope="module")
def loop_thread() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in a thread of its own for the whole module."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def test_httpx_sync(httpx_client: httpx.Client) -> None:
    assert httpx_client.get("/echo", params={"text": "été"}).json()["length"] == 3


def test_httpx_refuses_words_as_numbers(httpx_client: httpx.Client) -> None:
    answer = httpx_client.post("/sum", json={"numbers": ["two"]})
    assert answer.status_code == 422
    assert answer.json()["error"] == "numbers must be numbers"


@pytest.mark.asyncio
async def test_httpx_async(base_url: str) -> None:
    async with httpx.AsyncClient(base_url=base_url, timeout=10) as client:
        answers = await asyncio.gather(*(client.get(f"/echo?text={n}") for n in range(5)))
    assert [answer.json()["text"] for answer in answers] == ["0", "1", "2", "3", "4"]


@pytest.mark.asyncio
async def test_aiohttp(aiohttp_session: aiohttp.ClientSession, key: str) -> None:
    async with aiohttp_session.put(f"/items/{key}", json={"owner": key}) as answer:
        assert answer.status == 201
    async with aiohttp_session.get("/search", params={"owner": key}) as answer:
        assert [thing["key"] for thing in (await answer.json())["items"]] == [key]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_anyio(base_url: str, anyio_backend: str) -> None:  # noqa: ARG001
    async with httpx.AsyncClient(base_url=base_url, timeout=10) as client:
        answer = await client.get("/private", headers={"Authorization": "Bearer user-ana"})
    assert answer.json() == {"user": "ana"}


def test_a_trio_stream(base_url: str) -> None:
    at = httpx.URL(base_url)

    async def ask() -> bytes:
        stream = await trio.open_tcp_stream(at.host, at.port or 80)
        async with stream:
            head = f"GET /echo?text=trio HTTP/1.1\r\nHost: {at.host}\r\nConnection: close\r\n\r\n"
            await stream.send_all(head.encode())
            told = b""
            async for part in stream:
                told += bytes(part)
            return told

    assert b'"reversed": "oirt"' in trio.run(ask)


def test_an_anyio_stream(base_url: str) -> None:
    at = httpx.URL(base_url)

    async def ask() -> bytes:
        async with await anyio.connect_tcp(at.host, at.port or 80) as stream:
            await stream.send(f"GET /nowhere HTTP/1.1\r\nHost: {at.host}\r\n\r\n".encode())
            return await stream.receive()

    assert anyio.run(ask).startswith(b"HTTP/1.1 404 ")


def test_uvloop_with_aiohttp(base_url: str) -> None:
    async def ask() -> Any:
        async with (
            aiohttp.ClientSession(base_url) as session,
            session.post("/sum", json={"numbers": [20, 22]}) as answer,
        ):
            return await answer.json()

    assert uvloop.run(ask()) == {"sum": 42}


def test_uvloop_with_httpx(base_url: str) -> None:
    async def ask() -> Any:
        async with httpx.AsyncClient(base_url=base_url, timeout=10) as client:
            return (await client.get("/echo?text=uv")).json()

    assert uvloop.run(ask())["reversed"] == "vu"


def test_a_loop_in_another_thread(loop_thread: asyncio.AbstractEventLoop, base_url: str) -> None:
    def wait(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop_thread).result(10)

    async def ask() -> Any:
        async with httpx.AsyncClient(base_url=base_url, timeout=10) as client:
            return (await client.get("/echo?text=thread")).json()

    assert wait(ask())["length"] == 6
