"""Normal traffic, made by a seed: what stands around the telling line, and is not it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Final

from bench.diagnosis.story import Line

_PATHS: Final = (
    *("/api/threads", "/api/threads/{n}", "/api/messages", "/api/users/{n}", "/health"),
    *("/api/agents", "/api/mcp/config", "/api/search?q=error+handling", "/static/app.{h}.js"),
    "/api/orders/{n}/items",
)
_STATUSES: Final = (200,) * 30 + (201, 201, 204, 204, 304, 304, 401, 403, 404, 422)
_HARMLESS: Final = (
    "DeprecationWarning: datetime.datetime.utcnow() is deprecated and scheduled for removal",
    "retry 1/3 of GET /v1/models after 0.4 s: connection reset by peer; attempt 2 succeeded",
    "batch {n} done: {n} rows, 0 errors, 0 failed",
    "client disconnected before the response was sent, request {h}",
    "cache miss for key user:{n}, falling back to database",
    "slow query: 412 ms SELECT * FROM threads WHERE user_id = {n}",
    "token of user {n} expired, refreshed",
    "error_rate=0.000 p95=0.{n} window=60s",
    "circuit breaker payments: HALF_OPEN -> CLOSED",
)
_ORDINARY: Final = (
    "thread {n} loaded for user {n} in {n} ms",
    "agent {h} started for thread {n}",
    "agent {h} completed in {n} ms",
    "websocket connected: user={n} connections={n}",
    "websocket closed: user={n} code=1001 reason=going away",
    "message {h} stored",
    "published event tool_completed to {n} subscribers",
    "cache refreshed: {n} keys in {n} ms",
    "scheduled job cleanup finished in {n} ms",
    "user {n} logged in from 10.8.{n}.{n}",
    "pool size=10 checked_out={n} overflow=0",
    "heartbeat ok",
)
_JAVA: Final = ("c.e.chat.ThreadService", "c.e.chat.AgentController", "o.a.k.c.NetworkClient")

Spoken = Callable[[str, str, Random], tuple[str, str, str]]


def _uvicorn(level: str, text: str, _random: Random) -> tuple[str, str, str]:
    return "stderr", "", f"{level + ':':<9} {text}"


def _python(level: str, text: str, random: Random) -> tuple[str, str, str]:
    module = random.choice(("app.threads", "app.agents", "app.ws.manager", "app.db"))
    at = f"2025-09-08 13:{random.randrange(60):02}:07,{random.randrange(999):03}"
    return "stderr", "", f"{at} - {module} - {level} - {text}"


def _gunicorn(level: str, text: str, random: Random) -> tuple[str, str, str]:
    at = f"2025-09-08 13:58:{random.randrange(60):02} +0000"
    return "stderr", "", f"[{at}] [{random.randrange(2, 9)}] [{level}] {text}"


def _pino(level: str, text: str, random: Random) -> tuple[str, str, str]:
    number = {"INFO": 30, "WARNING": 40}[level]
    told = {"level": number, "time": 1757339906000 + random.randrange(10**6), "pid": 1, "msg": text}
    return "json", "", json.dumps(told)


def _console(level: str, text: str, _random: Random) -> tuple[str, str, str]:
    return "stdout", "", text if level == "INFO" else f"warn: {text}"


def _spring(level: str, text: str, random: Random) -> tuple[str, str, str]:
    word = "WARN" if level == "WARNING" else level
    at = f"2025-09-08T13:{random.randrange(60):02}:26.{random.randrange(999):03}Z"
    thread = f"nio-8080-exec-{random.randrange(1, 20)}"
    return "stdout", "", f"{at} {word:>5} 1 --- [{thread}] {random.choice(_JAVA):<40} : {text}"


def _logback(level: str, text: str, random: Random) -> tuple[str, str, str]:
    logger = random.choice(_JAVA)
    return "json", level, json.dumps({"severity": level, "logger": logger, "message": text})


def _zap(level: str, text: str, random: Random) -> tuple[str, str, str]:
    word = {"INFO": "info", "WARNING": "warn"}[level]
    at = 1757339906.1 + random.randrange(999)
    told = {"level": word, "ts": at, "caller": "server/handler.go:88", "msg": text}
    return "json", "", json.dumps(told)


def _structlog(level: str, text: str, _random: Random) -> tuple[str, str, str]:
    return "json", level, json.dumps({"severity": level, "message": text, "module": "threads"})


_LIKE: Final[Mapping[str, Spoken]] = {
    "uvicorn": _uvicorn,
    "python": _python,
    "gunicorn": _gunicorn,
    "pino": _pino,
    "console": _console,
    "spring": _spring,
    "logback": _logback,
    "zap": _zap,
    "structlog": _structlog,
}


def noise(
    number: int,
    like: str,
    service: str,
    revision: str,
    within: tuple[float, float],
    random: Random,
    scary: float = 0.02,
) -> Iterator[Line]:
    """So many lines of a service of that kind, `scary` of them harmless though they look bad."""
    speak = _LIKE[like]
    instances = [f"{random.getrandbits(80):020x}" for _ in range(3)]
    for _ in range(number):
        at = random.uniform(*within)
        instance = random.choice(instances)
        if random.random() < 0.4:
            kind, severity, text = "req", "INFO", _request(random)
            severity = "WARNING" if " 4" in text else "INFO"
        elif random.random() < scary:
            kind, severity, text = speak("WARNING", _told(random.choice(_HARMLESS), random), random)
        else:
            kind, severity, text = speak("INFO", _told(random.choice(_ORDINARY), random), random)
        yield Line(at, service, kind, text, severity, instance, revision)


def _request(random: Random) -> str:
    method = random.choice(("GET", "GET", "GET", "POST", "PUT"))
    path = _told(random.choice(_PATHS), random)
    return f"{method} {path} {random.choice(_STATUSES)} {random.lognormvariate(-3, 0.8):.6f}"


def _told(text: str, random: Random) -> str:
    while "{" in text:
        text = text.replace("{n}", str(random.randrange(1, 250)), 1)
        text = text.replace("{h}", f"{random.getrandbits(32):08x}", 1)
    return text


def passing(number: int, random: Random) -> Iterator[str]:
    """So many passed tests, as `pytest -v` prints them; some are named after errors."""
    files = ("tests/e2e/test_threads.py", "tests/e2e/test_errors.py", "tests/e2e/test_agents.py")
    words = ("lists", "error_is_shown", "survives_timeout", "retries_503", "stores", "rejects_401")
    for at in range(number):
        name = f"{random.choice(files)}::test_{random.choice(words)}_{at}"
        yield f"{name} PASSED{' ' * max(1, 60 - len(name))}[{100 * at // number:3}%]"


def layers(number: int, random: Random, state: str) -> Iterator[str]:
    """So many steps of an image's build, as `docker build --progress=plain` prints them."""
    for at in range(number):
        vertex, what = (
            at + 5,
            random.choice(("RUN pip install -r r.txt", "COPY app ./app", "RUN make")),
        )
        yield f"#{vertex} [{at + 2:>2}/{number + 1}] {what}"
        yield (
            f"#{vertex} {state}" if state == "CACHED" else f"#{vertex} DONE {random.random():.1f}s"
        )
        yield ""
