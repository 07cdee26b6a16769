"""The methods over REST: HTTP/1.1 and JSON."""

from __future__ import annotations

import socket
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import h11

from emulator.dispatch import Dispatcher
from emulator.faults import Drop
from emulator.google_pages import not_found
from emulator.http_peer import HttpPeer
from emulator.listener import Listener
from emulator.rest_codec import answer_json, error_json, request_of
from emulator.rest_routes import Match, Routes
from emulator.rpc import Call, Rpc, RpcFault

_JSON: Final = [(b"content-type", b"application/json; charset=UTF-8"), (b"server", b"ESF")]
_HTML: Final = [(b"content-type", b"text/html; charset=UTF-8")]


class RestServer:
    """Answers on `port` of 127.0.0.1."""

    def __init__(self, dispatcher: Dispatcher, port: int = 0) -> None:
        self._dispatcher = dispatcher
        self._routes = Routes(dispatcher.of(Rpc))
        self._listener = Listener(self._serve, "emulator-rest", port)
        self.port = self._listener.port

    def close(self) -> None:
        self._listener.close()

    def _serve(self, connection: socket.socket) -> None:
        peer = HttpPeer(connection)
        for request in peer.requests():
            try:
                self._answer(peer, request)
            except Drop:
                return

    def _answer(self, peer: HttpPeer, request: h11.Request) -> None:
        body = b"".join(peer.body())
        target = urlsplit(request.target.decode("ascii"))
        match = self._routes.find(request.method.decode().upper(), target.path)
        if match is None:
            peer.respond(404, _HTML, not_found(target.path))
            return
        query = parse_qsl(target.query, keep_blank_values=True)
        status, answer = self._told(match, query, body, request)
        peer.respond(status, _JSON, answer)

    def _told(
        self, match: Match, query: list[tuple[str, str]], body: bytes, request: h11.Request
    ) -> tuple[int, bytes]:
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in request.headers}
        call = Call(match.rpc.service, match.rpc.method, headers)
        try:
            asked = request_of(match, query, body)
            answer = self._dispatcher.answer(match.rpc, asked, call, "rest")
        except RpcFault as fault:
            return error_json(fault)
        return 200, answer_json(answer, integers=_wants_integers(query))


def _wants_integers(query: list[tuple[str, str]]) -> bool:
    """`$alt=json;enum-encoding=int`, as Google's own clients ask."""
    return any(key.lstrip("$") == "alt" and "enum-encoding=int" in value for key, value in query)
