"""The service that the held-out zoo is about: `PORT=8080 python shop.py`, on 127.0.0.1.

A shop with log-in, a paged catalogue, orders with a life of their own, files, server-sent events,
and two WebSockets: `/ws` is a chat room with an assistant, `/feed` tells prices by itself.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
import os
import secrets
import time
from collections import defaultdict
from typing import Any, Final

from aiohttp import web

PRODUCTS: Final[list[dict[str, Any]]] = [
    {
        "sku": f"SKU-{n:03d}",
        "name": f"{('Tea', 'Coffee', 'Mug')[n % 3]} no. {n}",
        "category": ("tea", "coffee", "mugs")[n % 3],
        "price": {"cents": 500 + n * 137 % 9000, "currency": "EUR"},
        "stock": n % 7,
        "tags": ["new"] if n % 10 == 0 else [],
    }
    for n in range(1, 58)
]
_BY_SKU: Final = {str(product["sku"]): product for product in PRODUCTS}
_USERS: Final = {"alice": "wonderland", "bob": "builder", "root": "toor"}
_PAID_AFTER_S: Final = 0.25
_UPLOAD_LIMIT: Final = 512 * 1024

_tokens: dict[str, str] = {}
_orders: dict[str, dict[str, Any]] = {}
_by_key: dict[tuple[str, str], tuple[str, str]] = {}
_rooms: dict[str, list[tuple[str, web.WebSocketResponse]]] = defaultdict(list)
_said: dict[str, list[dict[str, Any]]] = defaultdict(list)
routes = web.RouteTableDef()


def _problem(status: int, code: str, **headers: str) -> web.Response:
    return web.json_response({"error": {"code": code}}, status=status, headers=headers)


def _user(request: web.Request) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return _tokens.get(token) if scheme == "Bearer" else None


@web.middleware
async def _common(request: web.Request, handler: Any) -> web.StreamResponse:
    open_paths = ("login", "products", "exports", "chat")
    parts = request.path.split("/")
    closed = request.path.startswith("/api/v1/") and parts[3] not in open_paths
    if closed and request.method != "OPTIONS" and _user(request) is None:
        return _problem(401, "log-in-first", **{"WWW-Authenticate": 'Bearer realm="shop"'})
    answer: web.StreamResponse = await handler(request)
    if not answer.prepared:
        answer.headers["X-Request-ID"] = request.headers.get("X-Request-ID", secrets.token_hex(8))
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Strict-Transport-Security"] = "max-age=31536000"
    return answer


@routes.get("/health")
async def health(_: web.Request) -> web.Response:
    """Healthy, always."""
    return web.json_response({"status": "healthy", "version": "2026.11.3"})


@routes.post("/api/v1/login")
async def login(request: web.Request) -> web.Response:
    """A token; 401 for a wrong password, 429 for the user `hasty`."""
    told = await request.json()
    user = str(told.get("user"))
    if user == "hasty":
        return _problem(429, "slow-down", **{"Retry-After": "7"})
    if _USERS.get(user) != told.get("password"):
        return _problem(401, "wrong-password")
    token = secrets.token_urlsafe(12)
    _tokens[token] = user
    return web.json_response({"token": token, "user": user, "expires_in": 3600})


@routes.post("/api/v1/logout")
async def logout(request: web.Request) -> web.Response:
    """The token is worth nothing from now on."""
    _tokens.pop(request.headers["Authorization"].partition(" ")[2], None)
    return web.Response(status=204)


@routes.get("/api/v1/me")
async def me(request: web.Request) -> web.Response:
    """Who is asking."""
    user = _user(request)
    return web.json_response({"user": user, "roles": ["admin"] if user == "root" else ["customer"]})


@routes.get("/api/v1/products")
async def products(request: web.Request) -> web.Response:
    """A page of the catalogue: `page`, `per_page` (1 to 50), `q`, `sort`."""
    try:
        page, size = (int(request.query.get(k, d)) for k, d in (("page", "1"), ("per_page", "20")))
    except ValueError:
        return _problem(400, "not-a-number")
    if page < 1 or not 1 <= size <= 50:
        return _problem(422, "page-out-of-range")
    q = request.query.get("q", "").lower()
    found = [product for product in PRODUCTS if q in str(product["name"]).lower()]
    if request.query.get("sort") == "price":
        found.sort(key=lambda product: int(product["price"]["cents"]))
    shown = found[(page - 1) * size : page * size]
    more = page * size < len(found)
    headers = {"X-Total-Count": str(len(found))}
    if more:
        headers["Link"] = f'</api/v1/products?page={page + 1}&per_page={size}>; rel="next"'
    return web.json_response({"products": shown, "page": page, "has_more": more}, headers=headers)


@routes.get("/api/v1/products/{sku}")
async def product(request: web.Request) -> web.Response:
    """One product, with an ETag."""
    found = _BY_SKU.get(request.match_info["sku"])
    if found is None:
        return _problem(404, "no-such-product")
    tag = '"' + hashlib.md5(json.dumps(found).encode()).hexdigest()[:12] + '"'
    headers = {"ETag": tag, "Cache-Control": "max-age=60"}
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers=headers)
    return web.json_response(found, headers=headers)


@routes.get("/p/{sku}")
async def short(request: web.Request) -> web.Response:
    """The short link of a product."""
    raise web.HTTPMovedPermanently(f"/api/v1/products/{request.match_info['sku']}")


@routes.route("OPTIONS", "/api/v1/orders")
async def may_order(request: web.Request) -> web.Response:
    """CORS: the shop's own page may."""
    headers = {"Access-Control-Allow-Methods": "GET, POST, DELETE"}
    if request.headers.get("Origin") == "https://shop.example":
        headers["Access-Control-Allow-Origin"] = "https://shop.example"
    return web.Response(status=204, headers=headers)


def _shown(order: dict[str, Any]) -> dict[str, Any]:
    paid = time.monotonic() - float(order["placed"]) > _PAID_AFTER_S
    kept = {key: value for key, value in order.items() if key != "placed"}
    return {**kept, "status": "paid" if paid else "pending"}


@routes.post("/api/v1/orders")
async def place(request: web.Request) -> web.Response:
    """Place an order; the same `Idempotency-Key` places it once."""
    told = await request.json()
    lines = told.get("lines") or []
    if not lines or any(line.get("quantity", 0) < 1 for line in lines):
        return _problem(422, "nothing-ordered")
    if any(line["sku"] not in _BY_SKU for line in lines):
        return _problem(404, "no-such-product")
    user = str(_user(request))
    key, body = request.headers.get("Idempotency-Key"), json.dumps(lines, sort_keys=True)
    if key and (user, key) in _by_key:
        number, before = _by_key[user, key]
        if before != body:
            return _problem(409, "key-used-for-another-order")
        return web.json_response(_shown(_orders[number]), headers={"Idempotent-Replay": "true"})
    number = f"o-{secrets.token_hex(6)}"
    cents = sum(_BY_SKU[line["sku"]]["price"]["cents"] * line["quantity"] for line in lines)
    _orders[number] = {
        "id": number,
        "user": user,
        "lines": lines,
        "total_cents": cents,
        "placed": time.monotonic(),
    }
    if key:
        _by_key[user, key] = (number, body)
    headers = {"Location": f"/api/v1/orders/{number}"}
    return web.json_response(_shown(_orders[number]), status=201, headers=headers)


@routes.get("/api/v1/orders")
async def mine(request: web.Request) -> web.Response:
    """All orders of who asks."""
    found = [_shown(order) for order in _orders.values() if order["user"] == _user(request)]
    return web.json_response({"orders": found})


@routes.get("/api/v1/orders/{number}")
@routes.delete("/api/v1/orders/{number}")
@routes.get("/api/v1/orders/{number}/events")
async def order(request: web.Request) -> web.StreamResponse:
    """One order, its cancellation, or what becomes of it as server-sent events."""
    found = _orders.get(request.match_info["number"])
    if found is None:
        return _problem(404, "no-such-order")
    if found["user"] != _user(request):
        return _problem(403, "not-yours")
    if request.method == "DELETE":
        del _orders[found["id"]]
        return web.Response(status=204)
    if not request.path.endswith("/events"):
        return web.json_response(_shown(found))
    stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await stream.prepare(request)
    for number, name in enumerate(("placed", "paid", "packed"), 1):
        told = json.dumps({"order": found["id"], "step": number})
        await stream.write(f"id: {number}\nevent: {name}\ndata: {told}\n\n".encode())
        await asyncio.sleep(0.01)
    return stream


@routes.get("/api/v1/admin/stats")
async def stats(request: web.Request) -> web.Response:
    """For the admin alone."""
    if _user(request) != "root":
        return _problem(403, "admins-only")
    return web.json_response({"products": len(PRODUCTS), "users": len(_USERS)})


@routes.post("/api/v1/uploads")
async def upload(request: web.Request) -> web.Response:
    """A file in a form: its name, size and SHA-256; 413 when it is too large."""
    form = await request.post()
    file = form.get("file")
    if not isinstance(file, web.FileField):
        return _problem(415, "no-file")
    content = file.file.read()
    if len(content) > _UPLOAD_LIMIT:
        return _problem(413, "too-large")
    found = {"name": file.filename, "size": len(content), "type": file.content_type}
    return web.json_response(
        {**found, "sha256": hashlib.sha256(content).hexdigest(), "note": form.get("note")},
        status=201,
    )


@routes.get("/api/v1/exports/catalogue.csv")
async def export(request: web.Request) -> web.StreamResponse:
    """The catalogue, 20 times over (some 40 kB), in chunks."""
    stream = web.StreamResponse(
        headers={
            "Content-Type": "text/csv",
            "Content-Disposition": 'attachment; filename="catalogue.csv"',
        }
    )
    await stream.prepare(request)
    await stream.write(b"copy,sku,cents,stock\r\n")
    for copy in range(20):
        lines = io.StringIO(newline="")
        writer = csv.writer(lines)
        for one in PRODUCTS:
            writer.writerow([copy, one["sku"], one["price"]["cents"], one["stock"]])
        await stream.write(lines.getvalue().encode())
    return stream


def _reply(question: str) -> list[str]:
    sku = next((word for word in question.upper().split() if word in _BY_SKU), None)
    if sku is None:
        return ["I ", "do ", "not ", "know ", "that."]
    return [sku, " costs ", str(_BY_SKU[sku]["price"]["cents"]), " cents."]


@routes.post("/api/v1/chat")
async def chat(request: web.Request) -> web.StreamResponse:
    """The assistant's reply, as JSON, or word by word as server-sent events."""
    told = await request.json()
    pieces = _reply(str(told.get("message", "")))
    if not told.get("stream"):
        return web.json_response({"reply": "".join(pieces), "pieces": len(pieces)})
    stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await stream.prepare(request)
    for piece in pieces:
        await stream.write(b"data: " + json.dumps({"delta": piece}).encode() + b"\n\n")
        await asyncio.sleep(0.01)
    await stream.write(b"data: [DONE]\n\n")
    return stream


@routes.get("/ws")
async def room(request: web.Request) -> web.WebSocketResponse:
    """A chat room: join, message, history, ask; 4401 for a token that is none."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    user, name = _tokens.get(request.query.get("token", "")), ""
    try:
        async for message in socket:
            told = json.loads(message.data)
            if user is None:
                await socket.close(code=4401, message=b"log in first")
                break
            if told["type"] == "join":
                name = str(told["room"])
                _rooms[name].append((user, socket))
                await socket.send_json({"type": "joined", "members": len(_rooms[name])})
            else:
                await _heard(socket, user, name, told)
    finally:
        _rooms[name] = [(who, one) for who, one in _rooms[name] if one is not socket]
    return socket


async def _heard(socket: web.WebSocketResponse, user: str, name: str, told: dict[str, Any]) -> None:
    match told["type"]:
        case "message":
            seq = len(_said[name]) + 1
            said = {"type": "message", "from": user, "text": told["text"], "seq": seq}
            _said[name].append(said)
            for _, one in list(_rooms[name]):
                await one.send_json(said)
        case "history":
            await socket.send_json({"type": "history", "messages": _said[name]})
        case "ask":
            await socket.send_json({"type": "typing"})
            pieces = _reply(str(told["question"]))
            for piece in pieces:
                await socket.send_json({"type": "delta", "text": piece})
            await socket.send_json({"type": "done", "text": "".join(pieces)})
        case _:
            await socket.send_json({"type": "error", "code": "unknown-type"})


@routes.get("/feed")
async def prices(request: web.Request) -> web.WebSocketResponse:
    """The price of `sku`, every 10 ms, for as long as somebody listens."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    sku, n = request.query.get("sku", "SKU-001"), 0
    while not socket.closed:
        n += 1
        cents = int(_BY_SKU[sku]["price"]["cents"])
        try:
            await socket.send_json({"type": "price", "sku": sku, "cents": cents, "n": n})
            await socket.receive(timeout=0.01)
        except TimeoutError:
            continue
        except ConnectionError:
            break
    return socket


def application() -> web.Application:
    """The shop, ready to be served."""
    app = web.Application(middlewares=[_common], client_max_size=4 * 1024 * 1024)
    app.add_routes(routes)
    return app


if __name__ == "__main__":
    web.run_app(
        application(), host="127.0.0.1", port=int(os.environ["PORT"]), print=None, access_log=None
    )
