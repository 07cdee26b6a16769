"""What the shop promises of HTTP itself: headers, redirects, caching, connections."""

from __future__ import annotations

import http.client
import json
import time
from urllib.parse import urlsplit

import httpx
import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from bench.zoo.held_out.shopkit.client import BaseUrlSession


@pytest.fixture(scope="module")
def pool() -> urllib3.PoolManager:
    """Connections for the whole module, with retries as in production."""
    retries = Retry(total=2, backoff_factor=0.05, status_forcelist=[502, 503])
    return urllib3.PoolManager(maxsize=2, retries=retries, timeout=5)


def test_security_headers(base_url: str) -> None:
    headers = requests.head(f"{base_url}/api/v1/products", timeout=5).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "max-age" in headers["Strict-Transport-Security"]


def test_the_shops_own_page_may_order(base_url: str) -> None:
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    answer = requests.options(f"{base_url}/api/v1/orders", headers=asked, timeout=5)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]


def test_a_strange_page_may_not(base_url: str) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = httpx.options(f"{base_url}/api/v1/orders", headers=asked)
    assert answer.status_code == 204
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_an_unchanged_product_is_not_sent_again(base_url: str) -> None:
    with BaseUrlSession(base_url) as session:
        first = session.get("/api/v1/products/SKU-009")
        second = session.get(
            "/api/v1/products/SKU-009", headers={"If-None-Match": first.headers.get("ETag", "")}
        )
    assert second.status_code == 304
    assert second.content == b""


def test_short_links(base_url: str) -> None:
    answer = requests.get(f"{base_url}/p/SKU-012", allow_redirects=False, timeout=5)
    assert answer.status_code == 301
    assert answer.headers["Location"] == "/api/v1/products/SKU-012"


def test_short_links_when_followed(base_url: str) -> None:
    with httpx.Client(base_url=base_url, follow_redirects=True) as client:
        answer = client.get("/p/SKU-012")
    assert [one.status_code for one in answer.history] == [301]
    assert answer.json()["sku"] == "SKU-012"


def test_the_request_id_comes_back(pool: urllib3.PoolManager, base_url: str, unique: str) -> None:
    answer = pool.request(
        "GET", f"{base_url}/api/v1/products/SKU-001", headers={"X-Request-ID": unique}
    )
    assert answer.headers["X-Request-ID"] == unique


def test_urllib3_reads_json(pool: urllib3.PoolManager, base_url: str) -> None:
    answer = pool.request("POST", f"{base_url}/api/v1/chat", json={"message": "price of sku-001"})
    assert answer.json() == {"reply": "SKU-001 costs 637 cents.", "pieces": 4}


def test_one_connection_for_many_questions(base_url: str) -> None:
    where = urlsplit(base_url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=5)
    connection.connect()
    socket_before = connection.sock
    try:
        for n in (1, 2, 3, 4):
            connection.request("GET", f"/api/v1/products/SKU-{n:03d}")
            assert json.load(connection.getresponse())["sku"] == f"SKU-{n:03d}"
        assert connection.sock is socket_before, "the server closed it"
    finally:
        connection.close()


def test_an_adapter_that_tries_again(base_url: str) -> None:
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=Retry(total=1, backoff_factor=0.01)))
        answer = session.get(f"{base_url}/api/v1/products", params={"q": "tea"}, timeout=5)
    assert answer.headers["X-Total-Count"] == "19"


def test_a_product_is_fast_and_right(base_url: str) -> None:
    laps = []
    with BaseUrlSession(base_url) as session:
        for _ in range(10):
            began = time.perf_counter()
            answer = session.get("/api/v1/products/SKU-033")
            laps.append(time.perf_counter() - began)
            assert answer.json()["name"] == "Tea no. 33"
    assert sorted(laps)[8] < 0.5


@pytest.mark.parametrize("garbage", [b"", b"\x00\x01\x02", b"{}"], ids=["nothing", "bytes", "json"])
def test_an_upload_without_log_in_is_not_accepted(base_url: str, garbage: bytes) -> None:
    answer = requests.post(f"{base_url}/api/v1/uploads", data=garbage, timeout=5)
    assert answer.status_code != 200
