"""The kernel's own table of connections, read while real ones are open and after they closed."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from evidence_rig import PLUGIN_FOLDER


def _table() -> Any:
    spec = importlib.util.spec_from_file_location("tcp_table", PLUGIN_FOLDER / "loopctl_tcp.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TABLE = _table()


@pytest.fixture(params=["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def place(request: pytest.FixtureRequest) -> Iterator[tuple[str, socket.socket]]:
    """Where to connect to, and who listens there."""
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    dual = request.param.startswith("::ffff")
    with socket.create_server(
        ("::" if dual else request.param, 0), family=family, dualstack_ipv6=dual
    ) as server:
        yield request.param, server


def ports_to(host: str, server: socket.socket) -> set[int]:
    address = (host.rpartition("::ffff:")[2], server.getsockname()[1])
    return {port for (found, port) in TABLE.read({address: "chat"}) if found == address}


def as_client(client: socket.socket, server: socket.socket) -> None:
    client.close()
    server.close()


def as_server(client: socket.socket, server: socket.socket) -> None:
    server.close()
    client.close()


@pytest.mark.parametrize("close", [as_client, as_server])
def test_a_connection_is_seen_while_it_is_open_and_whoever_closed_it_first(
    place: tuple[str, socket.socket], close: Callable[[socket.socket, socket.socket], None]
) -> None:
    host, server = place
    # Of others who had the number before, and are not forgotten yet.
    earlier = ports_to(host, server)
    assert 0 not in earlier, "the listener is none"
    client = socket.create_connection((host, server.getsockname()[1]))
    port = client.getsockname()[1]
    accepted = server.accept()[0]
    assert {port} <= ports_to(host, server) <= earlier | {port}
    close(client, accepted)
    assert {port} <= ports_to(host, server) <= earlier | {port}


def test_a_port_that_is_used_again_is_another_connection() -> None:
    row = TABLE.Row
    assert not row(100.0).is_another_than(row(None))  # closed since
    assert not row(100.02).is_another_than(row(100.0))  # the same, read again
    assert row(None).is_another_than(row(100.0))
    assert row(101.5).is_another_than(row(100.0))


def test_the_same_closed_connection_lapses_at_the_same_time_whenever_it_is_read() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        as_client(socket.create_connection(address), server.accept()[0])
        [first], [again] = (TABLE.read({address: "chat"}).values() for _ in range(2))
    assert first.lapses is not None
    assert not again.is_another_than(first)


def test_a_table_that_is_not_there_or_too_long_tells_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(TABLE, "_MOST_BYTES", 10)
    assert TABLE.read({("127.0.0.1", 1): "chat"}) is None
    monkeypatch.setattr(TABLE, "_TABLES", ("/proc/net/none",))
    assert TABLE.read({("127.0.0.1", 1): "chat"}) is None
