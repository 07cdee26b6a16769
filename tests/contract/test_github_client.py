"""How GitHub is asked: what is tried again, what is waited for, what is said when it is neither."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from github_rig import repository
from github_server import TOKEN, Fault, GitHub, github

from loopctl.errors import Stopped
from loopctl.integrations.github.answers import LaterError, UnsureError
from loopctl.integrations.github.client import Repository
from loopctl.ports.announcer import AnnounceError
from loopctl.process import Stop
from loopctl.redact import Secret

ISSUE = {"title": "t", "body": "b"}
STATUS = {"state": "success", "context": "c"}
SHA = "a" * 40
CUT_SHORT = {"Content-Length": "999"}


@pytest.fixture
def hub() -> Iterator[GitHub]:
    with github() as running:
        yield running


def reset(seconds: float) -> Mapping[str, str]:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(at.timestamp()))}


@pytest.mark.parametrize(
    "fault",
    [
        Fault("GET", "", 503),
        Fault("GET", "", 200, b'{"full_name": "sho', CUT_SHORT),
        Fault("GET", "", cut=True),
        Fault("GET", "", 403, headers={"Retry-After": "0"}),
        Fault("GET", "", 429, headers=reset(-2)),
    ],
    ids=["503", "cut short", "dropped", "secondary limit", "primary limit"],
)
def test_what_is_over_soon_is_asked_again(hub: GitHub, fault: Fault) -> None:
    hub.faults.append(fault)
    assert repository(hub).get("", Stop(20)).object["full_name"] == hub.repository


def test_a_status_is_set_again_for_twice_is_once(hub: GitHub) -> None:
    hub.faults.append(Fault("POST", SHA, cut=True))
    repository(hub).set(f"statuses/{SHA}", STATUS, Stop(20))
    assert len(hub.statuses) == 1


def test_what_makes_something_is_sent_once(hub: GitHub) -> None:
    hub.faults.append(Fault("POST", "/issues", cut=True, does=True))
    with pytest.raises(UnsureError, match="no answer"):
        repository(hub).make("issues", ISSUE, Stop(20))
    assert len(hub.asked("POST")) == 1


LATER = [
    ({"Retry-After": "3600"}, b"{}", "secondary rate limit"),
    ({}, b'{"message": "You have exceeded a secondary rate limit"}', "secondary rate limit"),
    (reset(1800), b"{}", "GitHub's rate limit is used up until 20"),
    ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "soon"}, b"{}", "rate limit"),
]


@pytest.mark.parametrize(("headers", "body", "said"), LATER)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_limit_that_outlasts_the_run_is_not_waited_for(
    hub: GitHub, method: str, headers: Mapping[str, str], body: bytes, said: str
) -> None:
    hub.faults.append(Fault(method, "/issues", 403, body, headers))
    began = time.monotonic()
    with pytest.raises(LaterError, match=said):
        ask(repository(hub), method)
    assert time.monotonic() - began < 2


def ask(there: Repository, method: str) -> None:
    if method == "GET":
        list(there.pages("issues", 1, Stop(20)))
    else:
        there.make("issues", ISSUE, Stop(20))


WORDS = [
    ("GET", {"status": 404}, "shows this token no shop/api .404.*`issues: read`"),
    ("POST", {"status": 403, "body": b'{"message": "issue is locked"}'},
     r"^GitHub refuses it \(403\): issue is locked$"),
    ("POST", {"status": 403, "body": b'{"message": "Resource not accessible by integration"}'},
     "may not do that in shop/api .403.*`issues: write`"),
    ("POST", {"status": 410}, "shop/api has no issues"),
    ("GET", {"status": 401}, "does not know the token"),
    ("POST", {"status": 301, "headers": {"Location": "/repositories/1"}}, "another name now"),
    ("GET", {"status": 302, "headers": {"Location": "http://127.0.0.2:1/"}}, "to another host"),
    ("GET", {"status": 302, "headers": {"Location": "//[bad"}}, "no address"),
    ("GET", {"status": 200, "body": b"<html>"}, "not JSON"),
    ("GET", {"status": 200, "body": b"{}"}, "without the list"),
    ("GET", {"status": 200, "body": b"[" * 100_000}, "not JSON"),
    ("GET", {"status": 200, "body": b" " * (33 << 20)}, "more than 32 MiB"),
    ("POST", {"status": 422, "body": b'{"message": "\\u001b[2J", "errors": ["a", {"code": 1}]}'},
     r"\(422\): \\x1b\[2J a 1$"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "how", "said"), WORDS)
def test_what_it_cannot_do_is_said_in_words(
    hub: GitHub, method: str, how: dict[str, Any], said: str
) -> None:
    hub.faults.append(Fault(method, "/issues", **how))
    with pytest.raises(AnnounceError, match=said):
        ask(repository(hub), method)


@pytest.mark.slow
def test_a_github_that_stays_broken_is_said(hub: GitHub) -> None:
    hub.faults.append(Fault("GET", "/issues", 503, times=9))
    with pytest.raises(AnnounceError, match="it answers 503"):
        ask(repository(hub), "GET")


def test_a_repository_that_was_renamed_is_read_where_it_is_now(hub: GitHub) -> None:
    there = {"Location": f"{hub.url}/repos/{hub.repository}/issues"}
    hub.faults.append(Fault("GET", "/issues", 301, headers=there))
    assert list(repository(hub).pages("issues", 1, Stop(20))) == [[]]


def test_a_github_that_is_not_there_is_said() -> None:
    nowhere = Repository("http://127.0.0.1:9", "shop/api", Secret("github.token", TOKEN))
    with pytest.raises(AnnounceError, match=r"127\.0\.0\.1:9 does not answer"):
        nowhere.make("issues", ISSUE, Stop(20))


def test_a_github_that_hangs_is_left_when_the_time_is_up(hub: GitHub) -> None:
    hub.faults.append(Fault("GET", "", hang=True, times=9))
    began = time.monotonic()
    with pytest.raises(Stopped):
        repository(hub).get("", Stop(0.3))
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("token", ["two words", "line\r\nX-Evil: 1", "schlüssel"])
def test_a_token_that_is_none_is_sent_nowhere(hub: GitHub, token: str) -> None:
    there = Repository(hub.url, hub.repository, Secret("github.token", token))
    with pytest.raises(AnnounceError, match="no token has") as raised:
        there.get("", Stop(20))
    assert token not in str(raised.value)
    assert not hub.requests
