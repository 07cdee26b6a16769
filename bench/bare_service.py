"""A service with nothing in it: `python -m bench.bare_service` prints its port and answers 200.

It listens on a free port of 127.0.0.1, or where it is told: `bare_service.py HOST PORT`.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_LAST_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class _Answering(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._asked = b""

    def data_received(self, data: bytes) -> None:
        self._asked += data
        while b"\r\n\r\n" in self._asked:
            head, _, self._asked = self._asked.partition(b"\r\n\r\n")
            if b"connection: close" in head.lower():
                self._transport.write(_LAST_ANSWER)
                self._transport.close()
                return
            self._transport.write(_ANSWER)


async def _serve(host: str = "127.0.0.1", port: str = "0") -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Answering, host, int(port))
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:]))
