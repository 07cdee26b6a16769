"""Whose fault an exception is: the test's own code, or the service it talks to.

Frames of the suite's own code carry a path relative to its root, all others an absolute one (the
suite's adapter sees to it). The rules stand in `blame`, in the order in which they are asked.
"""

from __future__ import annotations

import re
from enum import StrEnum

from loopctl.model.evidence import Frame, Raised


class Blame(StrEnum):
    """Who is at fault: `test` makes a case broken, `service` makes it failed."""

    TEST = "test"
    SERVICE = "service"


# Wherever these are raised, no service can be the cause.
_BROKEN_CODE = frozenset({
    "NameError", "UnboundLocalError", "ImportError", "ModuleNotFoundError", "SyntaxError",
    "IndentationError", "TabError", "FixtureLookupError", "FixtureLookupErrorRepr", "CollectError",
    "UsageError", "ConftestImportFailure", "PytestCollectionWarning", "SystemExit",
    "FileNotFoundError", "NotADirectoryError", "IsADirectoryError", "FileExistsError",
})  # fmt: skip
# The client refuses an address before it asks anybody: the test was configured wrongly.
_BAD_ADDRESS = frozenset({
    "MissingSchema", "InvalidSchema", "InvalidURL", "UnsupportedProtocol", "InvalidURI",
    "LocationParseError", "InvalidProxyURL",
})  # fmt: skip
_NETWORK = re.compile(
    r"^(Connect|Connection|ReadTimeout|WriteTimeout|PoolTimeout|RemoteProtocol|RemoteDisconnected"
    r"|Timeout|timeout$|gaierror|herror|SSL|HTTPError|HTTPStatus|Http|BrokenPipe|IncompleteRead"
    r"|BadStatusLine|InvalidStatus|InvalidHandshake|InvalidMessage|WebSocket|ClientError|ClientConn"
    r"|ClientResponse|ServerDisconnected|ServerTimeout|WSServer|ReadError|WriteError|NewConnection"
    r"|MaxRetry|ProxyError|ChunkedEncoding|URLError|AioRpcError|_InactiveRpcError|RpcError)"
)
_CLIENT_FILE = re.compile(
    r"/(httpx|httpcore|requests|urllib3|aiohttp|websockets|websocket|grpc|h11|h2|wsproto|tornado"
    r"|urllib|http|botocore|niquests|curl_cffi)/[^/]+|/(socket|ssl)\.py$"
)
_WRONG_USE = frozenset({"TypeError", "AttributeError"})
_ODD_ANSWER = frozenset({"KeyError", "IndexError", "ValueError", "LookupError", "StopIteration"})
# What a test trips over when an answer has another shape than it had: JSON's own types, used as if
# they were another of them.
_OTHER_SHAPE = re.compile(
    r"'(NoneType|dict|list|str|int|float|bool)' object (is not|does not|cannot)"
    r"|string indices must be integers|list indices must be integers"
    r"|unsupported operand|cannot unpack|can only concatenate|not supported between"
)
_NO_ATTRIBUTE = re.compile(r"'(?P<type>\w+)' object has no attribute '(?P<name>\w+)'")
_JSON_TYPES: dict[str, type] = {
    "dict": dict, "list": list, "str": str, "int": int, "float": float, "bool": bool,
}  # fmt: skip


def blame(raised: Raised, *, in_call: bool, met_target: bool) -> tuple[Blame, str]:
    """Who is at fault for this exception, and why, in words.

    `met_target`: the phase that raised it (or the fixture's first set-up) talked to a service
    under test.

    1. Names, imports, syntax, fixtures, files: the test. An address no client accepts: the test.
    2. A network error, or one raised inside a network client: the service.
    3. AttributeError or TypeError in the test's own frame: the test; but the service when the
       target was met and the value at fault is one of JSON's types (an answer changed its shape).
    4. KeyError, ValueError and the like: the service when the target was met, else the test.
    5. An assertion, `pytest.fail` or anything else: the service in the call phase or when the
       target was met; in a set-up or tear-down that met nobody: the test.
    """
    name = short_type(raised)
    if name in _BROKEN_CODE:
        return Blame.TEST, f"{name} in the test's own code"
    if name in _BAD_ADDRESS:
        return Blame.TEST, f"{name}: the test asks for an address that no client accepts"
    if _NETWORK.match(name):
        return Blame.SERVICE, f"{name} while talking to a service"
    if name in _WRONG_USE:
        return _wrong_use(raised, name, met_target=met_target)
    if _is_client_code(raised):
        return Blame.SERVICE, f"{name} inside a network client"
    if name in _ODD_ANSWER or name.endswith("DecodeError"):
        if met_target:
            return Blame.SERVICE, f"{name} while reading what the target answered"
        return Blame.TEST, f"{name} with no answer of the target at hand"
    if in_call or met_target:
        return Blame.SERVICE, name
    return Blame.TEST, f"{name} with no contact with the target"


def _wrong_use(raised: Raised, name: str, *, met_target: bool) -> tuple[Blame, str]:
    if met_target and _is_other_shape(raised.message):
        return Blame.SERVICE, f"{name} on a value that the target answered"
    if met_target and _is_client_code(raised):
        return Blame.SERVICE, f"{name} inside a network client"
    return Blame.TEST, f"{name} in the test's own code"


def _is_other_shape(message: str) -> bool:
    missing = _NO_ATTRIBUTE.search(message)
    if missing is None:
        return _OTHER_SHAPE.search(message) is not None
    # `.get` of a list was meant for a dict; `.mesage` of a dict was meant for nothing there is.
    of_another = any(hasattr(kind, missing["name"]) for kind in _JSON_TYPES.values())
    return missing["type"] == "NoneType" or (missing["type"] in _JSON_TYPES and of_another)


def short_type(raised: Raised) -> str:
    """The exception's name without its module."""
    return raised.type.rpartition(".")[2]


def is_own(frame: Frame) -> bool:
    """Whether the frame is the suite's own code."""
    return not frame.file.startswith(("/", "<")) and bool(frame.file)


def where_of(raised: Raised | None) -> str | None:
    """`file:line in function` of the innermost frame of the suite's own code, or of any."""
    if raised is None or not raised.frames:
        return None
    own = [frame for frame in raised.frames if is_own(frame)]
    frame = (own or raised.frames)[-1]
    return f"{frame.file}:{frame.line} in {frame.function}"


def _is_client_code(raised: Raised) -> bool:
    if not raised.frames or is_own(raised.frames[-1]):
        return False
    return _CLIENT_FILE.search(raised.frames[-1].file) is not None
