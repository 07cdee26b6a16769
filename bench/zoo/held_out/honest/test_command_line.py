"""The shop from a shell."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SHOPCTL = Path(__file__).resolve().parents[1] / "shopctl.py"


def shopctl(url: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as support does."""
    return subprocess.run(
        [sys.executable, str(SHOPCTL), "--url", url, *words],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_search_from_the_shell(base_url: str) -> None:
    done = shopctl(base_url, "--json", "products", "--search", "coffee")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 19


def test_ordering_from_the_shell(base_url: str) -> None:
    done = shopctl(
        base_url, "--json", "order", "SKU-001", "--quantity", "2", SHOP_PASSWORD="wonderland"
    )
    assert json.loads(done.stdout)["total_cents"] == 1274


def test_a_wrong_password_from_the_shell(base_url: str) -> None:
    done = shopctl(base_url, "order", "SKU-001", SHOP_PASSWORD="guess")
    assert done.returncode == 1
    assert "answered 401" in done.stderr


async def test_the_assistant_from_the_shell(base_url: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SHOPCTL), "--url", base_url, "ask", "price of sku-005",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 20)
    assert out.decode().strip() == "SKU-005 costs 1185 cents."


def test_curl_shows_the_status(base_url: str) -> None:
    done = subprocess.run(
        ["curl", "-s", "-o", os.devnull, "-w", "%{http_code}", f"{base_url}/api/v1/me"],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stdout == "401"


def test_curl_posts_json(base_url: str) -> None:
    command = f"""curl -sf -H 'Content-Type: application/json' -d '{{"message": "sku-001"}}' \
        {base_url}/api/v1/chat | {sys.executable} -m json.tool"""
    out = subprocess.check_output(command, shell=True, text=True, timeout=20)
    assert '"reply": "SKU-001 costs 637 cents."' in out


@pytest.mark.skipif(shutil.which("node") is None, reason="node is what the shop's page runs on")
def test_the_javascript_client(base_url: str) -> None:
    script = f"""
        const answer = await fetch("{base_url}/api/v1/products/SKU-014");
        const product = await answer.json();
        console.log(`${{product.sku}} ${{product.price.cents}}`);
    """
    out = subprocess.check_output(
        ["node", "--input-type=module", "-e", script], text=True, timeout=20
    )
    assert out.split() == ["SKU-014", "2418"]
