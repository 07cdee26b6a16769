"""The clients that Python brings."""

from __future__ import annotations

import http.client
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest


@pytest.fixture(scope="module")
def connection(base_url: str) -> Iterator[http.client.HTTPConnection]:
    """Opened here, before any test."""
    at = urlsplit(base_url)
    assert at.hostname
    made = http.client.HTTPConnection(at.hostname, at.port, timeout=10)
    made.connect()
    yield made
    made.close()


def test_urllib_reads(base_url: str) -> None:
    with urllib.request.urlopen(f"{base_url}/echo?text=abc", timeout=10) as answer:
        assert json.load(answer)["reversed"] == "cba"


def test_urllib_is_refused(base_url: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{base_url}/private", timeout=10)
    with refused.value as answer:
        assert answer.code == 401
        assert json.load(answer) == {"error": "log in first"}


def test_a_kept_connection(connection: http.client.HTTPConnection) -> None:
    for text in ("one", "two"):
        connection.request("GET", f"/echo?text={text}")
        assert json.loads(connection.getresponse().read())["text"] == text


def test_a_kept_connection_posts(connection: http.client.HTTPConnection) -> None:
    body = json.dumps({"numbers": [4, 5]})
    connection.request("POST", "/sum", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())) == (200, {"sum": 9})


def test_a_raw_socket(base_url: str) -> None:
    at = urlsplit(base_url)
    with socket.create_connection((at.hostname, at.port), timeout=10) as raw:
        asked = f"GET /echo?text=raw HTTP/1.1\r\nHost: {at.netloc}\r\nConnection: close\r\n\r\n"
        raw.sendall(asked.encode())
        told = b"".join(iter(lambda: raw.recv(4096), b""))
    assert told.startswith(b"HTTP/1.1 200 ")
    assert b'"reversed": "war"' in told


def test_two_questions_on_a_raw_socket(base_url: str) -> None:
    at = urlsplit(base_url)
    with socket.create_connection((at.hostname, at.port), timeout=10) as raw:
        for text, wanted in (("ab", b'"ba"'), ("cd", b'"dc"')):
            raw.sendall(f"GET /echo?text={text} HTTP/1.1\r\nHost: {at.netloc}\r\n\r\n".encode())
            told = b""
            while b"}" not in told:
                part = raw.recv(4096)
                assert part, told
                told += part
            assert wanted in told
