"""The control protocol of a host: one JSON line asks, one JSON line answers, over a unix socket.

A request is `{"v": 1, "verb": "…", "args": {…}}`, an answer `{"v": 1, "ok": {…}}` or
`{"v": 1, "error": {"kind": "…", "what": "…", "where": null, "hint": null, "mend": null}}`. A
connection may carry any number of both. Every verb may be repeated: it is idempotent or carries a
key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from loopctl.errors import LoopctlError, PortError
from loopctl.ports.leases import LeaseLost
from loopctl.ports.platform import PlatformError

VERSION: Final = 1
#: Bytes of one line: a service's environment is the largest thing in it.
LONGEST_LINE: Final = 16 * 1024 * 1024

Document = dict[str, object]


class ProtocolError(PortError):
    """A line that is no request, no answer, or of another version of the protocol."""


class Fields:
    """A JSON object, read strictly. Every method raises `ProtocolError` naming the field."""

    def __init__(self, document: object, what: str = "document") -> None:
        if not isinstance(document, dict):
            raise ProtocolError(f"{what} is not a JSON object")
        self._document: Mapping[str, object] = document

    def text(self, name: str) -> str:
        """A text."""
        value = self._document.get(name)
        if not isinstance(value, str):
            raise self._wrong(name, "a text")
        return value

    def text_or_none(self, name: str) -> str | None:
        """A text, None when it is null or not there."""
        return None if self._document.get(name) is None else self.text(name)

    def whole(self, name: str) -> int:
        """A whole number."""
        value = self._document.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(name, "a whole number")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """A number; `default` stands in for one that is null or not there."""
        value = self._document.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self._wrong(name, "a number")
        return float(value)

    def flag(self, name: str, default: bool | None = None) -> bool:
        """True or false; `default` stands in for one that is not there."""
        value = self._document.get(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def texts(self, name: str) -> dict[str, str]:
        """Texts by name."""
        value = self._document.get(name)
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise self._wrong(name, "an object of texts")
        return dict(value)

    def wholes(self, name: str) -> dict[str, int]:
        """Whole numbers by name."""
        fields = self.part(name)
        return {key: fields.whole(key) for key in fields.names()}

    def text_list(self, name: str) -> list[str]:
        """A list of texts."""
        value = self._document.get(name)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(name, "a list of texts")
        return list(value)

    def whole_list(self, name: str, default: list[int] | None = None) -> list[int]:
        """A list of whole numbers; `default` stands in for one that is not there."""
        value = self._document.get(name, default)
        if not isinstance(value, list) or not all(type(item) is int for item in value):
            raise self._wrong(name, "a list of whole numbers")
        return list(value)

    def part(self, name: str) -> Fields:
        """An object within."""
        return Fields(self._document.get(name), name)

    def part_or_none(self, name: str) -> Fields | None:
        """An object within, None when it is null or not there."""
        return None if self._document.get(name) is None else self.part(name)

    def parts(self, name: str) -> list[Fields]:
        """A list of objects."""
        value = self._document.get(name)
        if not isinstance(value, list):
            raise self._wrong(name, "a list")
        return [Fields(item, name) for item in value]

    def names(self) -> list[str]:
        """The names of all fields."""
        return list(self._document)

    def _wrong(self, name: str, wanted: str) -> ProtocolError:
        return ProtocolError(f"field {name!r} is not {wanted}")


def request_line(verb: str, args: Mapping[str, object]) -> bytes:
    """A request as it goes over the socket. Raises `ProtocolError` when it is too long."""
    return _line({"v": VERSION, "verb": verb, "args": dict(args)})


def answer_line(ok: Mapping[str, object]) -> bytes:
    """An answer as it goes over the socket."""
    return _line({"v": VERSION, "ok": dict(ok)})


def error_line(error: LoopctlError) -> bytes:
    """An error as it goes over the socket; `raise_error` makes it an error again."""
    kinds = {LeaseLost: "lease-lost", PlatformError: "platform", ProtocolError: "protocol"}
    kind = next((name for type_, name in kinds.items() if isinstance(error, type_)), "platform")
    document = {"kind": kind, "what": error.what, "where": error.where, "hint": error.hint}
    if isinstance(error, PlatformError):
        document["mend"] = error.mend
    return _line({"v": VERSION, "error": document})


def parse_request(line: bytes) -> tuple[str, Fields]:
    """Verb and arguments. Raises `ProtocolError`."""
    fields = _parse(line)
    return fields.text("verb"), fields.part("args")


def parse_answer(line: bytes) -> Fields:
    """What the host answered. Raises its error, or `ProtocolError`."""
    fields = _parse(line)
    error = fields.part_or_none("error")
    if error is None:
        return fields.part("ok")
    what, where, hint = (
        error.text("what"),
        error.text_or_none("where"),
        error.text_or_none("hint"),
    )
    match error.text("kind"):
        case "lease-lost":
            raise LeaseLost(what, where=where, hint=hint)
        case "protocol":
            raise ProtocolError(what, where=where, hint=hint)
        case _:
            raise PlatformError(what, where=where, hint=hint, mend=error.text_or_none("mend"))


def _line(document: Mapping[str, object]) -> bytes:
    line = json.dumps(document, separators=(",", ":")).encode("ascii") + b"\n"
    if len(line) > LONGEST_LINE:
        raise ProtocolError(f"a message of {len(line)} bytes is longer than {LONGEST_LINE}")
    return line


def _parse(line: bytes) -> Fields:
    try:
        fields = Fields(json.loads(line), "the message")
    except ValueError:
        raise ProtocolError("the message is not JSON") from None
    if (version := fields.whole("v")) != VERSION:
        raise ProtocolError(
            f"the other side speaks version {version} of the host protocol, this side {VERSION}",
            hint="end the old host with the loopctl that started it: `loopctl down LOOP`",
        )
    return fields
