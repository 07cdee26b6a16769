"""The zoo's gRPC service: `PORT=50051 python grpc_target.py`, on 127.0.0.1.

`zoo.Words` speaks plain UTF-8 instead of protobuf: Reverse (unary), Letters (stream of answers),
Join (stream of questions). One port serves gRPC and `GET /health` in HTTP/1.1, told apart by the
first bytes, as services behind an HTTP health check do.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc  # type: ignore[import-untyped]

_PREFACE = b"PRI * HTTP/2"
_HEALTHY = b'{"status": "healthy"}'
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_HEALTHY), _HEALTHY)
)


def reverse(request: str, context: Any) -> str:
    """Backwards; empty text is refused."""
    if not request:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "there is nothing to reverse")
    return request[::-1]


def letters(request: str, _: Any) -> Iterator[str]:
    """One by one."""
    yield from request


def join(requests: Iterator[str], _: Any) -> str:
    """All of them."""
    return "-".join(requests)


def _server() -> tuple[Any, int]:
    coding = {"request_deserializer": bytes.decode, "response_serializer": str.encode}
    handlers = {
        "Reverse": grpc.unary_unary_rpc_method_handler(reverse, **coding),
        "Letters": grpc.unary_stream_rpc_method_handler(letters, **coding),
        "Join": grpc.stream_unary_rpc_method_handler(join, **coding),
    }
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("zoo.Words", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def _serve(port: int, inner: int) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await reader.readexactly(len(_PREFACE))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            return
        if first != _PREFACE:
            writer.write(_ANSWER)
            await writer.drain()
            writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", inner)
        back.write(first)
        await asyncio.gather(_pump(reader, back), _pump(there, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    """Serve until it is ended."""
    server, inner = _server()
    try:
        asyncio.run(_serve(int(os.environ["PORT"]), inner))
    finally:
        server.stop(None)


if __name__ == "__main__":
    main()
