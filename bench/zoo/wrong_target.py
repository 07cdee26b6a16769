"""A target whose every behaviour is wrong: `PORT=8080 GRPC_PORT=50051 python wrong_target.py`.

It keeps the zoo's labels honest: against it an honest test must fail and a false one still pass.
What stays right is what the false tests only use: the health's JSON and the way to another host.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc  # type: ignore[import-untyped]
from aiohttp import web

_WRONG: dict[str, object] = {"type": "wrong", "n": -1, "content": "wrong", "items": []}
_SOCKETS = ("/ws", "/feed", "/echo")


async def answer(request: web.Request) -> web.StreamResponse:
    """The same wrong thing to every question."""
    if request.path == "/health":
        return web.Response(text=json.dumps({"status": "healthy"}))
    if request.path == "/away":
        raise web.HTTPFound(request.query["to"])
    if request.headers.get("Upgrade", "").lower() == "websocket":
        return await _talk(request) if request.path in _SOCKETS else web.Response(status=404)
    return web.json_response(_WRONG)


async def _talk(request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    if request.path != "/feed":
        await socket.receive()
    await socket.send_json(_WRONG)
    await socket.close()
    return socket


def _words(port: int) -> Any:
    coding = {"request_deserializer": bytes.decode, "response_serializer": str.encode}
    handlers = {
        "Reverse": grpc.unary_unary_rpc_method_handler(lambda *_: "wrong", **coding),
        "Letters": grpc.unary_stream_rpc_method_handler(lambda *_: iter(["wrong"]), **coding),
        "Join": grpc.stream_unary_rpc_method_handler(lambda *_: "wrong", **coding),
    }
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("zoo.Words", handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server


def main() -> None:
    """Serve until it is ended."""
    words = _words(int(os.environ["GRPC_PORT"]))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    try:
        web.run_app(
            app, host="127.0.0.1", port=int(os.environ["PORT"]), print=None, access_log=None
        )
    finally:
        words.stop(None)


if __name__ == "__main__":
    main()
