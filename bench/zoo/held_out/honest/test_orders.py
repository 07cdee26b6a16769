"""Orders: placing, paying, cancelling, and whose they are."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from bench.zoo.held_out.shopkit.client import ShopClient
from bench.zoo.held_out.shopkit.pages import CataloguePage
from bench.zoo.held_out.shopkit.schemas import ORDER, SoftChecks, problems
from bench.zoo.held_out.shopkit.waiting import retry, wait_until


def test_a_new_order_fits_the_schema(bob: ShopClient) -> None:
    answer = bob.place_order("SKU-003", 2)
    assert answer.status_code == 201
    body = answer.json()
    assert problems(body, ORDER) == []
    assert answer.headers["Location"].endswith(body["id"])


def test_it_is_paid_in_the_end(bob: ShopClient) -> None:
    number = bob.place_order("SKU-001").json()["id"]
    deadline = time.monotonic() + 3
    status = None
    while time.monotonic() < deadline:
        status = bob.order(number)["status"]
        if status == "paid":
            break
        time.sleep(0.05)
    assert status == "paid"


def test_the_same_key_orders_once(bob: ShopClient, unique: str) -> None:
    first = bob.place_order("SKU-007", key=unique)
    again = bob.place_order("SKU-007", key=unique)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]


def test_the_same_key_for_another_order_is_a_conflict(bob: ShopClient, unique: str) -> None:
    bob.place_order("SKU-007", key=unique).raise_for_status()
    with pytest.raises(requests.HTTPError, match="409"):
        bob.place_order("SKU-008", key=unique).raise_for_status()


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([], 422),
        ([{"sku": "SKU-001", "quantity": 0}], 422),
        ([{"sku": "SKU-001", "quantity": -3}], 422),
        ([{"sku": "NOPE", "quantity": 1}], 404),
    ],
    ids=["empty", "zero", "negative", "unknown"],
)
def test_orders_that_are_none(bob: ShopClient, lines: list[dict[str, Any]], status: int) -> None:
    answer = bob.call("POST", "/orders", json={"lines": lines})
    assert answer.status_code == status, answer.text


def test_other_peoples_orders_are_theirs(
    bob: ShopClient, alice: ShopClient, order_of: Callable[..., Any]
) -> None:
    number = order_of("SKU-002").get("id")
    assert bob.call("GET", f"/orders/{number}").status_code == 403
    assert alice.order(number)["user"] == "alice"


def test_cancelling(alice: ShopClient) -> None:
    number = alice.place_order("SKU-004").json()["id"]
    try:
        assert number in [order["id"] for order in alice.get_json("/orders")["orders"]]
    finally:
        gone = alice.cancel(number)
    assert gone.status_code == 204
    assert alice.call("GET", f"/orders/{number}").status_code == 404


def test_buying_the_cheapest(alice: ShopClient) -> None:
    product = CataloguePage(alice).cheapest()
    order = product.buy(quantity=3).wait_paid()
    try:
        assert order.total_cents == 3 * product.price_cents
    finally:
        order.cancel()


@retry(attempts=8, wait=0.03)
def test_eventually_paid_with_a_retry_around_all_of_it(bob: ShopClient) -> None:
    number = bob.place_order("SKU-005", key="retry-around-all").json()["id"]
    assert bob.order(number)["status"] == "paid"


def test_several_things_at_once(bob: ShopClient) -> None:
    checks = SoftChecks()
    body = bob.place_order("SKU-010", 4).json()
    price = bob.get_json("/products/SKU-010")["price"]["cents"]
    checks.equal(body.get("user"), "bob", "user")
    checks.equal(body.get("total_cents"), 4 * price, "total")
    checks.equal([line["quantity"] for line in body["lines"]], [4], "quantities")
    checks.verify()


def test_the_list_grows_by_what_was_ordered(bob: ShopClient) -> None:
    before = {order["id"] for order in bob.get_json("/orders")["orders"]}
    placed = {bob.place_order("SKU-011").json()["id"] for _ in range(3)}

    def arrived() -> bool:
        after = {order["id"] for order in bob.get_json("/orders")["orders"]}
        return placed <= after - before

    wait_until(arrived, what="three new orders")


def test_every_order_of_mine_has_a_total(bob: ShopClient, subtests: pytest.Subtests) -> None:
    for sku, cents in (("SKU-001", 637), ("SKU-002", 774)):
        with subtests.test(sku=sku):
            assert bob.place_order(sku).json()["total_cents"] == cents
