"""The shop's command line, as support uses it: `shopctl.py --url URL products --search tea`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import Any


def _ask(url: str, token: str | None = None, body: dict[str, Any] | None = None) -> Any:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def _run(told: argparse.Namespace) -> Any:
    api = f"{told.url}/api/v1"
    if told.command == "products":
        query = urllib.parse.urlencode({"q": told.search, "per_page": 50})
        return [one["sku"] for one in _ask(f"{api}/products?{query}")["products"]]
    if told.command == "ask":
        return _ask(f"{api}/chat", body={"message": told.message})["reply"]
    secret = {"user": told.user, "password": os.environ.get("SHOP_PASSWORD", "")}
    token = _ask(f"{api}/login", body=secret).get("token")
    if told.dry_run:
        return {"would_order": told.sku}
    lines = [{"sku": told.sku, "quantity": told.quantity}]
    return _ask(f"{api}/orders", token, {"lines": lines})


def main() -> int:
    """Exit codes: 0 done, 1 the shop refused, 2 usage, 4 no connection."""
    parser = argparse.ArgumentParser(prog="shopctl")
    parser.add_argument("--url", default=os.environ.get("BASE_URL"))
    parser.add_argument("--json", action="store_true")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("products").add_argument("--search", default="")
    commands.add_parser("ask").add_argument("message")
    order = commands.add_parser("order")
    order.add_argument("sku")
    order.add_argument("--quantity", type=int, default=1)
    order.add_argument("--user", default="alice")
    order.add_argument("--dry-run", action="store_true")
    told = parser.parse_args()
    try:
        found = _run(told)
    except urllib.error.HTTPError as error:
        print(f"shopctl: the shop answered {error.code}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"shopctl: no connection: {error}", file=sys.stderr)
        return 4
    print(json.dumps(found) if told.json or not isinstance(found, str) else found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
