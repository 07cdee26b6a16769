"""Page objects: the shop as a customer walks through it."""

from __future__ import annotations

from typing import Any

from bench.zoo.held_out.shopkit.client import ShopClient
from bench.zoo.held_out.shopkit.waiting import wait_until


class CataloguePage:
    """The list of products."""

    def __init__(self, client: ShopClient) -> None:
        self.client = client

    def find(self, text: str) -> list[dict[str, Any]]:
        """What a search shows on its first page."""
        found = self.client.get_json("/products", params={"q": text, "per_page": 50})
        return list(found["products"])

    def cheapest(self) -> ProductPage:
        """Open the cheapest product."""
        shown = self.client.get_json("/products", params={"sort": "price", "per_page": 1})
        return ProductPage(self.client, shown["products"][0]["sku"])


class ProductPage:
    """One product."""

    def __init__(self, client: ShopClient, sku: str) -> None:
        self.client = client
        self.sku = sku

    @property
    def price_cents(self) -> int:
        """What it costs."""
        return int(self.client.get_json(f"/products/{self.sku}")["price"]["cents"])

    def buy(self, quantity: int) -> OrderPage:
        """Order it."""
        answer = self.client.place_order(self.sku, quantity)
        answer.raise_for_status()
        return OrderPage(self.client, answer.json()["id"])


class OrderPage:
    """One order."""

    def __init__(self, client: ShopClient, number: str) -> None:
        self.client = client
        self.number = number

    @property
    def total_cents(self) -> int:
        """What it costs in all."""
        return int(self.client.order(self.number)["total_cents"])

    def wait_paid(self) -> OrderPage:
        """Wait until it is paid."""
        wait_until(lambda: self.client.order(self.number)["status"] == "paid", what="the payment")
        return self

    def cancel(self) -> None:
        """Cancel it."""
        self.client.cancel(self.number).raise_for_status()
