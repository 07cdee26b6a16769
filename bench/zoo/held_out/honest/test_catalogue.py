"""The catalogue, over requests."""

from __future__ import annotations

import pytest
import requests

from bench.zoo.held_out.shopkit.client import ShopClient
from bench.zoo.held_out.shopkit.schemas import PRODUCT, problems


def test_walking_all_pages_shows_every_product_once(guest: ShopClient) -> None:
    seen = [product["sku"] for product in guest.every_product(per_page=20)]
    assert len(seen) == 57
    assert len(set(seen)) == len(seen)


def test_next_links_lead_to_the_last_page(base_url: str) -> None:
    with requests.Session() as session:
        url: str | None = f"{base_url}/api/v1/products?per_page=25"
        pages: list[int] = []
        while url:
            answer = session.get(url, timeout=5)
            pages.append(len(answer.json()["products"]))
            following = answer.links.get("next")
            url = base_url + following["url"] if following else None
    assert pages == [25, 25, 7]


@pytest.mark.parametrize(
    ("per_page", "status"), [("0", 422), ("51", 422), ("-1", 422), ("many", 400)]
)
def test_page_sizes_out_of_range_are_refused(guest: ShopClient, per_page: str, status: int) -> None:
    assert guest.call("GET", "/products", params={"per_page": per_page}).status_code == status


def test_sorting_by_price(guest: ShopClient) -> None:
    shown = guest.get_json("/products", params={"sort": "price", "per_page": 50})["products"]
    cents = [product["price"]["cents"] for product in shown]
    assert cents == sorted(cents)
    assert cents[0] < cents[-1]


@pytest.mark.parametrize("sku", ["SKU-001", "SKU-030", "SKU-057"])
def test_a_product_looks_as_it_should(guest: ShopClient, sku: str) -> None:
    product = guest.get_json(f"/products/{sku}")
    assert problems(product, PRODUCT) == []
    assert product["sku"] == sku


def test_a_product_that_is_none(guest: ShopClient) -> None:
    assert guest.call("GET", "/products/SKU-999").status_code == 404


def test_search_finds_mugs_alone(guest: ShopClient) -> None:
    found = guest.get_json("/products", params={"q": "mug", "per_page": 50})["products"]
    assert found, "no mugs at all"
    for product in found:
        assert product["category"] == "mugs", product["sku"]
