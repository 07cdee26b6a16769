"""The parts of a control run over generated tests, in real pytest processes.

What `parts` runs is one zoo with settings of its own each time, as loopctl runs a suite again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from evidence_rig import Target, Watched, running_target, watch

from loopctl.suites.stand_in import StandIn

Settings = Mapping[str, str]

FIRST: Settings = {}
REFUSED: Settings = {"LOOPCTL_REFUSE": "1"}
PLUGINS = ("-p", "anyio")

# What the tests of both zoos ask with; each says itself what it makes of the answer.
ASKING = r"""
import asyncio, contextlib, errno, http.client, os, select, socket, threading, urllib.request
import aiohttp, httpx, pytest, requests, trio, uvloop, websockets
from websockets.sync.client import connect

HTTP, WS, ELSEWHERE = os.environ["ZOO_HTTP"], os.environ["ZOO_WS"], os.environ["ZOO_OTHER"]
PORT = int(HTTP.rpartition(":")[2])
GET = b"GET / HTTP/1.0\r\n\r\n"

def ask(path="/x"): return urllib.request.urlopen(HTTP + path, timeout=10).read()
async def ask_over_trio():
    async with await trio.open_tcp_stream("127.0.0.1", PORT) as stream:
        await stream.send_all(GET)
        return await stream.receive_some(12)
def ask_over_aiohttp():
    async def go():
        async with aiohttp.ClientSession() as session, session.get(HTTP) as got:
            return await got.text()
    return asyncio.run(go())
def ask_in_a_thread():
    got = []
    thread = threading.Thread(target=lambda: got.append(requests.get(HTTP)), daemon=True)
    thread.start()
    thread.join()
    return got[0]
def ask_websocket_async():
    async def go():
        async with websockets.connect(WS) as line:
            await line.send("?")
            return await line.recv()
    return asyncio.run(go())
@contextlib.contextmanager
def raw():
    with socket.create_connection(("127.0.0.1", PORT), timeout=10) as line:
        line.sendall(GET)
        yield line
def head(line): return line.makefile("rb").readline()
def non_blocking():
    line = socket.socket()
    line.setblocking(False)
    assert line.connect_ex(("127.0.0.1", PORT)) in (0, errno.EINPROGRESS)
    select.select([], [line], [], 10)
    line.setblocking(True)
    line.sendall(GET)
    return line
@pytest.fixture(scope="module")
def held():
    with connect(WS) as line: yield line
"""


@contextmanager
def target_by_name() -> Iterator[Target]:
    """The target as a loop file has it: also by one name, whatever that resolves to."""
    with running_target() as target:
        environment = target.environment
        environment["ZOO_OTHER"] = target.away
        by_name = f'"{_by_name(target)}", '
        environment["LOOPCTL_TARGETS"] = environment["LOOPCTL_TARGETS"].replace(
            '["http', f'[{by_name}"http'
        )
        yield target


def only_by_name(target: Target, scheme: str = "http") -> Settings:
    """Settings for tests of addresses: the target has its name alone, its port is `ZOO_V6`."""
    url = _by_name(target, scheme)
    return {
        "ZOO_V6": url.rpartition(":")[2],
        "LOOPCTL_TARGETS": f'{{"chat": {{"urls": ["{url}"]}}}}',
    }


def led_to(place: StandIn) -> Settings:
    return {"LOOPCTL_STAND_IN": place.setting}


def parts(
    zoo: str, target: Target, temporary: pytest.TempPathFactory, settings: Mapping[str, Settings]
) -> Mapping[str, Watched]:
    """The zoo once for each of the settings, in their order."""
    return {
        name: watch(temporary.mktemp(name), zoo, {**target.environment, **its}, *PLUGINS)
        for name, its in settings.items()
    }


def assert_all_whole(runs: Mapping[str, Watched]) -> None:
    """Every test passes the first time, and every run comes to its end."""
    assert runs["first"].returncode == 0, runs["first"].output
    for run in runs.values():
        assert run.of("plugin-error") == []
        assert [line["id"] for line in run.of("test-end")] == run.of("collected")[0]["ids"]
        assert run.of("session-end")


def called(seen: Watched) -> dict[str, str]:
    """How each call ended, by the test's name without `test_`."""
    phases = (line for line in seen.of("phase") if line["phase"] == "call")
    return {line["id"].rpartition("::test_")[2]: line["outcome"] for line in phases}


def assert_workers_agree(
    folder: Path,
    zoo: str,
    settings: Settings,
    *,
    failed: Collection[str],
    passed: Collection[str],
) -> None:
    """The zoo, spread over two workers of xdist."""
    spread = watch(folder, zoo, settings, *PLUGINS, "-p", "xdist", "-n", "2")
    assert spread.of("plugin-error") == []
    wanted = dict.fromkeys(failed, "failed") | dict.fromkeys(passed, "passed")
    assert {name: spread.phase(f"test_{name}")["outcome"] for name in wanted} == wanted


def _by_name(target: Target, scheme: str = "http") -> str:
    port = target.environment["ZOO_HTTP"].rpartition(":")[2]
    return f"{scheme}://localhost:{port}"
