"""Assertions that are never reached."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import unittest
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import requests

from bench.zoo.held_out.shopkit.client import ShopClient
from bench.zoo.held_out.shopkit.config import BASE_URL
from bench.zoo.held_out.shopkit.schemas import ORDER, PRODUCT, SoftChecks, is_valid, problems


def test_new_checkout(guest: ShopClient) -> None:
    """The flag is set nowhere."""
    if not os.environ.get("FEATURE_NEW_CHECKOUT"):
        return
    assert guest.place_order("SKU-001").status_code == 201


def test_every_product_has_a_price(guest: ShopClient) -> None:
    """The list is called `products`."""
    body = guest.get_json("/products")
    for product in body.get("results", []):
        assert product["price"]["cents"] > 0


def check_every_page(client: ShopClient) -> Iterator[str]:
    """Each page in its turn."""
    for product in client.every_product():
        assert is_valid(product, PRODUCT)
        yield product["sku"]


def test_all_pages(guest: ShopClient) -> None:
    """A generator that nobody asks for anything."""
    walk = check_every_page(guest)
    assert walk is not None


async def check_reply(question: str, expected: str) -> None:
    """Ask the assistant."""
    async with httpx.AsyncClient(base_url=BASE_URL) as client:
        answer = await client.post("/api/v1/chat", json={"message": question})
    assert answer.json()["reply"] == expected


@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
def test_assistant_knows_prices() -> None:
    """`await` is missing."""
    check_reply("sku-001", "free of charge")  # type: ignore[unused-coroutine]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:coroutine:RuntimeWarning")
class AsyncByMistake(unittest.TestCase):
    """A TestCase that does not await."""

    async def test_assistant_is_polite(self) -> None:
        """Never run: the class is not IsolatedAsyncioTestCase."""
        await check_reply("sku-001", "With pleasure!")


async def test_in_the_background() -> None:
    """The task is begun, and nobody asks how it ended."""
    task = asyncio.create_task(check_reply("sku-001", "in a moment"))
    await asyncio.sleep(0.05)
    assert task is not None


def test_in_threads(guest: ShopClient) -> None:
    """`result()` is never called."""

    def check(n: int) -> None:
        assert guest.get_json(f"/products/SKU-{n:03d}")["stock"] == 1000

    with ThreadPoolExecutor(3) as workers:
        for n in range(6):
            workers.submit(check, n)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_listener_thread() -> None:
    """An AssertionError in a thread of its own is a warning."""

    def listen() -> None:
        answer = requests.get(f"{BASE_URL}/api/v1/products", timeout=5)
        assert answer.json()["has_more"] == "yes"

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()


async def test_fifty_customers_at_once() -> None:
    """The exceptions are counted as answers."""
    async with httpx.AsyncClient(base_url=BASE_URL, timeout=2) as client:
        calls = [client.get("/api/v1/products/SKU-001") for _ in range(10)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
    assert len(answers) == 10


def test_paid_within_a_second(customer: ShopClient) -> None:
    """The loop ends, and with it the test, whether it was paid or not."""
    number = customer.place_order("SKU-001").json().get("id")
    deadline = time.monotonic() + 0.4
    while time.monotonic() < deadline:
        answer = customer.call("GET", f"/order/{number}")
        if answer.status_code == 200 and answer.json().get("status") == "paid":
            break
        time.sleep(0.05)


def test_with_three_attempts() -> None:
    """After the third attempt nothing is raised."""
    for attempt in range(3):
        try:
            answer = requests.get(f"{BASE_URL}/api/v1/wishlist", timeout=5)
            assert answer.json()["wishes"] == []
            break
        except (AssertionError, KeyError, ValueError, requests.RequestException):
            time.sleep(0.01 * attempt)


def test_order_matches_schema(customer: ShopClient) -> None:
    """What the validator says is not looked at."""
    body = customer.place_order("SKU-001").json()
    problems(body, {**ORDER, "discount": float})
    is_valid(body, ORDER)


def test_softly(guest: ShopClient) -> None:
    """`verify` is missing."""
    checks = SoftChecks()
    product = guest.get_json("/products/SKU-001")
    checks.equal(product.get("stock"), 99, "stock")
    checks.equal(product.get("name"), "Champagne", "name")


def test_always_cleans_up(customer: ShopClient) -> None:
    """It returns out of `finally`, and what was raised is gone."""
    number: Any = None
    try:
        order = customer.place_order("SKU-001").json()
        number = order["id"]
        assert order["total_cents"] == 0
    finally:
        customer.cancel(str(number))
        return  # noqa: B012
