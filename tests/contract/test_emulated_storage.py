"""The emulator of Cloud Storage, by what its JSON API is documented to do, and by plain HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from emulator.storage_server import StorageServer, Trouble, storage_server


@pytest.fixture
def server() -> Iterator[StorageServer]:
    with storage_server("ours") as made:
        yield made


@pytest.fixture
def http(server: StorageServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        yield client


def put(http: httpx.Client, name: str, data: str = "x", **query: Any) -> httpx.Response:
    query = {"uploadType": "media", "name": name, **query}
    return http.post("/upload/storage/v1/b/ours/o", params=query, content=data)


def listed(http: httpx.Client, **query: Any) -> Any:
    return http.get("/storage/v1/b/ours/o", params=query).json()


def names(page: Any) -> list[str]:
    return [item["name"] for item in page.get("items", [])]


def test_a_generation_rises_with_every_write_and_guards_the_next(http: httpx.Client) -> None:
    first = put(http, "a/b", ifGenerationMatch=0).json()
    assert (first["name"], first["size"], first["bucket"]) == ("a/b", "1", "ours")
    again = put(http, "a/b", ifGenerationMatch=0)
    assert again.status_code == 412
    assert again.json()["error"]["errors"][0]["reason"] == "conditionNotMet"
    second = put(http, "a/b", "yy", ifGenerationMatch=first["generation"]).json()
    assert int(second["generation"]) > int(first["generation"])
    at = "/storage/v1/b/ours/o/a%2Fb"
    assert http.delete(at, params={"ifGenerationMatch": first["generation"]}).status_code == 412
    unchanged = http.get(at, params={"ifGenerationNotMatch": second["generation"]})
    assert unchanged.status_code == 304
    assert http.get(at, params={"generation": first["generation"]}).status_code == 404
    media = http.get(at, params={"alt": "media"})
    assert (media.text, media.headers["x-goog-generation"]) == ("yy", second["generation"])
    assert http.delete(at, params={"ifGenerationMatch": second["generation"]}).status_code == 204
    gone = http.get(at)
    assert gone.json()["error"]["message"] == "No such object: ours/a/b"


def test_a_list_has_pages_offsets_and_folders(server: StorageServer, http: httpx.Client) -> None:
    for name in ("a/1", "a/2", "a/deep/3", "a/deep/4", "a/z", "b"):
        put(http, name)
    assert names(listed(http, prefix="a/")) == ["a/1", "a/2", "a/deep/3", "a/deep/4", "a/z"]
    folded = listed(http, prefix="a/", delimiter="/")
    assert (names(folded), folded["prefixes"]) == (["a/1", "a/2", "a/z"], ["a/deep/"])
    assert names(listed(http, startOffset="a/2", endOffset="a/z")) == [
        "a/2",
        "a/deep/3",
        "a/deep/4",
    ]
    server.page = 2
    seen: list[str] = []
    page = listed(http, prefix="a/", delimiter="/")
    while True:
        seen += names(page) + page.get("prefixes", [])
        if "nextPageToken" not in page:
            break
        page = listed(http, prefix="a/", delimiter="/", pageToken=page["nextPageToken"])
    assert seen == ["a/1", "a/2", "a/z", "a/deep/"]


def test_a_bucket_that_is_not_there_and_a_damaged_upload_are_refused(http: httpx.Client) -> None:
    absent = http.get("/storage/v1/b/theirs/o")
    assert absent.status_code == 404
    assert absent.json()["error"]["message"] == "The specified bucket does not exist."
    body = b'--b\r\nContent-Type: application/json\r\n\r\n{"name": "n", "crc32c": "AAAAAA=="}\r\n'
    body += b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b--"
    damaged = http.post(
        "/upload/storage/v1/b/ours/o?uploadType=multipart",
        content=body,
        headers={"Content-Type": 'multipart/related; boundary="b"'},
    )
    assert damaged.status_code == 400
    assert listed(http) == {"kind": "storage#objects"}


@pytest.mark.parametrize(("kind", "done"), [("lost", False), ("unheard", True), ("halved", True)])
def test_a_cut_connection_has_or_has_not_been_too_late(
    server: StorageServer, http: httpx.Client, kind: Any, done: bool
) -> None:
    server.troubles.append(Trouble(kind, "POST"))
    with pytest.raises(httpx.TransportError):
        put(http, "a")
    assert names(listed(http)) == (["a"] if done else [])
