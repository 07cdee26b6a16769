"""What a websocket suite asks for: its keys as values, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loopctl.model.plan import SuiteSpec
from loopctl.model.references import Endpoint
from loopctl.ports.suite import SuiteError
from loopctl.suites.declared.headers import sendable
from loopctl.suites.declared.probe_address import Address, address_of, path_of
from loopctl.suites.declared.probe_case import Clean, as_json, filled_in


@dataclass(frozen=True, slots=True)
class WebSocketProbe:
    """The keys of a websocket suite, filled in; `headers` are those of the handshake.

    Each connection sends `messages` (JSON texts) once it is open, and then has `within_s` seconds
    for all `events`, which `field` of a message names; without events the handshake is all that
    is asked for. `ordered` is true, `field` is `type`, `within` the test's time unless given.
    """

    address: Address
    headers: Mapping[str, str]
    messages: tuple[str, ...]
    events: tuple[str, ...]
    ordered: bool
    field: str
    within_s: float


def case_ids(spec: SuiteSpec, clean: Clean) -> tuple[str, ...]:
    """One case for each connection: `WS /ws #1`, `WS /ws #2` …"""
    given: Any = spec.probe or {}
    name = clean.line(f"WS {path_of(given.get('url', ''))}")
    return tuple(f"{name} #{number}" for number in range(1, given.get("connections", 1) + 1))


def probe_of(spec: SuiteSpec, endpoints: Mapping[str, Endpoint]) -> WebSocketProbe:
    """The suite's keys with the addresses of a run. Raises `SuiteError` for what cannot be asked.

    That is a service without an address, a URL that is none, or a header that cannot be sent.
    """
    filled: Any = filled_in(dict(spec.probe or {}), endpoints, f"suite {spec.id}")
    url, expect = filled.get("url", ""), filled.get("expect") or {}
    try:
        if not url.startswith(("ws://", "wss://")):
            raise ValueError("it does not start with ws:// or wss://")
        if "#" in url:
            raise ValueError("a WebSocket's URL has no fragment")
        address = address_of(url, endpoints)
    except ValueError as problem:
        raise SuiteError(
            f"{url!r} is no address of a WebSocket: {problem}",
            where=f"url of suite {spec.id}",
            hint='write it as "${services.NAME.ws_url}/path"',
        ) from problem
    return WebSocketProbe(
        address=address,
        headers=sendable(filled.get("headers") or {}, f"headers of suite {spec.id}"),
        messages=tuple(as_json(message) for message in filled.get("send") or ()),
        events=tuple(expect.get("events") or ()),
        ordered=expect.get("ordered", True),
        field=expect.get("field", "type"),
        within_s=expect.get("within", spec.test_timeout_s),
    )
