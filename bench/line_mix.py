"""A service's log as it may be: 4 instances interleaved line by line, generated as it is read."""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from loopctl.model.logs import LogEntry

_START: Final = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
_INSTANCES: Final = 4
_BLOCK: Final = 1000
_LONG: Final = 20_000

_PYTHON: Final = """\
Traceback (most recent call last):
  File "/usr/local/lib/python3.12/site-packages/starlette/routing.py", line {n}, in app
    response = await func(request)
               ^^^^^^^^^^^^^^^^^^^
  File "/app/chat/routes.py", line 71, in list_messages
    rows = await store.read(user)
  File "/app/chat/store.py", line 44, in read
    return await self.pool.fetch(query, user)
asyncpg.exceptions.TooManyConnectionsError: sorry, too many clients already

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/app/chat/routes.py", line 73, in list_messages
    raise StoreError(user) from error
chat.store.StoreError: user {n}"""
_NODE: Final = """\
TypeError: Cannot read properties of undefined (reading 'total')
    at total (/app/src/cart.js:{n}:21)
    at Cart.checkout (/app/src/cart.js:88:12)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)
    at async /app/src/server.js:31:18"""
_JAVA: Final = """\
org.springframework.dao.DataAccessResourceFailureException: could not open connection
\tat org.springframework.orm.jpa.Translator.translate(Translator.java:{n})
\tat com.example.shop.OrderService.place(OrderService.java:57)
\tat com.example.shop.OrderController.post(OrderController.java:31)
Caused by: java.net.ConnectException: Connection refused
\tat java.base/sun.nio.ch.Net.connect0(Native Method)
\t... 42 more"""
_GO: Final = """\
panic: runtime error: index out of range [{n}] with length 3

goroutine 34 [running]:
main.pick(...)
\t/src/shop/pick.go:19
main.handle({{0x7f3, 0xc000}}, 0xc00012)
\t/src/shop/main.go:52 +0x1d
created by net/http.(*Server).Serve in goroutine 1
\t/usr/local/go/src/net/http/server.go:3285 +0x4b4"""

Kind = Callable[[random.Random], str]


def _access(rng: random.Random) -> str:
    status = rng.choice(("200 OK", "200 OK", "200 OK", "201 Created", "404 Not Found"))
    client = f"10.{rng.randrange(9)}.{rng.randrange(256)}.{rng.randrange(256)}"
    asked = f'"GET /users/{rng.randrange(90_000)}/messages?limit=50 HTTP/1.1"'
    return f"INFO:     {client}:{rng.randrange(30_000, 60_000)} - {asked} {status}"


def _said(rng: random.Random) -> str:
    at = f"2026-11-20 12:{rng.randrange(60):02d}:{rng.randrange(60):02d},{rng.randrange(1000):03d}"
    match rng.randrange(100):
        case 0:
            return f"{at} ERROR chat.mail cannot deliver to user {rng.randrange(900)}: box is full"
        case 1 | 2:
            return f"{at} WARNING chat.store slow query: {rng.random() * 9:.3f} s for 'messages'"
        case number if number < 30:
            return f"{at} INFO chat.live session {rng.getrandbits(64):016x} opened by web"
        case number if number < 60:
            return f"{at} DEBUG chat.cache hit for key user:{rng.randrange(90_000)}:profile"
        case _:
            return f"{at} INFO chat.agent user={rng.randrange(5000)} took {rng.randrange(900)} ms"


def _python_json(rng: random.Random) -> str:
    said = f"order {rng.randrange(10**6)} placed in {rng.randrange(400)} ms"
    where = {"logger": "shop.orders", "trace": f"{rng.getrandbits(128):032x}", "tenant": "acme"}
    return json.dumps({"severity": "INFO", "message": said, **where, "pid": 7})


def _pino(rng: random.Random) -> str:
    request = {"id": rng.randrange(10**6), "method": "GET", "url": "/cart", "host": "shop"}
    body = {"level": 30, "time": 1763640000000 + rng.randrange(10**7), "pid": 1, "req": request}
    return json.dumps({**body, "res": {"statusCode": 200}, "msg": "request completed"})


def _trace(rng: random.Random) -> str:
    return rng.choice((_PYTHON, _PYTHON, _NODE, _JAVA, _GO)).format(n=rng.randrange(900))


def _structured_trace(rng: random.Random) -> str:
    stack = _NODE.format(n=rng.randrange(900))
    error = {"type": "TypeError", "message": stack.partition("\n")[0], "stack": stack}
    return json.dumps({"level": 50, "pid": 1, "err": error, "msg": "request errored"})


def _long(rng: random.Random) -> str:
    return "DEBUG chat.agent prompt " + f"token{rng.randrange(99)} " * (_LONG // 8)


_KINDS: Final[tuple[tuple[int, Kind], ...]] = (
    (5000, _access),
    (2900, _said),
    (900, _python_json),
    (900, _pino),
    (80, _trace),
    (10, _structured_trace),
    (2, _long),
)


def blocks(number: int) -> Iterator[list[LogEntry]]:
    """So many entries, a block of a thousand at a time."""
    rng = random.Random(7)
    kinds = [kind for weight, kind in _KINDS for _ in range(weight)]
    pending: list[deque[str]] = [deque() for _ in range(_INSTANCES)]
    for first in range(0, number, _BLOCK):
        block = []
        for index in range(first, min(first + _BLOCK, number)):
            instance = index % _INSTANCES
            mine = pending[instance]
            if not mine:
                text = rng.choice(kinds)(rng)
                # What is written to stderr is one entry a line; JSON is one entry.
                mine.extend(text.split("\n"))
            at = _START + timedelta(milliseconds=index)
            text = mine.popleft()
            name = f"i{instance}"
            block.append(LogEntry(at, "chat", "chat-1", "stderr", text, index + 1, None, name))
        yield block


def lines(number: int) -> Iterator[str]:
    """The same, the text alone."""
    for block in blocks(number):
        for entry in block:
            yield entry.text
