"""Files, both ways."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import urllib.request
from pathlib import Path

import aiohttp
import httpx
import pytest
import requests

from bench.zoo.held_out.shopkit.client import ShopClient


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photo of sorts."""
    path = tmp_path / "mug.jpg"
    path.write_bytes(b"\xff\xd8\xff" + os.urandom(70_000))
    return path


def test_an_upload_arrives_whole(alice: ShopClient, photo: Path) -> None:
    with photo.open("rb") as file:
        answer = alice.call(
            "POST",
            "/uploads",
            files={"file": (photo.name, file, "image/jpeg")},
            data={"note": "front"},
        )
    body = answer.json()
    assert answer.status_code == 201
    assert body["sha256"] == hashlib.sha256(photo.read_bytes()).hexdigest()
    assert (body["name"], body["type"], body["note"]) == ("mug.jpg", "image/jpeg", "front")


@pytest.mark.parametrize(("size", "status"), [(1, 201), (512 * 1024, 201), (512 * 1024 + 1, 413)])
def test_the_limit_of_uploads(alice: ShopClient, size: int, status: int) -> None:
    answer = alice.call("POST", "/uploads", files={"file": ("a.bin", b"x" * size)})
    assert answer.status_code == status


async def test_an_upload_over_aiohttp(base_url: str, photo: Path) -> None:
    async with aiohttp.ClientSession(base_url) as session:
        told = {"user": "bob", "password": "builder"}
        async with session.post("/api/v1/login", json=told) as answer:
            token = (await answer.json())["token"]
        form = aiohttp.FormData()
        form.add_field("file", photo.read_bytes(), filename="a.jpg", content_type="image/jpeg")
        headers = {"Authorization": f"Bearer {token}"}
        async with session.post("/api/v1/uploads", data=form, headers=headers) as answer:
            assert (await answer.json())["size"] == photo.stat().st_size


def test_the_export_in_chunks(base_url: str) -> None:
    received = bytearray()
    with httpx.stream("GET", f"{base_url}/api/v1/exports/catalogue.csv") as answer:
        assert answer.headers["Content-Type"].startswith("text/csv")
        for chunk in answer.iter_bytes(4096):
            received += chunk
    rows = list(csv.DictReader(io.StringIO(received.decode())))
    assert len(rows) == 20 * 57
    assert rows[-1]["sku"] == "SKU-057"


def test_the_export_onto_disk(base_url: str, tmp_path: Path) -> None:
    target = tmp_path / "catalogue.csv"
    url = f"{base_url}/api/v1/exports/catalogue.csv"
    with requests.get(url, stream=True, timeout=5) as answer, target.open("wb") as file:
        for chunk in answer.iter_content(chunk_size=8192):
            file.write(chunk)
    lines = target.read_text().splitlines()
    assert lines[0] == "copy,sku,cents,stock"
    assert len(lines) == 1 + 20 * 57


def test_the_export_is_offered_as_a_file(base_url: str) -> None:
    with urllib.request.urlopen(f"{base_url}/api/v1/exports/catalogue.csv", timeout=5) as answer:
        assert answer.headers.get_filename() == "catalogue.csv"
