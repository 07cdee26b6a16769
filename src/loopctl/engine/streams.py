"""Answers that come bit by bit: read as they come, and cut the moment that somebody stops."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import docker.errors
import requests.exceptions

from loopctl.engine.errors import EngineRefusedError
from loopctl.errors import Stopped
from loopctl.process import Stop, TaskScope

if TYPE_CHECKING:
    import requests
    from docker import APIClient

_LOOKS_EVERY_S: Final = 0.05
#: Seconds in which the engine must begin to answer.
_HEAD_S: Final = 60.0


def posted(
    api: APIClient,
    path: str,
    parameters: Mapping[str, str],
    headers: Mapping[str, str | bytes],
    stop: Stop,
) -> requests.Response:
    """The beginning of the answer to a POST. Raises the SDK's error where it is a refusal."""
    answer = api.post(
        f"{api.base_url}/v{api.api_version}{path}",
        params=dict(parameters),
        headers=dict(headers),
        stream=True,
        timeout=stop.remaining(_HEAD_S),
    )
    try:
        answer.raise_for_status()
    except requests.exceptions.HTTPError as error:
        docker.errors.create_api_error_from_http_exception(error)
    return answer


@contextlib.contextmanager
def cut_when_stopped(response: requests.Response, stop: Stop) -> Iterator[None]:
    """Within it a blocked read of `response` ends when `stop` does, and is `Stopped`.

    The answer may be silent for as long as it likes: what says nothing for minutes, as a long
    step of a build does, is not late.
    """
    connection = _socket_of(response)
    connection.settimeout(None)
    over = Stop()

    def watch(_: Stop) -> None:
        with contextlib.suppress(Stopped):
            while stop.reason is None:
                over.wait(_LOOKS_EVERY_S)
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    with TaskScope(Stop()) as scope:
        scope.start("cut", watch)
        try:
            yield
            # A cut stream looks like one that has come to its end.
            stop.remaining(0)
        except Exception:
            stop.remaining(0)
            raise
        finally:
            over.stop("the answer has ended")


def told_by(response: requests.Response) -> Iterator[dict[str, Any]]:
    """The JSON objects of a stream of progress, as they come."""
    for line in response.iter_lines(chunk_size=None):
        if line.strip():
            told = json.loads(line)
            if isinstance(told, dict):
                yield told


def refuse_told(told: object, name: str) -> None:
    """Raise what a stream of progress tells as an error: the HTTP status was 200 by then."""
    if isinstance(told, dict) and told.get("error"):
        detail = told.get("errorDetail") or {}
        said = str(detail.get("message") or told["error"])
        raise EngineRefusedError(said, int(detail.get("code") or 500), where=name)


def _socket_of(response: requests.Response) -> socket.socket:
    connection = response.raw.connection
    found = None if connection is None else connection.sock
    assert isinstance(found, socket.socket), "the answer was read to its end already"
    return found
