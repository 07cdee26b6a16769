"""How the emulator's parts offer their methods, whatever channel they are called by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc  # type: ignore[import-untyped]
from google.protobuf.message import Message


class RpcFault(Exception):
    """What a method answers instead: a status, its text, and details as protobuf messages."""

    def __init__(
        self, code: grpc.StatusCode, message: str, details: Sequence[Message] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = tuple(details)


@dataclass(frozen=True, slots=True)
class Call:
    """One call as the server met it. `headers` are lower-cased metadata or HTTP headers."""

    service: str
    method: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.service.rpartition('.')[2]}/{self.method}"


@dataclass(frozen=True, slots=True)
class HttpRule:
    """How a method is reached over REST, as its proto's `google.api.http` has it.

    `path` is a template as `/v2/{service.name=projects/*/locations/*/services/*}`; `body` the
    field that the body fills, `*` the whole request, None for no body.
    """

    verb: str
    path: str
    body: str | None = None


@dataclass(frozen=True, slots=True)
class Rpc:
    """A unary method. The messages are plain protobuf classes (`Request.pb()` of proto-plus)."""

    service: str
    method: str
    request: type[Message]
    answer: type[Message]
    handle: Callable[[Any, Call], Message]
    http: tuple[HttpRule, ...] = ()


@dataclass(frozen=True, slots=True)
class StreamRpc:
    """A method of two streams; over gRPC alone."""

    service: str
    method: str
    request: type[Message]
    answer: type[Message]
    handle: Callable[[Iterator[Any], Call, Callable[[], bool]], Iterator[Message]]
    """The requests, the call, and whether the caller is still there."""
