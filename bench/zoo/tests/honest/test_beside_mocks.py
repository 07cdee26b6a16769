"""Real calls in tests that also patch, spy, or keep a helper server."""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from unittest import mock

import httpx
import pytest
import requests
import respx


class Client:
    """A small client of the service, as a suite has one."""

    def __init__(self, base_url: str, pause_s: float = 5) -> None:
        self.base_url = base_url
        self.pause_s = pause_s
        self.log = logging.getLogger("zoo.client")

    def wait_until_warm(self, key: str) -> int:
        """Ask until it is ready; how often that was."""
        for asked in range(1, 5):
            answer = requests.get(f"{self.base_url}/warming/{key}", timeout=10)
            if answer.ok:
                self.log.info("ready after %d", asked)
                return asked
            time.sleep(self.pause_s)
        raise TimeoutError

    def keep(self, name: str) -> dict[str, object]:
        """Keep something under a key of its own."""
        place = f"{self.base_url}/items/{uuid.uuid4().hex}"
        return dict(requests.put(place, json={"name": name, "at": time.time()}, timeout=10).json())


@pytest.fixture
def hook() -> Iterator[tuple[str, queue.Queue[dict[str, object]]]]:
    """A webhook's receiver, and what it was told."""
    told: queue.Queue[dict[str, object]] = queue.Queue()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hook", told
        server.shutdown()
        thread.join(10)


def test_it_waits_without_sleeping(base_url: str, key: str) -> None:
    with mock.patch("time.sleep") as sleep:
        assert Client(base_url).wait_until_warm(key) == 2
    sleep.assert_called_once_with(5)


def test_the_clock_is_held(base_url: str) -> None:
    with mock.patch("time.time", return_value=1_700_000_000.0):
        assert Client(base_url).keep("clock")["at"] == 1_700_000_000.0


def test_a_known_key(base_url: str, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setattr(uuid, "uuid4", lambda: mock.Mock(hex=key))
    monkeypatch.setenv("HTTP_PROXY", "")
    assert Client(base_url).keep("known")["key"] == key


def test_what_is_logged(base_url: str, key: str) -> None:
    client = Client(base_url, pause_s=0.01)
    with mock.patch.object(client, "log") as log:
        client.wait_until_warm(key)
    log.info.assert_called_once_with("ready after %d", 2)


def test_a_spy_that_wraps(base_url: str) -> None:
    with requests.Session() as session:
        with mock.patch.object(session, "get", wraps=session.get) as spy:
            assert session.get(f"{base_url}/echo?text=spy", timeout=10).json()["length"] == 3
        spy.assert_called_once()


def test_a_spy_by_side_effect(base_url: str) -> None:
    real = requests.Session.send
    with mock.patch.object(requests.Session, "send", autospec=True, side_effect=real) as spy:
        assert requests.get(f"{base_url}/moved", timeout=10).json()["text"] == "moved"
    assert spy.call_args_list[0].args[1].path_url == "/moved"


def test_a_webhook_is_called(
    base_url: str, hook: tuple[str, queue.Queue[dict[str, object]]]
) -> None:
    url, told = hook
    answer = requests.post(f"{base_url}/call-back", json={"url": url, "order": 7}, timeout=10)
    assert answer.json() == {"delivered": 202}
    assert told.get(timeout=10) == {"event": "ordered", "order": 7}


def test_both_servers_agree(base_url: str, standin_url: str) -> None:
    ours, theirs = (
        httpx.get(f"{url}/echo?text=agree", timeout=10).json() for url in (base_url, standin_url)
    )
    assert ours["reversed"] == theirs["reversed"] == "eerga"


def test_only_a_third_party_is_mocked(base_url: str) -> None:
    with respx.mock(assert_all_called=True) as router:
        router.get("https://rates.example.test/eur").respond(json={"rate": 2})
        router.route(host=httpx.URL(base_url).host).pass_through()
        rate = httpx.get("https://rates.example.test/eur").json()["rate"]
        answer = httpx.post(f"{base_url}/sum", json={"numbers": [10 * rate, 1]}, timeout=10)
    assert answer.json() == {"sum": 21}
