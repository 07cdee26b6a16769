"""Each client that people write tests with, in one run of the command line: what its pass proves.

The service answers HTTP and WebSockets behind the front door, whose request log is asked for
receipts by one suite and not by the other; a third is spread over two workers of xdist. gRPC does
not go through the front door, which speaks HTTP/1.1: its server is a service with a `url:`, as
somebody has it whose backend is already there, and such a service has no receipts.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from rig import REPOSITORY, Project, Ran, opened, until

SERVICE = """
import os
from aiohttp import WSMsgType, web

async def answer(request):
    if request.path == "/health":
        return web.json_response({"status": "healthy"})
    if request.headers.get("Upgrade") != "websocket":
        return web.json_response({"path": request.path})
    line = web.WebSocketResponse()
    await line.prepare(request)
    async for message in line:
        if message.type is WSMsgType.TEXT:
            await line.send_str(message.data + " too")
    return line

app = web.Application()
app.router.add_get("/{path:.*}", answer)
web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]), print=None)
"""

TESTS = """
import asyncio, os, subprocess, threading
import aiohttp, anyio, grpc, httpx, pytest, requests, urllib3, uvloop, websockets
from websockets.sync.client import connect

HTTP, WS, WORDS = os.environ["BASE_URL"], os.environ["WS_URL"], os.environ["GRPC_ADDRESS"]

def by_requests(name):
    assert requests.get(f"{HTTP}/{name}", timeout=8).json() == {"path": f"/{name}"}

async def by_httpx(name):
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{HTTP}/{name}")).json() == {"path": f"/{name}"}

async def by_websockets(name):
    async with websockets.connect(f"{WS}/{name}") as line:
        await line.send("you")
        assert await line.recv() == "you too"

def on_uvloop(coroutine):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(coroutine)

def test_requests():
    by_requests("requests")

def test_httpx():
    assert httpx.get(f"{HTTP}/httpx").json() == {"path": "/httpx"}

def test_httpx_async():
    asyncio.run(by_httpx("httpx_async"))

def test_aiohttp():
    async def go():
        async with aiohttp.ClientSession() as session, session.get(f"{HTTP}/aiohttp") as answer:
            assert await answer.json() == {"path": "/aiohttp"}
    asyncio.run(go())

def test_urllib3():
    assert urllib3.PoolManager().request("GET", f"{HTTP}/urllib3").json() == {"path": "/urllib3"}

def test_websockets():
    asyncio.run(by_websockets("websockets"))

def test_websockets_sync():
    with connect(f"{WS}/websockets_sync") as line:
        line.send("you")
        assert line.recv(timeout=8) == "you too"

def test_grpc():
    with grpc.insecure_channel(WORDS) as channel:
        reverse = channel.unary_unary("/zoo.Words/Reverse")
        assert reverse(b"drawer", timeout=8) == b"reward"

def test_curl():
    said = subprocess.run(["curl", "-sf", f"{HTTP}/curl"], check=True, capture_output=True)
    assert said.stdout == b'{"path": "/curl"}'

def test_uvloop_httpx():
    on_uvloop(by_httpx("uvloop_httpx"))

def test_uvloop_websockets():
    on_uvloop(by_websockets("uvloop_websockets"))

def test_threads():
    answers = []
    def ask(number):
        answers.append(requests.get(f"{HTTP}/threads/{number}", timeout=8).ok)
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert answers == [True] * 3

@pytest.fixture(scope="session")
def session():
    with requests.Session() as session:
        session.get(f"{HTTP}/warm", timeout=8)
        yield session

@pytest.fixture(scope="session")
def line():
    with connect(f"{WS}/held") as line:
        yield line

def test_held_session(session):
    assert session.get(f"{HTTP}/held_session", timeout=8).ok

def test_held_websocket(line):
    line.send("you")
    assert line.recv(timeout=8) == "you too"

@pytest.mark.asyncio
async def test_pytest_asyncio():
    await by_httpx("pytest_asyncio")

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_anyio(anyio_backend):
    await by_httpx("anyio_" + anyio_backend)
"""

# By the client: the path that the receipt names.
PROVEN = {
    "requests": "/requests",
    "httpx": "/httpx",
    "httpx_async": "/httpx_async",
    "aiohttp": "/aiohttp",
    "urllib3": "/urllib3",
    "websockets": "/websockets",
    "websockets_sync": "/websockets_sync",
    "uvloop_httpx": "/uvloop_httpx",
    "uvloop_websockets": "/uvloop_websockets",
    "threads": "/threads/",
    "held_session": "/held_session",
    "pytest_asyncio": "/pytest_asyncio",
    "anyio[asyncio]": "/anyio_asyncio",
    "anyio[trio]": "/anyio_trio",
}
# No trace id in what they say in their call: what was counted are bytes.
OBSERVED = ("grpc", "held_websocket")
BYTES = r"[1-9]\d* B out, [1-9]\d* B in"
PLUGINS = "-p anyio -p pytest_asyncio.plugin"


@contextmanager
def words() -> Iterator[str]:
    """The zoo's gRPC server, which is already there; HOST:PORT."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    command = [sys.executable, str(REPOSITORY / "bench" / "zoo" / "grpc_target.py")]
    with subprocess.Popen(command, env={"PORT": str(port)}) as process:
        try:
            until(lambda: _is_healthy(f"http://127.0.0.1:{port}/health"))
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def suite(name: str, address: str, run: str = "", **evidence: Any) -> dict[str, Any]:
    return {
        "id": name,
        "kind": "pytest",
        "run": f"{PLUGINS} {run} tests",
        "cwd": "..",
        "env": {
            "BASE_URL": "${services.web.url}",
            "WS_URL": "${services.web.ws_url}",
            "GRPC_ADDRESS": address,
        },
        "timeout": {"suite": "60s", "test": "20s"},
        # What a child did is plausible where there is no log, and where tests run side by side.
        "evidence": {"require": "plausible", "target": ["web", "words"], **evidence},
    }


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """One green run of all clients: with receipts, without, and spread over two workers."""
    with opened(tmp_path_factory.mktemp("clients")) as project, words() as address:
        write(project, address)
        ended = project.run("web")
        assert ended.code == 0, str(ended)
        yield ended


def write(project: Project, address: str) -> None:
    project.write("web/service.py", SERVICE)
    project.write("tests/test_clients.py", TESTS)
    at_once = {"path": "/health", "stable_for": "0s", "timeout": "20s"}
    web = {"source": "../web", "run": {"command": ["python", "service.py"]}, "health": at_once}
    project.loop(
        "web",
        services={"web": web, "words": {"url": f"http://{address}", "health": at_once}},
        suites=[
            suite("logged", address),
            suite("unlogged", address, receipts="off"),
            suite("spread", address, "-p xdist -n 2"),
        ],
        # One after the other: what a child process met is told from its neighbours that way.
        loop={"jobs": 1},
    )
    project.commit()


def graded(ran: Ran, name: str, client: str) -> tuple[str, str]:
    """The grade and the reason of the client's test in that suite."""
    case = next(c for c in ran.suite(name)["cases"] if c["id"].endswith(f"::test_{client}"))
    return case["grade"], case["reason"]


@pytest.mark.parametrize("client", PROVEN)
def test_a_client_is_proven_by_its_receipt_and_observed_without(ran: Ran, client: str) -> None:
    revision = ran.service("web")["revision"]
    for name in ("logged", "spread"):
        grade, reason = graded(ran, name, client)
        assert grade == "proven", f"{name}: {reason}"
        assert reason.startswith(f"receipt: GET {PROVEN[client]}")
        assert reason.endswith(f" on {revision}")
    grade, reason = graded(ran, "unlogged", client)
    assert grade == "observed", reason
    assert re.fullmatch(f"{BYTES}; no request log to ask for a receipt", reason)


@pytest.mark.parametrize("client", OBSERVED)
def test_a_client_that_no_receipt_can_name_is_observed_by_its_bytes(ran: Ran, client: str) -> None:
    for name in ("logged", "unlogged", "spread"):
        grade, reason = graded(ran, name, client)
        assert grade == "observed", f"{name}: {reason}"
        assert re.match(BYTES, reason), f"{name}: {reason}"


def test_a_child_is_as_good_as_what_is_known_of_its_request(ran: Ran) -> None:
    revision = ran.service("web")["revision"]
    assert graded(ran, "logged", "curl") == (
        "observed",
        f"a request like this test's, without its trace id: GET /curl 200 on {revision}",
    )
    assert graded(ran, "unlogged", "curl") == (
        "plausible",
        "a child process (curl) connected to web, its bytes unseen",
    )
    grade, reason = graded(ran, "spread", "curl")
    assert grade == "plausible"
    assert "other tests ran at the same time" in reason


def test_each_client_is_counted_once_in_each_suite(ran: Ran) -> None:
    count = len(PROVEN) + len(OBSERVED) + 1
    for name in ("logged", "unlogged", "spread"):
        told = ran.suite(name)
        assert (told["collected"], told["passed"], told["outcome"]) == (count, count, "passed")
