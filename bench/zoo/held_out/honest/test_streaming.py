"""Server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import aiohttp
import httpx
import pytest
import requests

from bench.zoo.held_out.shopkit.client import ShopClient
from bench.zoo.held_out.shopkit.events import parse, parse_async


@pytest.fixture
async def http(base_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """An asynchronous client."""
    async with httpx.AsyncClient(base_url=base_url, timeout=5) as client:
        yield client


def test_what_becomes_of_an_order(alice: ShopClient) -> None:
    number = alice.place_order("SKU-015").json()["id"]
    with alice.call("GET", f"/orders/{number}/events", stream=True) as answer:
        events = list(parse(answer.iter_lines(decode_unicode=True)))
    assert [event.name for event in events] == ["placed", "paid", "packed"]
    assert {event.json()["order"] for event in events} == {number}


async def test_the_assistant_answers_word_by_word(http: httpx.AsyncClient) -> None:
    told = {"message": "what is sku-002", "stream": True}
    pieces: list[str] = []
    async with http.stream("POST", "/api/v1/chat", json=told) as answer:
        async for event in parse_async(answer.aiter_lines()):
            if event.data == "[DONE]":
                break
            pieces.append(event.json()["delta"])
        else:
            pytest.fail("the stream ended without [DONE]")
    assert "".join(pieces) == "SKU-002 costs 774 cents."


async def test_streamed_and_whole_agree(http: httpx.AsyncClient) -> None:
    whole = (await http.post("/api/v1/chat", json={"message": "sku-040"})).json()
    streamed = await http.post("/api/v1/chat", json={"message": "sku-040", "stream": True})
    data = [line[6:] for line in streamed.text.splitlines() if line.startswith("data: ")]
    assert data.pop() == "[DONE]"
    assert whole["pieces"] == len(data)
    assert "".join(json.loads(piece)["delta"] for piece in data) == whole["reply"]


async def test_raw_chunks_over_aiohttp(base_url: str) -> None:
    told = {"message": "hello", "stream": True}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{base_url}/api/v1/chat", json=told) as answer,
    ):
        assert answer.content_type == "text/event-stream"
        seen = [line async for line in answer.content if line.startswith(b"data:")]
    assert seen[-1].strip() == b"data: [DONE]"
    assert len(seen) == 6


def test_the_first_event_is_enough(base_url: str) -> None:
    told = {"message": "sku-003", "stream": True}
    with requests.post(f"{base_url}/api/v1/chat", json=told, stream=True, timeout=5) as answer:
        first = next(line for line in answer.iter_lines() if line)
    assert json.loads(first.removeprefix(b"data: ")) == {"delta": "SKU-003"}
