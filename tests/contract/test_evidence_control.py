"""The control run in real pytest processes: what is refused when, and whom it bears out."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from control_rig import (
    ASKING,
    FIRST,
    REFUSED,
    assert_all_whole,
    assert_workers_agree,
    called,
    only_by_name,
    parts,
    target_by_name,
)
from evidence_rig import Target, Watched, watch

from loopctl.evidence.control import controlled
from loopctl.model.evidence import Control

ZOO = (
    ASKING
    + r"""
import subprocess

# Honest: each needs its target.
def test_urllib(): ask()
def test_requests(): assert requests.get(HTTP).ok
def test_httpx(): assert httpx.get(HTTP).is_success
def test_by_name(): assert httpx.get("http://localhost:%d" % PORT).is_success
def test_websocket():
    with connect(WS) as socket: socket.send("?")
def test_thread(): ask_in_a_thread()
@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_anyio(anyio_backend):
    async with httpx.AsyncClient() as client: await client.get(HTTP)
def test_aiohttp(): ask_over_aiohttp()
def test_connect_ex():
    with socket.socket() as line:
        line.settimeout(10)
        assert line.connect_ex(("127.0.0.1", PORT)) == 0
        line.sendall(GET)
        assert line.recv(9)
def test_non_blocking():
    with non_blocking() as line: assert line.recv(9)

def test_held(held):
    held.send("?")
    assert held.recv(timeout=10) == "?"
def test_held_again(held):
    held.send("?")
    assert held.recv(timeout=10) == "?"

@pytest.fixture
def account():
    told = ask("/account")
    yield told
    assert ask("/close") == b"ok"
def test_set_up_and_tear_down_are_let_through(account): assert ask() == account == b"ok"

# False: each passes whatever its target does.
def test_swallows():
    try: ask()
    except OSError: pass
def test_swallows_requests():
    try: assert requests.get(HTTP).ok
    except requests.ConnectionError: pass
def test_swallows_connect_ex():
    with socket.socket() as line:
        line.settimeout(10)
        if line.connect_ex(("127.0.0.1", PORT)) != errno.ECONNREFUSED:
            line.sendall(GET)
            assert line.recv(9)
def test_swallows_held(held):
    try:
        held.send("?")
        held.recv(timeout=10)
    except websockets.ConnectionClosed: pass
def test_asserts_on_what_set_up_got(account):
    try: ask()
    except OSError: pass
    assert account == b"ok"

# Nobody can tell.
def test_curl(): subprocess.run(["curl", "-sf", HTTP], check=True)
def test_uvloop():
    async def go():
        async with httpx.AsyncClient() as client: await client.get(HTTP)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner: runner.run(go())
def test_no_contact(): pass

# Not of the target.
def test_elsewhere_is_not_refused(): assert requests.get(ELSEWHERE).ok
"""
)

HONEST = [
    "urllib",
    "requests",
    "httpx",
    "by_name",
    "websocket",
    "thread",
    "anyio[asyncio]",
    "anyio[trio]",
    "aiohttp",
    "connect_ex",
    "non_blocking",
    "held",
    "held_again",
    "set_up_and_tear_down_are_let_through",
]
FALSE = [
    "swallows",
    "swallows_requests",
    "swallows_connect_ex",
    "swallows_held",
    "asserts_on_what_set_up_got",
]


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with target_by_name() as running:
        yield running


@pytest.fixture(scope="module")
def runs(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Watched]:
    return parts(ZOO, target, tmp_path_factory, {"first": FIRST, "again": REFUSED})


@pytest.fixture(scope="module")
def first(runs: Mapping[str, Watched]) -> Watched:
    return runs["first"]


@pytest.fixture(scope="module")
def again(runs: Mapping[str, Watched]) -> Watched:
    return runs["again"]


@pytest.fixture(scope="module")
def shown(first: Watched, again: Watched) -> Mapping[str, Control]:
    ended = again.cases()
    return {name: controlled(case, ended.get(name)) for name, case in first.cases().items()}


def test_every_test_passes_the_first_time_and_the_second_run_ends_whole(
    runs: Mapping[str, Watched],
) -> None:
    assert_all_whole(runs)


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_pass_is_borne_out(shown: Mapping[str, Control], name: str) -> None:
    assert shown[f"test_{name}"] == Control(
        "borne-out", "it fails while chat is refused (control run)"
    )


@pytest.mark.parametrize("name", FALSE)
def test_a_false_pass_is_contradicted(shown: Mapping[str, Control], name: str) -> None:
    assert shown[f"test_{name}"] == Control(
        "contradicted", "it still passes while chat is refused (control run)"
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("curl", "a child process ran (curl), which cannot be refused"),
        ("uvloop", "code in C connected to chat, which cannot be refused"),
        ("no_contact", "none can be refused"),
        ("elsewhere_is_not_refused", "none can be refused"),
    ],
)
def test_whoever_cannot_be_refused_is_not_accused(
    shown: Mapping[str, Control], name: str, reason: str
) -> None:
    found = shown[f"test_{name}"]
    assert found.kind == "unavailable"
    assert found.reason.endswith(reason)


def test_nothing_but_the_targets_is_refused(again: Watched) -> None:
    assert again.phase("test_elsewhere_is_not_refused")["outcome"] == "passed"


def test_set_up_and_tear_down_meet_the_target_while_the_call_does_not(again: Watched) -> None:
    name = "test_set_up_and_tear_down_are_let_through"
    outcomes = [again.phase(name, each)["outcome"] for each in ("setup", "call", "teardown")]
    assert outcomes == ["passed", "failed", "passed"]
    assert again.contact(name, "setup")["received"]
    assert again.contact(name, "teardown")["received"]


@pytest.mark.parametrize("name", ["urllib", "thread", "anyio[trio]", "aiohttp", "swallows"])
def test_a_refused_connect_is_told_with_its_reason(again: Watched, name: str) -> None:
    contact = again.contact(f"test_{name}")
    assert (contact["target"], contact["failed"]) == ("chat", errno.errorcode[errno.ECONNREFUSED])
    assert not contact["received"]


def test_a_connection_of_a_fixtures_is_cut_before_the_call(again: Watched) -> None:
    assert not any(each["received"] for each in again.phase("test_held")["contacts"])


def test_a_refusal_shows_no_frame_of_the_plugin(again: Watched) -> None:
    for name in ("urllib", "non_blocking", "aiohttp"):
        line = again.phase(f"test_{name}")
        frames = [f for each in (line["exc"], *line["exc"]["chained"]) for f in each["frames"]]
        assert not any("loopctl_" in frame["file"] for frame in frames)
    assert again.phase("test_requests")["exc"]["type"] == "ConnectionError"


@pytest.mark.slow
def test_workers_of_xdist_refuse_as_well(target: Target, tmp_path: Path) -> None:
    refusing = {**target.environment, **REFUSED}
    assert_workers_agree(tmp_path, ZOO, refusing, failed=HONEST, passed=FALSE)


V6 = """
import os, socket
import pytest
PORT = int(os.environ["ZOO_V6"])
def test_v6(): socket.create_connection(("::1", PORT)).close()
def test_mapped():
    line = socket.socket(socket.AF_INET6)
    line.connect(("::ffff:127.0.0.1", PORT))
def test_datagram():
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.sendto(b"?", ("127.0.0.1", PORT))
def test_datagram_connected():
    line = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    line.connect(("::1", PORT))
def test_datagram_message():
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.sendmsg([b"?"], [], 0, ("127.0.0.1", PORT))
def test_fast_open():
    line = socket.socket()
    line.sendmsg([b"?"], [], socket.MSG_FASTOPEN, ("127.0.0.1", PORT))
def test_another_port(): socket.socket(type=socket.SOCK_DGRAM).connect(("127.0.0.1", PORT + 1))
"""


def test_every_address_of_a_targets_name_is_refused(target: Target, tmp_path: Path) -> None:
    seen = watch(tmp_path, V6, {**only_by_name(target), **REFUSED})
    outcomes = called(seen)
    assert list(outcomes.values()) == ["failed"] * 6 + ["passed"]
    for test in list(outcomes)[:6]:
        assert seen.phase(f"test_{test}")["exc"]["type"] == "ConnectionRefusedError"


def test_without_the_setting_nothing_is_refused(first: Watched) -> None:
    assert shutil.which("curl")
    assert {line["outcome"] for line in first.of("phase")} == {"passed"}
