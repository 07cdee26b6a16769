"""Mocks in the place of the shop."""

from __future__ import annotations

from typing import Any
from unittest.mock import AsyncMock, Mock, patch

import pytest
import requests
import responses
import respx

from bench.zoo.held_out.shopkit.client import BaseUrlSession, ShopClient
from bench.zoo.held_out.shopkit.config import BASE_URL
from bench.zoo.held_out.shopkit.pages import OrderPage


def test_stock_of_a_product(shop_client: Any) -> None:
    """It wanted `guest`, and took the fixture of the unit tests."""
    assert shop_client.get_json("/products/SKU-001")["stock"] == 1


def test_order_is_accepted(shop_client: Any) -> None:
    """A Mock is always true."""
    answer = shop_client.cancel("o-1")
    assert answer
    assert shop_client.place_order("SKU-001").status_code == 201


def test_the_session_is_used(guest: ShopClient) -> None:
    """What it asserts on is what it put there."""
    answer = Mock(status_code=200, json=lambda: {"user": "alice"})
    with patch.object(requests.Session, "request", return_value=answer) as called:
        assert guest.get_json("/me") == {"user": "alice"}
    called.assert_called_once()


def test_placing_an_order(monkeypatch: pytest.MonkeyPatch, customer: ShopClient) -> None:
    """Its own client is replaced; nothing of the network is."""
    monkeypatch.setattr(ShopClient, "place_order", lambda *_: Mock(status_code=201))
    assert customer.place_order("SKU-001").status_code == 201


def test_order_page_waits(guest: ShopClient) -> None:
    """The status comes from the test."""
    with patch.object(ShopClient, "order", side_effect=[{"status": "pending"}, {"status": "paid"}]):
        page = OrderPage(guest, "o-1").wait_paid()
    assert page.number == "o-1"


@responses.activate
def test_replayed_responses() -> None:
    """A canned answer for the given address."""
    responses.get(f"{BASE_URL}/api/v1/products/SKU-001", json={"stock": 1})
    with BaseUrlSession() as session:
        assert session.get("/api/v1/products/SKU-001").json() == {"stock": 1}


async def test_assistant_reply() -> None:
    """An AsyncMock in the place of the room."""
    room = AsyncMock()
    room.ask.return_value = [{"type": "done"}]
    assert (await room.ask("sku-001"))[-1]["type"] == "done"
    room.ask.assert_awaited_once_with("sku-001")


def test_was_the_order_sent() -> None:
    """`called_once_with` is no assertion, it is one more Mock."""
    client = Mock()
    client.login("alice")
    assert client.place_order.called_once_with("SKU-001")


@respx.mock
def test_partly_mocked(guest: ShopClient, respx_mock: respx.MockRouter) -> None:
    """The health is asked for real, the order is not."""
    import httpx  # noqa: PLC0415

    respx_mock.post(f"{BASE_URL}/api/v1/orders").respond(201, json={"status": "paid"})
    assert guest.session.get("/health").ok
    assert httpx.post(f"{BASE_URL}/api/v1/orders", json={}).json()["status"] == "paid"
