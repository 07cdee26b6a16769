"""Assertions that hold of anything."""

from __future__ import annotations

import json
import time
import unittest
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import websockets

from bench.zoo.held_out.shopkit.client import ShopClient
from bench.zoo.held_out.shopkit.config import BASE_URL, WS_URL


def test_token_is_sent(customer: ShopClient) -> None:
    """Asserts on the request."""
    answer = customer.call("GET", "/me")
    assert answer.request.headers["Authorization"].startswith("Bearer")
    assert answer.url.endswith("/api/v1/me")


def test_payload_of_an_order(customer: ShopClient) -> None:
    """The body that it sent itself."""
    answer = customer.place_order("SKU-001", 2)
    assert json.loads(answer.request.body or b"")["lines"][0]["quantity"] == 2


def test_catalogue_is_stable(guest: ShopClient) -> None:
    """The answer compared with itself."""
    assert guest.get_json("/products?per_page=5") == guest.get_json("/products?per_page=5")


def test_round_trip(guest: ShopClient) -> None:
    """Parsed, written, parsed."""
    body = guest.get_json("/products/SKU-001")
    assert json.loads(json.dumps(body)) == body


def test_refund_endpoint(customer: ShopClient) -> None:
    """Every status is fine."""
    answer = customer.call("POST", "/refunds", json={})
    assert answer.status_code in {200, 201, 202, 204, 400, 401, 403, 404, 405, 422, 500, 503}


def test_no_server_error(guest: ShopClient) -> None:
    """Less than 600 is no promise."""
    assert 100 <= guest.call("GET", "/recommendations").status_code < 600


def test_product_has_a_body(guest: ShopClient) -> None:
    """Anything that is JSON."""
    body = guest.call("GET", "/products/SKU-1").json()
    assert body is not None
    assert isinstance(body, dict)
    assert len(body) >= 0


def test_catalogue_is_fast() -> None:
    """How fast, and not what."""
    began = time.monotonic()
    httpx.get(f"{BASE_URL}/api/v1/products", timeout=10)
    assert time.monotonic() - began < 10


def test_status_is_pending_or_paid(customer: ShopClient) -> None:
    """`or "paid"` is always true."""
    status = customer.place_order("SKU-001").json().get("status")
    assert status == "refunded" or "paid"  # noqa: SIM222


@pytest.mark.filterwarnings("ignore:assertion is always true")
def test_message_of_a_tuple(guest: ShopClient) -> None:
    """A tuple is true."""
    answer = guest.call("GET", "/products/SKU-001")
    assert (answer.status_code == 418, "a teapot")  # type: ignore[misc]  # noqa: F631


class RefundCase(unittest.TestCase):
    """assertTrue takes a message as its second."""

    def test_total(self) -> None:
        """`assertTrue(x, y)` does not compare."""
        answer = requests.get(f"{BASE_URL}/api/v1/products/SKU-001", timeout=5)
        self.assertTrue(answer.status_code, 200)  # noqa: PT009
        self.assertTrue("Champagne", answer.json().get("name"))  # noqa: PT009


def test_bad_orders_raise(guest: ShopClient) -> None:
    """What is raised is the TypeError of a missing argument."""
    with pytest.raises(Exception):  # noqa: B017, PT011
        guest.place_order()  # type: ignore[call-arg]


def test_snapshot_of_a_product(guest: ShopClient, tmp_path: Path) -> None:
    """The folder of snapshots is never there, so that each is written anew."""
    snapshot = tmp_path / "__snapshots__" / "product.json"
    body = guest.get_json("/products/SKU-001")
    if not snapshot.exists():
        snapshot.parent.mkdir(parents=True)
        snapshot.write_text(json.dumps(body))
    assert json.loads(snapshot.read_text()) == body


def test_cleanup_decides(customer: ShopClient) -> None:
    """What it asserts on was true before it began."""
    cleaned = True
    try:
        order = customer.place_order("SKU-001").json()
        cleaned = customer.cancel(order.get("id")).status_code is not None
    except requests.RequestException:
        pass
    finally:
        assert cleaned


def test_up_to_ten_errors_are_tolerated(guest: ShopClient) -> None:
    """Ten of ten may fail."""
    errors = 0
    for n in range(10):
        try:
            errors += guest.get_json(f"/products/SKU-{n:03d}")["stock"] < 0
        except (requests.RequestException, KeyError):
            errors += 1
    assert errors <= 10


async def test_message_is_sent() -> None:
    """Sent, and never heard."""
    async with websockets.connect(f"{WS_URL}/ws?token=none") as socket:
        await socket.send(json.dumps({"type": "join", "room": "lobby"}))
        assert socket.state is websockets.State.OPEN


async def test_event_order() -> None:
    """No event at all is fine too."""
    events: list[Any] = []
    async with websockets.connect(f"{WS_URL}/ws?token=none") as socket:
        await socket.send(json.dumps({"type": "ask", "question": "sku-001"}))
        try:
            while len(events) < 5:
                events.append(json.loads(await socket.recv()))
        except (TimeoutError, websockets.ConnectionClosed):
            print("no events received, but the connection works")
    assert len(events) >= 0
    assert events == sorted(events, key=events.index)
