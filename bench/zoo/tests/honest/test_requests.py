"""requests and urllib3, as most suites have them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter


@pytest.fixture(scope="session")
def kept_session(base_url: str) -> Iterator[requests.Session]:
    """One connection, opened here, used by several tests."""
    with requests.Session() as session:
        assert session.get(f"{base_url}/echo?text=warm", timeout=10).ok
        yield session


@pytest.fixture(scope="module")
def pool() -> Iterator[urllib3.PoolManager]:
    """A pool of urllib3's own."""
    with urllib3.PoolManager(timeout=10) as pool:
        yield pool


def test_plain_get(base_url: str) -> None:
    answer = requests.get(f"{base_url}/echo", params={"text": "hello"}, timeout=10)
    assert answer.status_code == 200
    assert answer.json()["reversed"] == "olleh"


@pytest.mark.parametrize(("numbers", "total"), [([], 0), ([1, 2, 3], 6), ([-1, 0.5], -0.5)])
def test_sums(base_url: str, numbers: list[float], total: float) -> None:
    answer = requests.post(f"{base_url}/sum", json={"numbers": numbers}, timeout=10)
    assert answer.json() == {"sum": total}


def test_an_item_is_kept_and_forgotten(
    kept_session: requests.Session, base_url: str, key: str
) -> None:
    place = f"{base_url}/items/{key}"
    assert kept_session.put(place, json={"name": "lamp"}, timeout=10).status_code == 201
    assert kept_session.get(place, timeout=10).json()["name"] == "lamp"
    assert kept_session.delete(place, timeout=10).status_code == 204
    assert kept_session.get(place, timeout=10).status_code == 404


def test_versions_count_up(kept_session: requests.Session, base_url: str, key: str) -> None:
    place = f"{base_url}/items/{key}"
    versions = [kept_session.put(place, json={}, timeout=10).json()["version"] for _ in range(3)]
    assert versions == [1, 2, 3]


def test_who_is_not_logged_in_is_told_so(base_url: str) -> None:
    answer = requests.get(f"{base_url}/private", timeout=10)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_an_error_raises_in_the_client(base_url: str, key: str) -> None:
    answer = requests.get(f"{base_url}/items/{key}", timeout=10)
    with pytest.raises(requests.HTTPError, match="404"):
        answer.raise_for_status()


def test_a_redirect_on_the_same_host(base_url: str) -> None:
    answer = requests.get(f"{base_url}/moved", timeout=10)
    assert [step.status_code for step in answer.history] == [302]
    assert answer.json()["text"] == "moved"


def test_a_retry_after_the_first_503(base_url: str, key: str) -> None:
    retry = urllib3.Retry(total=3, status_forcelist=[503], backoff_factor=0.01)
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=retry))
        answer = session.get(f"{base_url}/warming/{key}", timeout=10)
    assert answer.json() == {"ready": True, "asked": 2}


def test_a_large_download(base_url: str) -> None:
    seen, size = hashlib.sha256(), 0
    with requests.get(f"{base_url}/large", stream=True, timeout=10) as answer:
        for chunk in answer.iter_content(65_536):
            seen.update(chunk)
            size += len(chunk)
    assert size == 4 * 1024 * 1024
    assert seen.hexdigest() == hashlib.sha256(bytes(range(256)) * 16_384).hexdigest()


def test_a_slow_answer_is_cut_short(base_url: str) -> None:
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{base_url}/slow?for=1.5", timeout=0.3)
    assert requests.get(f"{base_url}/slow?for=0.1", timeout=10).json() == {"done": True}


def test_many_at_once(base_url: str) -> None:
    def ask(number: int) -> int:
        answer = requests.get(f"{base_url}/echo", params={"text": "x" * number}, timeout=10)
        return int(answer.json()["length"])

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(24))) == list(range(24))


def test_urllib3_posts(pool: urllib3.PoolManager, base_url: str) -> None:
    body = b"a body of bytes"
    answer = pool.request("POST", f"{base_url}/digest", body=body)
    assert answer.json() == {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}


def test_urllib3_streams_lines(pool: urllib3.PoolManager, base_url: str) -> None:
    answer = pool.request("GET", f"{base_url}/lines?count=4", preload_content=False)
    told = b"".join(answer.stream())
    answer.release_conn()
    assert told.count(b"\n") == 4
    assert b'"square": 9' in told


def test_the_health_path_tells_its_state(base_url: str) -> None:
    answer = requests.get(f"{base_url}/health", timeout=10)
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json()["status"] == "healthy"


def test_maintenance_says_when_to_come_back(base_url: str) -> None:
    answer = requests.get(f"{base_url}/maintenance", timeout=10)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "120"
    assert answer.json() == {"until": "02:00"}
