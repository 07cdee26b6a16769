"""Who is logged in, and where."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bench.zoo.held_out.shopkit.client import ShopClient
from bench.zoo.held_out.shopkit.config import BASE_URL, GRPC_ADDRESS, WS_URL


@pytest.fixture(scope="session")
def base_url() -> str:
    """The shop's address."""
    return BASE_URL


@pytest.fixture(scope="session")
def ws_url() -> str:
    """The shop's address for WebSockets."""
    return WS_URL


@pytest.fixture(scope="session")
def grpc_address() -> str:
    """The address of `zoo.Words`."""
    return GRPC_ADDRESS


@pytest.fixture
def guest() -> Iterator[ShopClient]:
    """Nobody in particular."""
    with ShopClient() as client:
        yield client


@pytest.fixture
def alice() -> Iterator[ShopClient]:
    """A customer, logged in."""
    with ShopClient() as client:
        yield client.login("alice")


@pytest.fixture(scope="module")
def bob() -> Iterator[ShopClient]:
    """Another one, logged in once for a module."""
    with ShopClient() as client:
        yield client.login("bob")


@pytest.fixture
def unique() -> str:
    """A word nobody used before."""
    return uuid.uuid4().hex[:12]


@pytest.fixture
def order_of(alice: ShopClient) -> Iterator[Callable[..., Any]]:
    """Places orders of alice's, and cancels them when the test is over."""
    placed: list[str] = []

    def place(sku: str, quantity: int = 1) -> Any:
        answer = alice.place_order(sku, quantity)
        answer.raise_for_status()
        body = answer.json()
        placed.append(body["id"])
        return body

    yield place
    for number in placed:
        alice.cancel(number)
