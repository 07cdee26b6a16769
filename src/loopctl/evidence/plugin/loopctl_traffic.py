"""Requests as the common clients make them, and the answers they get.

The clients are of unknown versions, so their objects are `Any`. A neighbour of
`loopctl_evidence.py`: standard library only, Python >= 3.8. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from loopctl_guard import guarded
from loopctl_patches import around, awaiting
from loopctl_text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopctl_connections import Connections
    from loopctl_mocks import Mocks
    from loopctl_patches import Wrapper
    from loopctl_phase import Current
    from loopctl_targets import Targets

    _Asked = tuple[str, str, int, str]  # method, host, port, path

_IN_PROCESS_TRANSPORTS = {"MockTransport", "ASGITransport", "WSGITransport", "_TestClientTransport"}


class Traffic:
    """Requests as the common clients make them: a trace id put in, the answer's status read."""

    def __init__(
        self,
        current: Current,
        targets: Targets,
        connections: Connections,
        mocks: Mocks,
        *,
        receipts: bool,
        health_paths: Iterable[str],
    ) -> None:
        self._current, self._targets, self._connections = current, targets, connections
        self._mocks = mocks
        self._receipts = receipts
        self._health = frozenset(path.partition("?")[0] for path in health_paths)
        self._span = itertools.count((os.getpid() << 32) + 1)

    def hooks(self) -> list[tuple[str, Wrapper]]:
        """Where clients send a request and learn its answer, as `module:attribute`."""
        legacy = "websockets.legacy.client:WebSocketClientProtocol"
        httpx = around(self._httpx_sends, self._httpx_answered)
        return [
            ("http.client:HTTPConnection.endheaders", around(self._http_client_sends)),
            ("http.client:HTTPConnection.getresponse", around(after=self._http_client_answered)),
            ("httpx:Client._send_single_request", around(self._httpx_asks)),
            ("httpx:AsyncClient._send_single_request", around(self._httpx_asks)),
            ("httpx:HTTPTransport.handle_request", httpx),
            ("httpx:AsyncHTTPTransport.handle_async_request", around(self._httpx_sends)),
            ("httpx:AsyncHTTPTransport.handle_async_request", awaiting(self._httpx_answered)),
            ("aiohttp:ClientRequest.send", around(self._aiohttp_sends)),
            ("aiohttp:ClientResponse.start", awaiting(self._aiohttp_answered)),
            ("websockets.client:ClientProtocol.send_request", around(self._websocket_sends)),
            ("websockets.client:ClientProtocol.process_response", around(self._websocket_answered)),
            (legacy + ".write_http_request", around(self._legacy_websocket_sends)),
            (legacy + ".read_http_response", awaiting(self._legacy_websocket_answered)),
            (
                "websocket._handshake:_get_handshake_headers",
                around(after=self._other_websocket_sends),
            ),
        ]

    def header(self, host: str, port: int, own: object = None) -> str | None:
        """The traceparent to add to a request; None elsewhere, or when the test sends its `own`."""
        phase = self._current.running
        if phase is None or self._targets.name_of(host, port=port) is None:
            return None
        if own:
            text = own.decode("ascii", "replace") if isinstance(own, bytes) else str(own)
            trace = clean(text.split("-")[1] if text.count("-") >= 2 else text.strip(), 64)
            if trace not in phase.own_traces:
                phase.keep("own_traces", trace)
            return None
        return f"00-{phase.trace}-{next(self._span):016x}-01" if self._receipts else None

    def _put_into(self, headers: Any, host: str, port: int) -> bool:
        header = self.header(host, port, headers.get("traceparent"))
        if header is not None:
            headers["traceparent"] = header
        return header is not None

    def _answered(self, asked: _Asked, status: int) -> None:
        method, host, port, path = asked
        self._connections.look()  # what answered may run on a loop that is written in C
        phase = self._current.running
        if phase is None:
            return
        bare = clean(path.partition("?")[0].partition("#")[0] or "/", 300)
        target = self._targets.name_of(host, port=port)
        key = (method, target, clean(host, 300), port, bare, int(status), bare in self._health)
        phase.exchanged(key)

    # http.client, and with it urllib, urllib3, requests and botocore

    @guarded
    def _http_client_sends(self, connection: Any, *_: object, **__: object) -> None:
        lines = [bytes(line) for line in connection._buffer]
        method, path = lines[0].decode("latin-1").split(" ")[:2]
        tunnelled = connection._tunnel_host is not None
        host = connection._tunnel_host if tunnelled else connection.host
        port = connection._tunnel_port if tunnelled else connection.port
        parts = urlsplit(path)
        if parts.hostname:  # a plain proxy is asked for the whole URL
            host, port, path = parts.hostname, parts.port or 80, parts.path
        own = next((line[12:] for line in lines if line[:12].lower() == b"traceparent:"), None)
        header = self.header(host, port, own)
        if header is not None:
            connection.putheader("traceparent", header)
        connection._loopctl_asked = (method, host, port, path)

    @guarded
    def _http_client_answered(
        self, response: Any, connection: Any, *_: object, **__: object
    ) -> None:
        asked = getattr(connection, "_loopctl_asked", None)
        if asked is not None:
            self._answered(asked, response.status)

    # httpx, one hop at a time, so that a redirect to another host takes no trace id along; at the
    # transport that has a network below it, as a client's own may wrap a fake one

    @guarded
    def _httpx_asks(self, client: Any, request: Any, *_: object, **__: object) -> None:
        transport = client._transport_for_url(request.url)
        if type(transport).__name__ in _IN_PROCESS_TRANSPORTS:
            what = f"{type(transport).__module__}.{type(transport).__name__}"
            self._mocks.note(what, "transport")

    @guarded
    def _httpx_sends(self, _transport: object, request: Any) -> None:
        self._take_back(request)
        host, port = self._httpx_address(request)
        request._loopctl_put = self._put_into(request.headers, host, port)

    @guarded
    def _httpx_answered(self, response: Any, _transport: object, request: Any) -> None:
        self._take_back(request)
        host, port = self._httpx_address(request)
        self._answered((request.method, host, port, request.url.path), response.status_code)

    def _take_back(self, request: Any) -> None:
        # httpx copies the headers of a redirected request, also when the next hop is another host.
        if request.__dict__.pop("_loopctl_put", False):
            request.headers.pop("traceparent", None)

    def _httpx_address(self, request: Any) -> tuple[str, int]:
        return request.url.host, request.url.port or (443 if request.url.scheme == "https" else 80)

    # aiohttp

    @guarded
    def _aiohttp_sends(self, request: Any, *_: object, **__: object) -> None:
        self._put_into(request.headers, request.url.host or "", request.url.port or 80)

    @guarded
    def _aiohttp_answered(self, _result: object, response: Any, *_: object, **__: object) -> None:
        url = response.url
        asked = (response.method, url.host or "", url.port or 80, url.path)
        self._answered(asked, response.status)

    # websockets (its sans-I/O core and its legacy client) and websocket-client

    @guarded
    def _websocket_sends(self, protocol: Any, request: Any) -> None:
        uri = getattr(protocol, "uri", None) or protocol.wsuri
        self._put_into(request.headers, uri.host, uri.port)

    @guarded
    def _websocket_answered(self, protocol: Any, response: Any) -> None:
        uri = getattr(protocol, "uri", None) or protocol.wsuri
        self._answered(("GET", uri.host, uri.port, uri.path), response.status_code)

    @guarded
    def _legacy_websocket_sends(self, protocol: Any, path: str, headers: Any) -> None:
        port = protocol._port or (443 if protocol._secure else 80)
        protocol._loopctl_asked = ("GET", protocol._host, port, path)
        self._put_into(headers, protocol._host, port)

    @guarded
    def _legacy_websocket_answered(self, result: Any, protocol: Any) -> None:
        self._answered(protocol._loopctl_asked, result[0])

    @guarded
    def _other_websocket_sends(self, result: Any, _path: str, *where: Any) -> None:
        headers, host, port = result[0], where[1], where[2]
        own = next((line[12:] for line in headers if line[:12].lower() == "traceparent:"), None)
        header = self.header(host, port, own)
        if header is not None:
            headers.insert(1, "traceparent: " + header)
