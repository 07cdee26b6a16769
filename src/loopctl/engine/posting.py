"""One POST to the engine: a body made while it is sent, an answer read while it comes.

A build or a push may be silent for minutes, and must end within a second of being told to; closing
the connection is what cancels it in the engine. The SDK's session does not give its socket away,
least of all while it sends. So this speaks HTTP over a socket of its own, which can be cut.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import SplitResult, urlencode, urlsplit

from docker.utils import parse_host

from loopctl.engine.connection import Engine
from loopctl.engine.cutting import cut_when_stopped
from loopctl.engine.errors import EngineGoneError, EngineRefusedError, gone, translated
from loopctl.inert import decode, one_line
from loopctl.process import Stop

_CONNECTS_WITHIN_S: Final = 10.0
_PIECE: Final = 256 * 1024
_LONGEST: Final = 600


@contextlib.contextmanager
def posted(
    engine: Engine,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    body: Callable[[], Iterator[bytes]],
    stop: Stop,
) -> Iterator[Iterator[Mapping[str, Any]]]:
    """POST `body` to a path of the API (`/build`), and give the objects of the answer as they come.

    Leaving before its end cancels what the engine does. Raises `EngineGoneError`, also while the
    answer is read; `EngineRefusedError`; `Stopped`; and what `body` raises.
    """
    with engine.api(stop) as api:
        path = f"/v{api.api_version}{path}"
    line = _connected(engine, stop)
    with contextlib.closing(line), cut_when_stopped(line.sock, stop):
        with _broken_is_gone(engine.address, stop):
            line.putrequest("POST", f"{path}?{urlencode(query)}", skip_accept_encoding=True)
            for name, value in {**headers, "Transfer-Encoding": "chunked"}.items():
                line.putheader(name, value)
            line.endheaders()
        _send(line, body, engine.address, stop)
        with _broken_is_gone(engine.address, stop):
            answer = line.getresponse()
            if answer.status >= 400:
                raise _refused(answer, engine.address)
        yield _objects(answer, engine.address, stop)


def _send(
    line: http.client.HTTPConnection, body: Callable[[], Iterator[bytes]], address: str, stop: Stop
) -> None:
    """Send the body. An engine that has heard enough answers before it has all of it."""
    for piece in _gathered(body()):
        stop.remaining(0)
        try:
            line.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        except OSError:
            stop.remaining(0)
            return
    with _broken_is_gone(address, stop):
        line.send(b"0\r\n\r\n")


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """A tar file is made of very small pieces: a packet for each would take half the time."""
    kept: list[bytes] = []
    size = 0
    for piece in pieces:
        kept.append(piece)
        size += len(piece)
        if size >= _PIECE:
            yield b"".join(kept)
            kept, size = [], 0
    if size:
        yield b"".join(kept)


def _objects(
    answer: http.client.HTTPResponse, address: str, stop: Stop
) -> Iterator[Mapping[str, Any]]:
    rest = b""
    while True:
        with _broken_is_gone(address, stop):
            data = answer.read1(_PIECE)
        *lines, rest = (rest + data).split(b"\n")
        for text in lines if data else [rest]:
            if text.strip():
                yield _object(text, address)
        if not data:
            return


def _object(text: bytes, address: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        said = one_line(decode(text), limit=_LONGEST)
        raise EngineGoneError(f"what answers at {address} is no Docker engine: {said}")
    return found


def _refused(answer: http.client.HTTPResponse, address: str) -> EngineRefusedError:
    said = decode(answer.read(_PIECE))
    with contextlib.suppress(ValueError, KeyError, TypeError):
        said = str(json.loads(said)["message"])
    what = one_line(said, limit=_LONGEST) or f"HTTP status {answer.status}"
    return EngineRefusedError(what, answer.status, where=address)


def nothing() -> Iterator[bytes]:
    """The body of a POST that has none."""
    return iter(())


def refuse_told(answer: Mapping[str, Any], where: str) -> None:
    """Raise what a stream of progress tells as an error: the HTTP status was 200 by then."""
    if answer.get("error"):
        detail = answer.get("errorDetail")
        detail = detail if isinstance(detail, dict) else {}
        said = one_line(str(detail.get("message") or answer["error"]), limit=_LONGEST)
        code = detail.get("code")
        raise EngineRefusedError(said, code if isinstance(code, int) else 500, where=where)


def went_away(address: str, why: str) -> EngineGoneError:
    """The engine had begun to answer, and nobody will ever know what came of it."""
    return EngineGoneError(
        f"the Docker engine went away in the middle of its answer: {why}",
        where=address,
        hint="its own log says why; run again once it is up",
    )


@contextlib.contextmanager
def _broken_is_gone(address: str, stop: Stop) -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        # A connection that the watcher cut is broken because of the stop.
        stop.remaining(0)
        broken = isinstance(error, http.client.HTTPException)
        why = "its answer broke off" if broken else one_line(str(error), limit=_LONGEST)
        raise went_away(address, why) from None


def _connected(engine: Engine, stop: Stop) -> http.client.HTTPConnection:
    """A connection that is open, and waits without a limit of its own from now on."""
    limit = stop.remaining(_CONNECTS_WITHIN_S)
    secure = bool(engine.environ.get("DOCKER_TLS_VERIFY"))
    with translated(engine.address):
        place = urlsplit(str(parse_host(engine.address, tls=secure)))
    line = http.client.HTTPConnection(place.hostname or "localhost")
    try:
        line.sock = _opened(engine, place, limit)
    except OSError as error:
        stop.remaining(0)
        raise gone(engine.address, error.strerror or str(error)) from None
    return line


def _opened(engine: Engine, place: SplitResult, limit: float) -> socket.socket:
    if place.scheme == "http+unix":
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(limit)
            connection.connect(place.path)
        except OSError:
            connection.close()
            raise
        return connection
    if place.scheme not in {"http", "https"} or place.hostname is None:
        raise gone(engine.address, "an image can be built by unix:// and tcp:// addresses only")
    connection = socket.create_connection((place.hostname, place.port or 2375), limit)
    # An engine whose machine is switched off says nothing at all.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if place.scheme == "http":
        return connection
    folder = engine.environ.get("DOCKER_CERT_PATH", "")
    context = ssl.create_default_context(cafile=f"{folder}/ca.pem")
    context.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
    return context.wrap_socket(connection, server_hostname=place.hostname)
