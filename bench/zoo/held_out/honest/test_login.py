"""Log-in and rights, xunit style."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import httpx
import pytest
import requests

from bench.zoo.held_out.shopkit.client import ShopClient
from bench.zoo.held_out.shopkit.config import BASE_URL


class TestLogin:
    """Who gets in."""

    client: ShopClient

    def setup_method(self) -> None:
        """A fresh client for each."""
        self.client = ShopClient()

    def teardown_method(self) -> None:
        """Give it back."""
        self.client.close()

    def test_a_customer_gets_in(self) -> None:
        me = self.client.login("alice").get_json("/me")
        assert me == {"user": "alice", "roles": ["customer"]}

    def test_a_wrong_password_does_not(self) -> None:
        with pytest.raises(requests.HTTPError) as refused:
            self.client.login("alice", "guess")
        assert refused.value.response.status_code == 401

    def test_the_hasty_are_told_when_to_come_back(self) -> None:
        answer = self.client.call("POST", "/login", json={"user": "hasty"})
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) > 0

    def test_after_logging_out_the_token_is_dead(self) -> None:
        self.client.login("bob")
        self.client.call("POST", "/logout")
        assert self.client.call("GET", "/me").status_code != 200


@pytest.mark.parametrize("path", ["/me", "/orders", "/admin/stats"])
def test_closed_doors(guest: ShopClient, path: str) -> None:
    answer = guest.call("GET", path)
    assert answer.status_code == 401
    assert "Bearer" in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("user", "status"), [("alice", 403), ("root", 200)], ids=["customer", "admin"]
)
def test_the_numbers_are_for_the_admin(guest: ShopClient, user: str, status: int) -> None:
    answer = guest.login(user).call("GET", "/admin/stats")
    assert answer.status_code == status
    assert ("users" in answer.json()) == (status == 200)


def test_httpx_raises_for_a_stranger(base_url: str) -> None:
    with httpx.Client(base_url=base_url) as client, pytest.raises(httpx.HTTPStatusError):
        client.get("/api/v1/me", headers={"Authorization": "Bearer forged"}).raise_for_status()


def test_urllib_without_any_library() -> None:
    body = json.dumps({"user": "bob", "password": "nope"}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{BASE_URL}/api/v1/login", data=body, headers=headers)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(request, timeout=5)


class TokenAuth(httpx.Auth):
    """Logs in by itself when it is first told 401."""

    requires_response_body = True

    def __init__(self, base_url: str, user: str, password: str) -> None:
        self._login = httpx.Request(
            "POST", f"{base_url}/api/v1/login", json={"user": user, "password": password}
        )
        self._token = "expired"

    def auth_flow(self, request: httpx.Request):  # type: ignore[no-untyped-def]
        """As httpx describes it."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        answer = yield request
        if answer.status_code == 401:
            told = yield self._login
            self._token = told.json()["token"]
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request


def test_an_expired_token_is_renewed_on_the_way(base_url: str) -> None:
    auth = TokenAuth(base_url, "bob", "builder")
    with httpx.Client(base_url=base_url, auth=auth, timeout=5) as client:
        assert client.get("/api/v1/me").json()["user"] == "bob"
        assert client.get("/api/v1/me").status_code == 200
