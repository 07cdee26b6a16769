"""The shop's API as its testers speak it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import requests

from bench.zoo.held_out.shopkit.config import BASE_URL, PASSWORDS


class BaseUrlSession(requests.Session):
    """A session to which a path is enough; every request has a time limit."""

    def __init__(self, base_url: str = BASE_URL, timeout: float = 5) -> None:
        super().__init__()
        self.base_url = base_url.rstrip("/") + "/"
        self.timeout = timeout

    def request(  # type: ignore[override]
        self, method: str, url: str, *args: Any, **kwargs: Any
    ) -> requests.Response:
        """As in requests, below the base URL."""
        kwargs.setdefault("timeout", self.timeout)
        return super().request(method, urljoin(self.base_url, url.lstrip("/")), *args, **kwargs)


class ShopClient:
    """One customer at the shop; a context manager that logs out at the end."""

    def __init__(self, base_url: str = BASE_URL) -> None:
        self.session = BaseUrlSession(base_url)

    def __enter__(self) -> ShopClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connections."""
        self.session.close()

    def call(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        """The answer, whatever its status."""
        return self.session.request(method, f"/api/v1{path}", **kwargs)

    def get_json(self, path: str, **kwargs: Any) -> Any:
        """The body of a good answer; HTTPError for any other."""
        answer = self.call("GET", path, **kwargs)
        answer.raise_for_status()
        return answer.json()

    def login(self, user: str, password: str | None = None) -> ShopClient:
        """Be `user` from now on; HTTPError when the shop will not have it."""
        secret = PASSWORDS.get(user, "") if password is None else password
        answer = self.call("POST", "/login", json={"user": user, "password": secret})
        answer.raise_for_status()
        self.session.headers["Authorization"] = f"Bearer {answer.json().get('token')}"
        return self

    def place_order(self, sku: str, quantity: int = 1, key: str | None = None) -> requests.Response:
        """Order one product."""
        headers = {"Idempotency-Key": key} if key else {}
        lines = [{"sku": sku, "quantity": quantity}]
        return self.call("POST", "/orders", json={"lines": lines}, headers=headers)

    def order(self, number: str) -> Any:
        """One order."""
        return self.get_json(f"/orders/{number}")

    def cancel(self, number: str) -> requests.Response:
        """Cancel it."""
        return self.call("DELETE", f"/orders/{number}")

    def every_product(self, per_page: int = 20) -> Iterator[dict[str, Any]]:
        """The whole catalogue, page by page."""
        page, more = 1, True
        while more:
            body = self.get_json("/products", params={"page": page, "per_page": per_page})
            yield from body["products"]
            page, more = page + 1, body["has_more"]
