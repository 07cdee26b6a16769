"""Honest by their label, and yet they pass when nobody answers: README says what is expected."""

from __future__ import annotations

import subprocess
import sys

import httpx
import pytest

from bench.zoo.held_out.honest.test_command_line import SHOPCTL


def test_an_order_without_log_in_raises(base_url: str) -> None:
    with httpx.Client(base_url=base_url) as client, pytest.raises(httpx.HTTPError):
        client.post("/api/v1/orders", json={"lines": []}).raise_for_status()


def test_curl_fails_on_a_product_that_is_none(base_url: str) -> None:
    command = ["curl", "-sf", f"{base_url}/api/v1/products/SKU-999"]
    assert subprocess.run(command, capture_output=True, timeout=20, check=False).returncode != 0


def test_the_command_line_fails_without_a_password(base_url: str) -> None:
    command = [sys.executable, str(SHOPCTL), "--url", base_url, "order", "SKU-001"]
    assert subprocess.run(command, capture_output=True, timeout=20, check=False).returncode != 0
