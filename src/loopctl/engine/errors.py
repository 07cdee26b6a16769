"""What an engine could not do, and the SDK's errors as such: none of them leaves this room."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

import docker.errors
import requests.exceptions
import urllib3.exceptions

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


def gone(address: str, why: str) -> EngineGoneError:
    """No engine there, and how to get one."""
    return EngineGoneError(
        f"no Docker engine answers at {address}: {why}",
        where=address,
        hint="start it, or name another by DOCKER_HOST; `loopctl doctor --env ENV` says more",
    )


def _refused(error: docker.errors.APIError, address: str) -> EngineError:
    said = one_line(str(error.explanation or error), limit=_LONGEST)
    # docker-py has a status of its own only once there was an answer.
    status = error.response.status_code if error.response is not None else 500
    if isinstance(error, docker.errors.NotFound):
        return NotInEngineError(said, status, where=address)
    return EngineRefusedError(said, status, where=address)


def _said(error: BaseException) -> str:
    """The innermost reason: the outer ones are the SDK's layers, each quoting the next."""
    reason: BaseException = error
    while (inner := reason.__cause__ or reason.__context__) is not None:
        reason = inner
    text = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
    return one_line(text or type(reason).__name__, limit=_LONGEST)
