"""Clients in other processes and in C."""

from __future__ import annotations

import io
import json
import multiprocessing
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import grpc  # type: ignore[import-untyped]
import pycurl  # type: ignore[import-untyped]
import pytest

_NODE = """
fetch(process.argv[1] + "/echo?text=node")
  .then((answer) => answer.json())
  .then((told) => console.log(told.reversed));
"""
_PYTHON = """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1] + "/echo?text=child", timeout=10).read().decode())
"""


def _length(base_url: str, text: str) -> int:
    with urllib.request.urlopen(f"{base_url}/echo?text={text}", timeout=10) as answer:
        return int(json.load(answer)["length"])


def _run(*command: str) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    return ended.stdout


@pytest.fixture(scope="module")
def channel(grpc_address: str) -> Iterator[grpc.Channel]:
    """One channel for the module, ready before the first test."""
    with grpc.insecure_channel(grpc_address) as channel:
        grpc.channel_ready_future(channel).result(timeout=10)
        yield channel


def test_curl(base_url: str) -> None:
    told = json.loads(_run("curl", "-sS", "--fail", f"{base_url}/echo?text=curl"))
    assert told["reversed"] == "lruc"
    assert told["agent"].startswith("curl/")


def test_curl_in_a_shell(base_url: str) -> None:
    script = f"curl -sS -o /dev/null -w '%{{http_code}}' {base_url}/private"
    assert _run("sh", "-c", script) == "401"


def test_a_child_of_python(base_url: str) -> None:
    assert json.loads(_run(sys.executable, "-c", _PYTHON, base_url))["reversed"] == "dlihc"


def test_node(base_url: str) -> None:
    assert _run("node", "-e", _NODE, base_url).strip() == "edon"


def test_forked_processes(base_url: str) -> None:
    with multiprocessing.get_context("fork").Pool(2) as processes:
        lengths = processes.starmap(_length, [(base_url, "a"), (base_url, "bb")])
    assert lengths == [1, 2]


def test_a_pool_of_spawned_processes(base_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as processes:
        assert processes.submit(_length, base_url, "ccc").result(20) == 3


def test_pycurl(base_url: str) -> None:
    told, asking = io.BytesIO(), pycurl.Curl()
    asking.setopt(pycurl.URL, f"{base_url}/echo?text=pycurl")
    asking.setopt(pycurl.WRITEDATA, told)
    asking.setopt(pycurl.TIMEOUT, 10)
    asking.perform()
    assert asking.getinfo(pycurl.RESPONSE_CODE) == 200
    asking.close()
    assert json.loads(told.getvalue())["reversed"] == "lrucyp"


def test_grpc_unary(channel: grpc.Channel) -> None:
    reverse = channel.unary_unary("/zoo.Words/Reverse", str.encode, bytes.decode)
    assert reverse("straw", timeout=10) == "warts"


def test_grpc_refuses(channel: grpc.Channel) -> None:
    reverse = channel.unary_unary("/zoo.Words/Reverse", str.encode, bytes.decode)
    with pytest.raises(grpc.RpcError) as refused:
        reverse("", timeout=10)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_grpc_streams(grpc_address: str) -> None:
    with grpc.insecure_channel(grpc_address) as channel:
        letters = channel.unary_stream("/zoo.Words/Letters", str.encode, bytes.decode)
        assert list(letters("abc", timeout=10)) == ["a", "b", "c"]


@pytest.mark.asyncio
async def test_grpc_aio(grpc_address: str) -> None:
    async with grpc.aio.insecure_channel(grpc_address) as channel:
        join = channel.stream_unary("/zoo.Words/Join", str.encode, bytes.decode)
        assert await join(iter(["a", "b", "c"]), timeout=10) == "a-b-c"
