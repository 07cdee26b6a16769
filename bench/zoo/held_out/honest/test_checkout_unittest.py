"""Checkout, as the team that came from unittest writes it."""

from __future__ import annotations

import unittest

import httpx

from bench.zoo.held_out.shopkit.client import ShopClient
from bench.zoo.held_out.shopkit.config import BASE_URL, PASSWORDS


class CheckoutTests(unittest.TestCase):
    """One customer for the whole class."""

    client: ShopClient
    placed: list[str]

    @classmethod
    def setUpClass(cls) -> None:
        """Log in once."""
        cls.client = ShopClient().login("alice")

    @classmethod
    def tearDownClass(cls) -> None:
        """And leave."""
        cls.client.close()

    def setUp(self) -> None:
        """Nothing ordered yet."""
        self.placed = []

    def tearDown(self) -> None:
        """Cancel what was ordered."""
        for number in self.placed:
            self.client.cancel(number)

    def test_totals(self) -> None:
        for quantity in (1, 2, 5):
            with self.subTest(quantity=quantity):
                body = self.client.place_order("SKU-020", quantity).json()
                self.placed.append(body["id"])
                price = self.client.get_json("/products/SKU-020")["price"]["cents"]
                self.assertEqual(body["total_cents"], price * quantity)  # noqa: PT009

    def test_empty_basket(self) -> None:
        answer = self.client.call("POST", "/orders", json={"lines": []})
        self.assertEqual(answer.status_code, 422)  # noqa: PT009
        self.assertIn("nothing-ordered", answer.text)  # noqa: PT009


class AsyncCheckoutTests(unittest.IsolatedAsyncioTestCase):
    """The same over httpx."""

    async def asyncSetUp(self) -> None:
        """Log in."""
        self.http = httpx.AsyncClient(base_url=BASE_URL, timeout=5)
        told = {"user": "bob", "password": PASSWORDS["bob"]}
        token = (await self.http.post("/api/v1/login", json=told)).json()["token"]
        self.http.headers["Authorization"] = f"Bearer {token}"

    async def asyncTearDown(self) -> None:
        """Leave."""
        await self.http.aclose()

    async def test_order_belongs_to_me(self) -> None:
        lines = [{"sku": "SKU-021", "quantity": 1}]
        order = (await self.http.post("/api/v1/orders", json={"lines": lines})).json()
        found = await self.http.get(f"/api/v1/orders/{order['id']}")
        self.assertEqual(found.json()["user"], "bob")  # noqa: PT009
