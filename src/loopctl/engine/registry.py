"""Whether an image registry is there: what can be seen without pushing anything."""

from __future__ import annotations

import ssl
from typing import Final

from loopctl.inert import one_line
from loopctl.process import Stop

_LIMIT_S: Final = 5.0
# The engine speaks plain HTTP to these by itself:
# https://docs.docker.com/reference/cli/dockerd/#insecure-registries
_PLAIN: Final = ("127.", "localhost", "[::1]")


def registry_answers(prefix: str, stop: Stop) -> str | None:
    """None where the registry of `host[:port]/path` answers, else why it does not seem to.

    Any answer will do: one that wants a login is there. What the engine alone can judge, its
    certificates, is left to the push. Raises `Stopped`.
    """
    import httpx  # noqa: PLC0415 - costs 100 ms that only environments with a registry spend

    host = prefix.partition("/")[0]
    scheme = "http" if host.startswith(_PLAIN) else "https"
    try:
        answer = httpx.get(f"{scheme}://{host}/v2/", timeout=stop.remaining(_LIMIT_S))
    except httpx.ConnectError as error:
        return None if _is_about_certificates(error) else _said(error)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return _said(error)
    return f"it answers {answer.status_code}" if answer.status_code >= 500 else None


def _is_about_certificates(error: BaseException) -> bool:
    reason: BaseException | None = error
    while reason is not None:
        if isinstance(reason, ssl.SSLError):
            return True
        reason = reason.__cause__ or reason.__context__
    return False


def _said(error: Exception) -> str:
    return one_line(str(error) or type(error).__name__, limit=300)
