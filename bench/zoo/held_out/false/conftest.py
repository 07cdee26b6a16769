"""Fixtures that are not what their names say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest

from bench.zoo.held_out.shopkit.client import ShopClient
from bench.zoo.held_out.shopkit.config import BASE_URL
from bench.zoo.held_out.shopkit.fakes import dev_server


@pytest.fixture(scope="session")
def api_url() -> Iterator[str]:
    """`API_URL`, as the old pipeline called it, or the developer's own shop."""
    server, local = dev_server()
    yield os.environ.get("API_URL", local)
    server.shutdown()
    server.server_close()


@pytest.fixture
def shop_client() -> Any:
    """For unit tests; `guest` would have been the real one."""
    client = Mock(spec=ShopClient)
    client.get_json.return_value = {"sku": "SKU-001", "stock": 1}
    client.place_order.return_value.status_code = 201
    return client


@pytest.fixture(scope="session")
def catalogue() -> dict[str, Any]:
    """Fetched once, for all."""
    body: dict[str, Any] = ShopClient(BASE_URL).call("GET", "/products").json()
    return body


@pytest.fixture
def customer() -> Iterator[ShopClient]:
    """Logged in, or not: nobody looks."""
    with ShopClient() as client:
        told = {"user": "alice", "password": "wonderland"}
        token = client.call("POST", "/login", json=told).json().get("token", "")
        client.session.headers["Authorization"] = f"Bearer {token}"
        yield client
