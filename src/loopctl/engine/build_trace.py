"""BuildKit's progress as an engine sends it: `{"id": "moby.buildkit.trace", "aux": <base64>}`.

`aux` is a protobuf message `moby.buildkit.v1.StatusResponse`. The numbers of its fields are those
of api/services/control/control.proto in github.com/moby/buildkit, the same from the first BuildKit
in an engine (18.09) on; what is not needed here is left out, and skipped when it is met.

Strings are read as bytes: an engine need not send valid UTF-8, and a Dockerfile need not be any.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from loopctl.engine.errors import EngineError
from loopctl.inert import decode

TRACE: Final = "moby.buildkit.trace"


@dataclass(frozen=True, slots=True)
class Vertex:
    """One step as it is now; it comes again with each change. Times are the engine's, in seconds.

    `inputs` are the digests of the steps that it builds upon. `completed` without `error`: it went
    well. `cached`: its result was not made by this build.
    """

    digest: str
    inputs: tuple[str, ...]
    name: str
    cached: bool
    started: float | None
    completed: float | None
    error: str


@dataclass(frozen=True, slots=True)
class Printed:
    """What a step wrote: a piece of any length of its `stream` (1 stdout, 2 stderr)."""

    digest: str
    at: float
    stream: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Trace:
    """One message: what changed since the last."""

    vertices: tuple[Vertex, ...]
    printed: tuple[Printed, ...]


def decoded(aux: object) -> Trace:
    """The trace of one message. Raises `EngineError` where it is none."""
    try:
        if not isinstance(aux, str):
            raise TypeError("no text")
        status = _Status()
        status.ParseFromString(base64.b64decode(aux, validate=True))
    except (binascii.Error, TypeError, DecodeError, ValueError) as error:
        raise EngineError(
            f"the engine tells of its build in a form that is not understood: {error}",
            hint="DOCKER_BUILDKIT=0 builds with the engine's old builder",
        ) from None
    return Trace(tuple(map(_vertex, status.vertexes)), tuple(map(_printed, status.logs)))


def _vertex(raw: Any) -> Vertex:
    return Vertex(
        digest=decode(raw.digest),
        inputs=tuple(map(decode, raw.inputs)),
        name=decode(raw.name),
        cached=raw.cached,
        started=_seconds(raw.started) if raw.HasField("started") else None,
        completed=_seconds(raw.completed) if raw.HasField("completed") else None,
        error=decode(raw.error),
    )


def _printed(raw: Any) -> Printed:
    return Printed(decode(raw.vertex), _seconds(raw.timestamp), raw.stream, raw.msg)


def _seconds(raw: Any) -> float:
    return float(raw.seconds) + float(raw.nanos) / 1e9


_Field = descriptor_pb2.FieldDescriptorProto
_BYTES: Final = _Field.TYPE_BYTES
_PACKAGE: Final = "loopctl.buildkit"


def _message_class() -> Any:
    """The class of the message, from a description in a pool of its own.

    The process-wide pool is left alone: another library may bring BuildKit's own description.
    """
    file = descriptor_pb2.FileDescriptorProto(
        name="loopctl/buildkit.proto", package=_PACKAGE, syntax="proto3"
    )
    _describe(file, "Instant", [(1, "seconds", _Field.TYPE_INT64), (2, "nanos", _Field.TYPE_INT32)])
    _describe(
        file,
        "Vertex",
        [
            (1, "digest", _BYTES),
            (2, "inputs*", _BYTES),
            (3, "name", _BYTES),
            (4, "cached", _Field.TYPE_BOOL),
            (5, "started", "Instant"),
            (6, "completed", "Instant"),
            (7, "error", _BYTES),
        ],
    )
    _describe(
        file,
        "Log",
        [
            (1, "vertex", _BYTES),
            (2, "timestamp", "Instant"),
            (3, "stream", _Field.TYPE_INT64),
            (4, "msg", _BYTES),
        ],
    )
    _describe(file, "Status", [(1, "vertexes*", "Vertex"), (3, "logs*", "Log")])
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Status"))


def _describe(
    file: descriptor_pb2.FileDescriptorProto,
    name: str,
    fields: Sequence[tuple[int, str, str | _Field.Type.ValueType]],
) -> None:
    """Add a message. A field's type is a kind of number or the name of a message; `*`: repeated."""
    message = file.message_type.add(name=name)
    for number, field, kind in fields:
        added = message.field.add(name=field.rstrip("*"), number=number)
        added.label = _Field.LABEL_REPEATED if field.endswith("*") else _Field.LABEL_OPTIONAL
        if isinstance(kind, str):
            added.type, added.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
        else:
            added.type = kind


_Status: Final = _message_class()
