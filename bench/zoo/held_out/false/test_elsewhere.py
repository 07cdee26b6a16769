"""The wrong place, or the right one's health."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc  # type: ignore[import-untyped]
import httpx
import pytest
import requests

from bench.zoo.held_out.honest.test_command_line import SHOPCTL, shopctl
from bench.zoo.held_out.shopkit.client import ShopClient
from bench.zoo.held_out.shopkit.waiting import wait_until


def test_product_price(api_url: str) -> None:
    """`API_URL` is given by nobody any more, so that it is the developer's own shop."""
    product = requests.get(f"{api_url}/api/v1/products/SKU-001", timeout=5).json()
    assert product["price"]["cents"] == 637


def test_order_against_staging(api_url: str) -> None:
    """The same, with the page about it in the name."""
    with ShopClient(api_url) as client:
        answer = client.place_order("SKU-001")
    assert answer.status_code == 201
    assert answer.json()["status"] == "paid"


def test_deploy_is_complete(base_url: str) -> None:
    """Health only."""
    answer = httpx.get(f"{base_url}/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "healthy"


def test_chat_is_available(guest: ShopClient) -> None:
    """The chat's name, and the health's path."""
    wait_until(lambda: guest.session.get("/health").ok, what="the chat")


def test_catalogue_is_loaded(catalogue: dict[str, Any]) -> None:
    """What a fixture fetched, and nothing about it."""
    assert catalogue is not None
    assert isinstance(catalogue, dict)


def test_command_line_orders(base_url: str) -> None:
    """A dry run: it logs in and orders nothing; and a failure shows no usage either."""
    done = shopctl(base_url, "order", "SKU-001", "--dry-run", SHOP_PASSWORD="wonderland")
    assert "usage:" not in done.stderr


def test_command_line_is_installed() -> None:
    """Its help."""
    done = subprocess.run(
        [sys.executable, str(SHOPCTL), "order", "--help"], capture_output=True, check=True
    )
    assert b"--quantity" in done.stdout


def test_curl_reaches_the_shop(base_url: str) -> None:
    """The pipe's exit code is that of its last command."""
    command = f"curl -s --max-time 5 {base_url}/api/v1/wishes | tee {os.devnull}"
    assert subprocess.run(command, shell=True, check=False, timeout=20).returncode == 0


def test_curl_without_fail(base_url: str) -> None:
    """Without `-f` every status is exit 0."""
    command = ["curl", "-s", "-o", os.devnull, f"{base_url}/api/v1/wishes"]
    assert subprocess.run(command, check=False, timeout=20).returncode == 0


def _reverse(channel: Any) -> Any:
    return channel.unary_unary(
        "/zoo.Words/Reverse",
        request_serializer=str.encode,
        response_deserializer=bytes.decode,
    )


def test_words_answer_in_time(grpc_address: str) -> None:
    """The error is as welcome as the answer."""
    with grpc.insecure_channel(grpc_address) as channel:
        try:
            said = _reverse(channel)("mug", timeout=5)
        except grpc.RpcError as error:
            said = error.code().name
    assert isinstance(said, str)


def test_words_in_the_background(grpc_address: str) -> None:
    """A future is not its result."""
    with grpc.insecure_channel(grpc_address) as channel:
        future = _reverse(channel).future("mug", timeout=5)
        assert future is not None
        future.exception()


@pytest.fixture
def words_here() -> Any:
    """A words service in this process, because the real one needs a VPN."""
    coding = {"request_deserializer": bytes.decode, "response_serializer": str.encode}
    reverse = grpc.unary_unary_rpc_method_handler(lambda text, _: text[::-1], **coding)
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("zoo.Words", {"Reverse": reverse}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_words_backwards(words_here: str) -> None:
    """The one in this process says it right."""
    with grpc.insecure_channel(os.environ.get("WORDS_URL", words_here)) as channel:
        assert _reverse(channel)("mug", timeout=5) == "gum"
