"""The plugin is not noticed by a suite, whatever it mocks, and is not misled by what it mocks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from evidence_rig import PLUGIN_FOLDER, Target, Watched, running_target, watch

LOOKS = r"""
import gc, http.client, inspect, socket, unittest.mock, warnings
from unittest.mock import patch
import pytest

@pytest.mark.parametrize("name", [
    "aiohttp.ClientRequest.send",
    "httpx.AsyncClient._send_single_request",
    "httpx.AsyncHTTPTransport.handle_async_request",
])
def test_a_coroutine_function_is_mocked_as_one(name):
    with patch(name) as fake: assert isinstance(fake, unittest.mock.AsyncMock)
def test_autospec_knows_the_parameters():
    with patch("socket.getaddrinfo", autospec=True) as fake:
        socket.getaddrinfo(host="x", port=80)
        fake.assert_called_once_with("x", 80)
def test_autospec_refuses_what_the_original_does():
    with patch("http.client.HTTPConnection.endheaders", autospec=True), pytest.raises(TypeError):
        http.client.HTTPConnection("x").endheaders(1, 2, 3)
def test_signatures(monkeypatch):
    assert "raising" in inspect.signature(monkeypatch.setattr).parameters
    assert "self" not in inspect.signature(http.client.HTTPConnection("x").getresponse).parameters
def test_an_unclosed_socket_is_warned_of_where_it_is_dropped():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        socket.socket()
    [warning] = told
    assert (warning.filename, warning.category) == (__file__, ResourceWarning)
    assert str(warning.message).startswith("unclosed <socket.socket fd=")
def test_a_filter_that_names_the_module():
    socket.socket()
    gc.collect()
"""


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with running_target() as running:
        yield running


@pytest.fixture(scope="module")
def looks(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    strict = ("-W", "error", "-W", "ignore:unclosed:ResourceWarning:test_zoo")
    return watch(tmp_path_factory.mktemp("looks"), LOOKS, target.environment, *strict)


def test_what_is_watched_looks_as_it_did(looks: Watched) -> None:
    calls = {line["id"]: line["outcome"] for line in looks.of("phase") if line["phase"] == "call"}
    assert len(calls) == 8
    assert {name for name, outcome in calls.items() if outcome != "passed"} == set()
    assert looks.of("plugin-error") == []


def test_an_unclosed_socket_that_is_an_error_is_told_of_as_without_the_plugin(
    target: Target, tmp_path: Path
) -> None:
    text = "import socket\ndef test_drops(): socket.socket()\n"
    seen = watch(tmp_path, text, target.environment, "-W", "error", "--tb=short")
    assert "Exception ignored in: <socket.socket fd=" in seen.output
    assert "fd=-1" not in seen.output


# As `time-machine` does: the code of the built-in function is replaced, whoever holds it.
OTHER_TIME = r"""
import ctypes, time
METHOD, CODE = 16, 8  # m_ml of PyCFunctionObject, ml_meth of PyMethodDef

def code_of(function):
    method = ctypes.c_void_p.from_address(id(function) + METHOD).value
    return ctypes.c_void_p.from_address(method + CODE)

def test_other_time():
    code_of(time.time).value = code_of(time.monotonic).value
    assert abs(time.time() - time.monotonic()) < 1
"""


def test_events_bear_the_real_time_whatever_time_the_suite_pretends_it_is(
    target: Target, tmp_path: Path
) -> None:
    seen = watch(tmp_path, OTHER_TIME, target.environment)
    assert seen.phase("test_other_time")["outcome"] == "passed"
    assert all(abs(line["t"] - time.time()) < 60 for line in seen.lines)
    assert all(abs(line["began"] - time.time()) < 60 for line in seen.of("phase"))


# As `freezegun` does: every module's attribute that is a clock becomes another one.
FROZEN = r"""
import os, subprocess, sys, time, urllib.request
def test_meets(): urllib.request.urlopen(os.environ["ZOO_HTTP"] + "/x").read()
def test_child_before_the_clock_stops():
    subprocess.run(["/bin/true"], check=True)
    real = time.monotonic
    for module in list(sys.modules.values()):
        for name, value in list(vars(module).items()):
            if value is real:
                setattr(module, name, lambda: 10.0**9)
"""


def test_a_frozen_clock_makes_no_child_connect(target: Target, tmp_path: Path) -> None:
    seen = watch(tmp_path, FROZEN, target.environment)
    told = seen.phase("test_child_before_the_clock_stops")["contacts"]
    assert {each["failed"] for each in told} == {"not-seen"}


# A socket as gevent's is: no subclass of Python's, and closed by code of its own.
GEVENT = r"""
import _socket
class socket:
    def __init__(self): self._sock = _socket.socket()
    def __getattr__(self, name): return getattr(self._sock, name)
    def close(self): self._real_close()
    def _real_close(self): self._sock.close()
"""
OVER_GEVENT = r"""
import os
from gevent._socket3 import socket
PORT = int(os.environ["ZOO_HTTP"].rpartition(":")[2])
def test_gevent():
    line = socket()
    line.connect(("127.0.0.1", PORT))
    line.sendall(b"GET / HTTP/1.0\r\n\r\n")
    assert line.recv(9)
    line.close()
"""


def test_bytes_over_gevents_sockets_are_counted(target: Target, tmp_path: Path) -> None:
    (tmp_path / "gevent").mkdir()
    (tmp_path / "gevent" / "__init__.py").touch()
    (tmp_path / "gevent" / "_socket3.py").write_text(GEVENT)
    seen = watch(tmp_path, OVER_GEVENT, target.environment)
    contact = seen.contact("test_gevent")
    assert (contact["target"], contact["sent"]) == ("chat", 18)
    assert contact["received"] >= 9


REWRITTEN = r"""
def test_hooked():
    import anyio._backends._asyncio
    taken = anyio._backends._asyncio.SocketStream.aclose
    assert taken.__code__.co_filename.startswith(PLUGIN)
"""


def test_a_module_whose_loader_is_that_of_others_is_watched_too(
    target: Target, tmp_path: Path
) -> None:
    # pytest does so by itself for every package with a plugin in it; anyio is one.
    conftest = 'import pytest\npytest.register_assert_rewrite("anyio")\n'
    (tmp_path / "conftest.py").write_text(conftest)
    text = f"PLUGIN = {str(PLUGIN_FOLDER)!r}\n{REWRITTEN}"
    seen = watch(tmp_path, text, target.environment)
    assert seen.phase("test_hooked")["outcome"] == "passed"
