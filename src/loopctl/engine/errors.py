"""What an engine could not do, and the SDK's errors as such: none of them leaves this room."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator
from typing import Final

import docker.errors
import requests.exceptions
import urllib3.exceptions

from loopctl.engine.whereabouts import way_out
from loopctl.errors import PortError
from loopctl.inert import one_line

_LONGEST: Final = 600


class EngineError(PortError):
    """The engine could not do what was asked."""


class EngineGoneError(EngineError):
    """No engine answers there, or it went away in the middle of an answer."""


class EngineSilentError(EngineGoneError):
    """The engine took the question and did not answer in time: what it did is not known."""


class EngineRefusedError(EngineError):
    """The engine answered, and said no. `status` is the HTTP status of its answer."""

    def __init__(
        self, what: str, status: int, *, where: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.status = status


class NotInEngineError(EngineRefusedError):
    """The engine has no image or container of that name."""


@contextlib.contextmanager
def translated(address: str) -> Iterator[None]:
    """Whatever the SDK, and the HTTP client below it, raise becomes an `EngineError`."""
    try:
        yield
    except docker.errors.APIError as error:
        raise _refused(error, address) from None
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError) as error:
        what = f"the Docker engine did not answer in time: {_said(error)}"
        raise EngineSilentError(what, where=address, hint="see `docker info`") from None
    except (
        docker.errors.DockerException,
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
    ) as error:
        raise gone(address, _said(error)) from None


def gone(address: str, why: str, hint: str | None = None) -> EngineGoneError:
    """No engine there, and how to get one: by `hint`, or as what is found there tells."""
    return EngineGoneError(
        f"no Docker engine answers at {address}: {why}",
        where=address,
        hint=hint or way_out(address),
    )


@contextlib.contextmanager
def greeted(address: str) -> Iterator[None]:
    """The same for the first question of all: what cannot answer that is no engine."""
    try:
        yield
    except docker.errors.NotFound as error:
        raise _no_engine(address, str(error.explanation or error)) from None
    except (ValueError, KeyError, TypeError) as error:
        # `requests` has an error of its own that is a `ValueError` for an address that is none.
        if isinstance(error, requests.exceptions.InvalidURL):
            raise
        raise _no_engine(address, "its answer has no version in it") from None
    except requests.exceptions.ConnectionError as error:
        reason = _innermost(error)
        if isinstance(reason, http.client.BadStatusLine) and not isinstance(reason, OSError):
            raise _no_engine(address, _said(error)) from None
        raise


def _no_engine(address: str, said: str) -> EngineGoneError:
    what = "what listens there is no Docker engine"
    hint = "see which port the engine listens on, and mend DOCKER_HOST"
    return gone(address, f"{what} ({one_line(said, limit=_LONGEST)})", hint)


def _refused(error: docker.errors.APIError, address: str) -> EngineError:
    said = one_line(str(error.explanation or error), limit=_LONGEST)
    # docker-py has a status of its own only once there was an answer.
    status = error.response.status_code if error.response is not None else 500
    if isinstance(error, docker.errors.NotFound):
        return NotInEngineError(said, status, where=address)
    return EngineRefusedError(said, status, where=address)


def _said(error: BaseException) -> str:
    reason = _innermost(error)
    text = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
    return one_line(text or type(reason).__name__, limit=_LONGEST)


def _innermost(error: BaseException) -> BaseException:
    """The reason of all: the outer ones are the SDK's layers, each quoting the next."""
    reason: BaseException = error
    while (inner := reason.__cause__ or reason.__context__) is not None:
        reason = inner
    return reason
