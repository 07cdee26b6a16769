"""A request and a response, free of how they travel."""

import json
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import parse_qs, urlsplit


class BadRequest(Exception):
    """The request cannot be understood; the text says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; header names are lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        """The path without its query, which may hold a token and is therefore never logged."""
        return urlsplit(self.target).path

    @property
    def wants_websocket(self) -> bool:
        """Whether the client asks to turn this connection into a WebSocket."""
        return self.headers.get("upgrade", "").lower() == "websocket"

    def token(self) -> str | None:
        """The bearer token, from the header or, for browsers' sockets, from the query."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            return token.strip()
        return next(iter(parse_qs(urlsplit(self.target).query).get("token", [])), None)

    def text_fields(self, *names: str) -> tuple[str, ...]:
        """These fields of the JSON body, each of which must be text; raises BadRequest."""
        try:
            body = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise BadRequest("the body is not JSON") from error
        if not isinstance(body, dict):
            raise BadRequest("the body must be a JSON object")
        if missing := [name for name in names if not isinstance(body.get(name), str)]:
            raise BadRequest(f"missing, or not text: {', '.join(missing)}")
        return tuple(cast(str, body[name]) for name in names)


@dataclass(frozen=True, slots=True)
class Response:
    """A JSON answer."""

    status: int
    body: object
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """The body as it travels."""
        return json.dumps(self.body).encode() + b"\n"


def refusal(status: int, reason: str, **headers: str) -> Response:
    """An answer that says no, and why."""
    return Response(status, {"error": reason}, headers)
