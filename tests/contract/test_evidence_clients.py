"""One test per client, in real pytest processes: its grade with a request log at hand and without.

The servers are real, and every client is the real one. What a channel cannot see is in the reason.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from evidence_rig import Graded, Target, Watched, running_target, watch

ZOO = r"""
import asyncio, http.client, os, subprocess, sys, threading
import aiohttp, anyio, grpc, grpc.aio, httpx, pycurl, pytest, requests, urllib3, uvloop, websockets
from websockets.sync.client import connect

HTTP, WS, RPC = os.environ["ZOO_HTTP"], os.environ["ZOO_WS"], os.environ["ZOO_RPC"]
HOST, PORT = "127.0.0.1", int(HTTP.rpartition(":")[2])

def test_requests(): assert requests.get(HTTP + "/requests").ok
def test_requests_session():
    with requests.Session() as session: assert session.get(HTTP + "/requests_session").ok
def test_urllib3(): assert urllib3.PoolManager().request("GET", HTTP + "/urllib3").status == 200
def test_httpx(): assert httpx.get(HTTP + "/httpx").is_success

async def over_httpx(path):
    async with httpx.AsyncClient() as client: assert (await client.get(HTTP + path)).is_success

async def over_aiohttp(path):
    async with aiohttp.ClientSession() as session:
        async with session.get(HTTP + path) as answer: assert await answer.text() == "ok"

async def over_streams(path):
    reader, writer = await asyncio.open_connection(HOST, PORT)
    writer.write(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
    assert await reader.readline()
    writer.close()
    await writer.wait_closed()

async def over_websockets(path):
    async with websockets.connect(WS + path) as socket:
        await socket.send("?")
        assert await socket.recv() == "?"

def test_httpx_async(): asyncio.run(over_httpx("/httpx_async"))
def test_aiohttp(): asyncio.run(over_aiohttp("/aiohttp"))
def test_websockets_asyncio(): asyncio.run(over_websockets("/websockets_asyncio"))
def test_websockets_sync():
    with connect(WS + "/websockets_sync") as socket:
        socket.send("?")
        assert socket.recv() == "?"

def on_uvloop(coroutine):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner: runner.run(coroutine)

def test_uvloop_httpx(): on_uvloop(over_httpx("/uvloop_httpx"))
def test_uvloop_aiohttp(): on_uvloop(over_aiohttp("/uvloop_aiohttp"))
def test_uvloop_streams(): on_uvloop(over_streams("/uvloop_streams"))
def test_uvloop_websockets(): on_uvloop(over_websockets("/uvloop_websockets"))

def test_grpc_unary():
    with grpc.insecure_channel(RPC) as channel:
        assert channel.unary_unary("/zoo.Chat/Unary")(b"?", timeout=10) == b"?"
def test_grpc_future():
    with grpc.insecure_channel("dns:///" + RPC) as channel:
        call = channel.unary_unary("/zoo.Chat/Future").future(b"?", 10, [("mine", "kept")])
        assert call.result() == b"?"
def test_grpc_server_stream():
    with grpc.insecure_channel(RPC) as channel:
        assert list(channel.unary_stream("/zoo.Chat/Stream")(b"?", timeout=10)) == [b"?", b"?"]

async def over_grpc_aio():
    async with grpc.aio.insecure_channel(RPC) as channel:
        assert await channel.unary_unary("/zoo.Chat/Aio")(b"?", timeout=10) == b"?"
def test_grpc_aio(): asyncio.run(over_grpc_aio())

@pytest.fixture(scope="module")
def channel():
    with grpc.insecure_channel(RPC) as channel:
        channel.unary_unary("/zoo.Chat/Warm")(b"?", timeout=10)
        yield channel
def test_grpc_fixture_only(channel): pass
def test_grpc_fixture_used(channel): channel.unary_unary("/zoo.Chat/Used")(b"?", timeout=10)

def curl(path, *options):
    handle = pycurl.Curl()
    handle.setopt(pycurl.URL, HTTP + path)
    handle.setopt(pycurl.WRITEFUNCTION, lambda _: None)
    handle.setopt(pycurl.HTTPHEADER, list(options))
    handle.perform()
    handle.close()
def test_pycurl(): curl("/pycurl")
def test_pycurl_closed_by_the_server(): curl("/pycurl_closed", "Connection: close")

def test_curl(): subprocess.run(["curl", "-sf", HTTP + "/curl"], check=True)
def test_curl_health(): subprocess.run(["curl", "-sf", HTTP + "/health"], check=True)
def test_curl_closed_by_the_server():
    subprocess.run(["curl", "-sf", "-H", "Connection: close", HTTP + "/curl_closed"], check=True)
@pytest.mark.skipif(not os.environ["ZOO_NODE"], reason="no node here")
def test_node():
    code = "require('http').get(process.argv[1], a => a.resume())"
    subprocess.run(["node", "-e", code, HTTP + "/node"], check=True)
def test_python_child():
    code = "import sys, urllib.request as u; u.urlopen(sys.argv[1]).read()"
    subprocess.run([sys.executable, "-c", code, HTTP + "/python_child"], check=True)
def test_child_that_connects_nowhere(): subprocess.run([sys.executable, "-c", "pass"], check=True)
def test_child_beside_a_request():
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    requests.get(HTTP + "/beside")
def test_forked_child():
    child = os.fork()
    if not child:
        requests.get(HTTP + "/forked")
        os._exit(0)
    os.waitpid(child, 0)

def test_thread():
    thread = threading.Thread(target=requests.get, args=(HTTP + "/thread",))
    thread.start()
    thread.join()

@pytest.fixture(scope="session")
def held():
    with connect(WS + "/held") as socket: yield socket
def test_held_idle(held): pass
def test_held_used(held):
    held.send("?")
    assert held.recv() == "?"

@pytest.fixture(scope="session")
def kept():
    with httpx.Client() as client:
        client.get(HTTP + "/warm")
        yield client
def test_kept_idle(kept): pass
def test_kept_used(kept): kept.get(HTTP + "/kept")

@pytest.mark.asyncio
async def test_pytest_asyncio(): await over_httpx("/pytest_asyncio")

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_anyio(anyio_backend): await over_httpx("/anyio_" + anyio_backend)

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_anyio_streams(anyio_backend):
    async with await anyio.connect_tcp(HOST, PORT) as stream:
        await stream.send(b"GET /anyio_stream HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await stream.receive()
"""

PLUGINS = ("-p", "anyio", "-p", "pytest_asyncio.plugin")

PROVEN = [
    "requests",
    "requests_session",
    "urllib3",
    "httpx",
    "httpx_async",
    "aiohttp",
    "websockets_sync",
    "websockets_asyncio",
    "uvloop_httpx",
    "uvloop_aiohttp",
    "uvloop_websockets",
    "grpc_unary",
    "grpc_future",
    "grpc_server_stream",
    "grpc_aio",
    "grpc_fixture_used",
    "child_beside_a_request",
    "thread",
    "kept_used",
    "pytest_asyncio",
    "anyio[asyncio]",
    "anyio[trio]",
]
# No trace id in what they send: theirs by the port, and the bytes were counted.
OBSERVED = [
    "uvloop_streams",
    "pycurl",
    "pycurl_closed_by_the_server",
    "held_used",
    "anyio_streams[asyncio]",
    "anyio_streams[trio]",
]
CHILDREN = {
    "curl": "curl",
    "curl_closed_by_the_server": "curl",
    "node": "node",
    "python_child": "python",
}


@contextmanager
def running_grpc(target: Target) -> Iterator[str]:
    """An echo of every method, which notes its callers' traces; its address."""

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc] # no types
        def service(self, details: Any) -> Any:
            def noted(request: bytes, context: Any) -> bytes:
                told = dict(context.invocation_metadata())
                port = int(context.peer().rpartition(":")[2])
                target.note(details.method, told.get("traceparent"), port)
                target.seen["mine"].append(told.get("mine"))
                return request

            def twice(request: bytes, context: Any) -> Iterator[bytes]:
                yield noted(request, context)
                yield request

            if details.method.endswith("Stream"):
                return grpc.unary_stream_rpc_method_handler(twice)
            return grpc.unary_unary_rpc_method_handler(noted)

    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((Handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait(10)


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with running_target() as running, running_grpc(running) as rpc:
        environment = running.environment
        environment["ZOO_RPC"] = rpc
        environment["ZOO_NODE"] = shutil.which("node") or ""
        environment["LOOPCTL_TARGETS"] = environment["LOOPCTL_TARGETS"].replace(
            "]}", f', "http://{rpc}"]}}'
        )
        yield running


@pytest.fixture(scope="module")
def zoo(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    seen = watch(tmp_path_factory.mktemp("zoo"), ZOO, target.environment, *PLUGINS)
    assert seen.of("plugin-error") == []
    return seen


@pytest.fixture(scope="module")
def with_log(zoo: Watched, target: Target) -> Graded:
    return zoo.graded(target)


@pytest.fixture(scope="module")
def without_log(zoo: Watched, target: Target) -> Graded:
    return zoo.graded(target, receipts=False)


def test_every_client_passes(zoo: Watched) -> None:
    assert zoo.returncode == 0, zoo.output


@pytest.mark.parametrize("client", PROVEN)
def test_a_client_that_takes_a_trace_id_is_proven_by_the_log_and_observed_without(
    with_log: Graded, without_log: Graded, client: str
) -> None:
    proven, observed = with_log[f"test_{client}"], without_log[f"test_{client}"]
    assert (str(proven.grade), str(observed.grade)) == ("proven", "observed"), (proven, observed)
    assert "no request log" in observed.reason


@pytest.mark.parametrize("client", OBSERVED)
def test_a_client_without_a_trace_id_is_observed_by_its_bytes(
    with_log: Graded, without_log: Graded, client: str
) -> None:
    for graded in (with_log, without_log):
        found = graded[f"test_{client}"]
        assert str(found.grade) == "observed", found


@pytest.mark.parametrize("client", CHILDREN)
def test_a_child_is_observed_by_its_port_and_plausible_without_a_log(
    with_log: Graded, without_log: Graded, client: str
) -> None:
    if client == "node" and shutil.which("node") is None:
        pytest.skip("no node here")
    observed, plausible = with_log[f"test_{client}"], without_log[f"test_{client}"]
    assert str(observed.grade) == "observed", observed
    assert observed.reason.startswith("a request like this test's, without its trace id: GET /")
    assert str(plausible.grade) == "plausible", plausible
    assert plausible.reason.startswith(f"a child process ({CHILDREN[client]}")
    assert plausible.reason.endswith("connected to chat, its bytes unseen")


def test_a_forked_child_is_proven_by_the_trace_id_that_it_inherits(
    with_log: Graded, without_log: Graded
) -> None:
    assert str(with_log["test_forked_child"].grade) == "proven"
    found = without_log["test_forked_child"]
    assert str(found.grade) == "plausible"
    assert found.reason.endswith("connected to chat, its bytes unseen")


def test_what_a_child_asked_of_health_alone_is_not_better_than_plausible(with_log: Graded) -> None:
    assert str(with_log["test_curl_health"].grade) == "plausible"


def test_a_child_that_connected_nowhere_proves_nothing(
    with_log: Graded, without_log: Graded
) -> None:
    for graded in (with_log, without_log):
        found = graded["test_child_that_connects_nowhere"]
        assert str(found.grade) == "unproven", found
        assert found.reason.endswith("was not seen to connect to chat")


@pytest.mark.parametrize("idle", ["held_idle", "kept_idle", "grpc_fixture_only"])
def test_what_a_fixture_holds_open_proves_nothing_where_it_is_not_used(
    with_log: Graded, idle: str
) -> None:
    found = with_log[f"test_{idle}"]
    assert str(found.grade) == "unproven", found


def test_who_made_a_connection_is_told(zoo: Watched) -> None:
    via = {
        name: {c.via for c in case.call.contacts if c.target and not c.failed}
        for name, case in zoo.cases().items()
        if case.call
    }
    assert via["test_requests"] == via["test_anyio[trio]"] == {"python"}
    for in_c in ("grpc_unary", "grpc_aio", "pycurl", "uvloop_httpx", "uvloop_streams"):
        assert via[f"test_{in_c}"] == {"c"}, in_c
    assert via["test_uvloop_aiohttp"] == {"python"}
    assert via["test_curl"] == via["test_forked_child"] == {"child"}


def test_grpc_keeps_the_metadata_of_the_test(zoo: Watched, target: Target) -> None:
    for name, path in (("unary", "Unary"), ("future", "Future"), ("aio", "Aio")):
        assert zoo.phase(f"test_grpc_{name}")["trace"] in target.traces(f"/zoo.Chat/{path}")
    assert "kept" in target.seen["mine"]


def test_beside_other_tests_a_childs_request_is_plausible_and_says_why(
    zoo: Watched, target: Target
) -> None:
    found = zoo.graded(target, alone=False)["test_curl"]
    assert str(found.grade) == "plausible"
    assert found.reason == (
        "a child process ran (curl), and GET /curl 200 came without a trace id; "
        "other tests ran at the same time, and it may be theirs"
    )
    assert str(zoo.graded(target, alone=False)["test_requests"].grade) == "proven"
    assert str(zoo.graded(target, alone=False)["test_pycurl"].grade) == "observed"


@pytest.mark.slow
def test_workers_of_xdist_are_graded_alike_but_for_their_children(
    target: Target, tmp_path: Path
) -> None:
    spread = watch(tmp_path, ZOO, target.environment, *PLUGINS, "-p", "xdist", "-n", "2")
    assert spread.of("plugin-error") == []
    with_log, without_log = spread.graded(target), spread.graded(target, receipts=False)
    for client in PROVEN:
        grades = (with_log[f"test_{client}"].grade, without_log[f"test_{client}"].grade)
        assert grades == ("proven", "observed"), client
    for client in OBSERVED:
        assert str(with_log[f"test_{client}"].grade) == "observed", client
    found = with_log["test_curl"]
    assert str(found.grade) == "plausible"
    assert "other tests ran at the same time" in found.reason


MOCKED = r"""
import os, unittest.mock
import httpx, pytest, requests, requests_mock, responses, respx

HTTP = os.environ["ZOO_HTTP"]

@responses.activate
def test_responses():
    responses.get(HTTP, body="ok")
    assert requests.get(HTTP).text == "ok"

@respx.mock
def test_respx():
    respx.get(HTTP).mock(return_value=httpx.Response(200))
    assert httpx.get(HTTP).is_success

def test_requests_mock():
    with requests_mock.Mocker() as fake:
        fake.get(HTTP, text="ok")
        assert requests.get(HTTP).text == "ok"

def test_monkeypatch(monkeypatch):
    monkeypatch.setattr(requests, "get", lambda url: "ok")
    assert requests.get(HTTP) == "ok"

@responses.activate
def test_passed_through():
    responses.add_passthru(HTTP)
    assert requests.get(HTTP).ok
"""


def test_what_a_mock_answers_is_contradicted_and_what_it_lets_through_is_suspect(
    target: Target, tmp_path: Path
) -> None:
    seen = watch(tmp_path, MOCKED, target.environment)
    assert seen.returncode == 0, seen.output
    grades = {name: str(each.grade) for name, each in seen.graded(target).items()}
    assert grades == {
        "test_responses": "contradicted",
        "test_respx": "contradicted",
        "test_requests_mock": "contradicted",
        "test_monkeypatch": "contradicted",
        "test_passed_through": "suspect",
    }
