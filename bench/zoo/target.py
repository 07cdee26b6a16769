"""The service that the zoo's tests are about: `PORT=8080 python target.py`, on 127.0.0.1.

HTTP with JSON and state, a slow answer, redirects, errors, a large download, a callback to whom it
is told, and two WebSockets: `/ws` answers, `/feed` tells by itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections import Counter
from typing import Final

import aiohttp
from aiohttp import web

LARGE: Final = bytes(range(256)) * 16_384  # 4 MiB
_STEPS: Final = ("agent_started", "agent_thinking", "tool_executing", "tool_completed")

_items: dict[str, dict[str, object]] = {}
_asked: Counter[str] = Counter()
routes = web.RouteTableDef()


@routes.get("/health")
async def health(_: web.Request) -> web.Response:
    """Healthy, always."""
    return web.json_response({"status": "healthy", "items": len(_items)})


@routes.get("/echo")
async def echo(request: web.Request) -> web.Response:
    """`text`, backwards and counted; who asked."""
    text = request.query.get("text", "")
    agent = request.headers.get("User-Agent", "")
    return web.json_response(
        {"text": text, "reversed": text[::-1], "length": len(text), "agent": agent}
    )


@routes.post("/sum")
async def total(request: web.Request) -> web.Response:
    """The sum of `numbers`; 422 when one is none."""
    numbers = (await request.json()).get("numbers", [])
    if not all(isinstance(number, int | float) for number in numbers):
        return web.json_response({"error": "numbers must be numbers"}, status=422)
    return web.json_response({"sum": sum(numbers)})


@routes.put("/items/{key}")
async def keep(request: web.Request) -> web.Response:
    """Keep a thing; its version counts up."""
    key = request.match_info["key"]
    version = int(str(_items.get(key, {}).get("version", 0))) + 1
    _items[key] = {**await request.json(), "key": key, "version": version}
    return web.json_response(_items[key], status=201 if version == 1 else 200)


@routes.get("/items/{key}")
async def kept(request: web.Request) -> web.Response:
    """The thing, or 404."""
    thing = _items.get(request.match_info["key"])
    if thing is None:
        return web.json_response({"error": "no such item"}, status=404)
    return web.json_response(thing)


@routes.delete("/items/{key}")
async def forget(request: web.Request) -> web.Response:
    """Forget it."""
    _items.pop(request.match_info["key"], None)
    return web.Response(status=204)


@routes.get("/search")
async def search(request: web.Request) -> web.Response:
    """Every item of an `owner`."""
    owner = request.query.get("owner")
    found = [thing for thing in _items.values() if thing.get("owner") == owner]
    return web.json_response({"items": found})


@routes.post("/digest")
async def digest(request: web.Request) -> web.Response:
    """SHA-256 of the body."""
    body = await request.read()
    return web.json_response({"sha256": hashlib.sha256(body).hexdigest(), "size": len(body)})


@routes.get("/slow")
async def slow(request: web.Request) -> web.Response:
    """An answer after `for` seconds."""
    await asyncio.sleep(min(float(request.query.get("for", "0.3")), 2))
    return web.json_response({"done": True})


@routes.get("/large")
async def large(_: web.Request) -> web.Response:
    """4 MiB."""
    return web.Response(body=LARGE)


@routes.get("/lines")
async def lines(request: web.Request) -> web.StreamResponse:
    """`count` lines of JSON, in chunks."""
    answer = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await answer.prepare(request)
    for number in range(int(request.query.get("count", "3"))):
        await answer.write(json.dumps({"n": number, "square": number * number}).encode() + b"\n")
        await asyncio.sleep(0.01)
    await answer.write_eof()
    return answer


@routes.get("/moved")
async def moved(_: web.Request) -> web.Response:
    """Somewhere else on this host."""
    raise web.HTTPFound("/echo?text=moved")


@routes.get("/away")
async def away(request: web.Request) -> web.Response:
    """Another host."""
    raise web.HTTPFound(request.query["to"])


@routes.get("/private")
async def private(request: web.Request) -> web.Response:
    """Who is logged in; 401 without a token."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or not token.startswith("user-"):
        headers = {"WWW-Authenticate": "Bearer"}
        return web.json_response({"error": "log in first"}, status=401, headers=headers)
    return web.json_response({"user": token.removeprefix("user-")})


@routes.get("/broken")
async def broken(_: web.Request) -> web.Response:
    """500, always."""
    return web.json_response({"error": "the database is away"}, status=500)


@routes.get("/maintenance")
async def maintenance(_: web.Request) -> web.Response:
    """503 with the time to come back."""
    headers = {"Retry-After": "120"}
    return web.json_response({"until": "02:00"}, status=503, headers=headers)


@routes.get("/warming/{key}")
async def warming(request: web.Request) -> web.Response:
    """503 at every odd time of asking for a key, then 200."""
    key = request.match_info["key"]
    _asked[key] += 1
    if _asked[key] % 2:
        return web.json_response({"error": "warming up"}, status=503)
    return web.json_response({"ready": True, "asked": _asked[key]})


@routes.post("/call-back")
async def call_back(request: web.Request) -> web.Response:
    """Post an order to `url`, as a webhook."""
    told = await request.json()
    async with (
        aiohttp.ClientSession() as session,
        session.post(told["url"], json={"event": "ordered", "order": told["order"]}) as answer,
    ):
        return web.json_response({"delivered": answer.status})


@routes.get("/ws")
async def talk(request: web.Request) -> web.WebSocketResponse:
    """Answers a `chat` with five events, a `ping` with a `pong`, and closes on `bye`."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        said = json.loads(message.data)
        if said["type"] == "ping":
            await socket.send_json({"type": "pong", "n": said["n"] + 1})
        elif said["type"] == "bye":
            await socket.close(code=4001, message=b"as you wish")
        else:
            for step in _STEPS:
                await socket.send_json({"type": step})
            content = said["content"][::-1]
            await socket.send_json({"type": "agent_completed", "content": content})
    return socket


@routes.get("/feed")
async def feed(request: web.Request) -> web.WebSocketResponse:
    """Ticks by itself, every 20 ms, for as long as somebody listens."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    tick = int(request.query.get("from", "0"))
    while not socket.closed:
        try:
            await socket.send_json({"type": "tick", "n": tick})
            await socket.receive(timeout=0.02)
        except TimeoutError:
            tick += 1
        except ConnectionError:
            break
    return socket


def main() -> None:
    """Serve until it is ended."""
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.add_routes(routes)
    web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]), print=None, access_log=None)


if __name__ == "__main__":
    main()
