"""Many at once."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor, as_completed

import aiohttp
import anyio
import httpx
import pytest
import requests
import uvloop

from bench.zoo.held_out.shopkit.client import ShopClient


async def test_twenty_at_once(base_url: str) -> None:
    async with httpx.AsyncClient(base_url=base_url, timeout=5) as client:
        answers = await asyncio.gather(
            *(client.get(f"/api/v1/products/SKU-{n:03d}") for n in range(1, 21))
        )
    assert [answer.json()["sku"] for answer in answers] == [f"SKU-{n:03d}" for n in range(1, 21)]


def test_customers_in_threads_do_not_mix(base_url: str) -> None:
    def who(user: str) -> tuple[str, str]:
        with ShopClient(base_url) as client:
            return user, client.login(user).get_json("/me")["user"]

    with ThreadPoolExecutor(4) as workers:
        asked = [workers.submit(who, user) for user in ("alice", "bob", "root") * 3]
        found = [one.result(timeout=5) for one in as_completed(asked)]
    assert all(user == seen for user, seen in found), found


def test_the_same_key_from_many_threads_orders_once(alice: ShopClient, unique: str) -> None:
    with ThreadPoolExecutor(4) as workers:
        answers = list(workers.map(lambda _: alice.place_order("SKU-006", key=unique), range(8)))
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]


async def test_a_semaphore_as_in_our_importer(base_url: str) -> None:
    gate, found = asyncio.Semaphore(3), {}

    async def fetch(session: aiohttp.ClientSession, sku: str) -> None:
        async with gate, session.get(f"/api/v1/products/{sku}") as answer:
            answer.raise_for_status()
            found[sku] = (await answer.json())["stock"]

    async with aiohttp.ClientSession(base_url) as session, asyncio.TaskGroup() as group:
        for n in range(1, 15):
            group.create_task(fetch(session, f"SKU-{n:03d}"))
    assert found == {f"SKU-{n:03d}": n % 7 for n in range(1, 15)}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_with_anyio(base_url: str, backend: str) -> None:
    async def replies() -> set[str]:
        found = set()
        async with httpx.AsyncClient(base_url=base_url, timeout=5) as client:

            async def ask(sku: str) -> None:
                answer = await client.post("/api/v1/chat", json={"message": sku})
                found.add(answer.json()["reply"])

            async with anyio.create_task_group() as group:
                for sku in ("sku-001", "sku-002"):
                    group.start_soon(ask, sku)
        return found

    seen = anyio.run(replies, backend=backend)
    assert seen == {"SKU-001 costs 637 cents.", "SKU-002 costs 774 cents."}


def test_on_uvloop_as_in_production(base_url: str) -> None:
    async def stock() -> int:
        async with (
            aiohttp.ClientSession(base_url) as session,
            session.get("/api/v1/products/SKU-013") as answer,
        ):
            return int((await answer.json())["stock"])

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(stock()) == 6


def test_at_most_one_failure_among_thirty(base_url: str) -> None:
    failures = 0
    with requests.Session() as session:
        for n in range(30):
            answer = session.get(f"{base_url}/api/v1/products/SKU-{n + 1:03d}", timeout=5)
            failures += answer.json().get("category") not in {"tea", "coffee", "mugs"}
    assert failures <= 1
