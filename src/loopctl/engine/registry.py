"""Whether an image registry is there: what can be seen without pushing anything."""

from __future__ import annotations

import ipaddress
import ssl
from typing import Final
from urllib.parse import urlsplit

from loopctl.inert import one_line
from loopctl.process import Stop

_LIMIT_S: Final = 5.0


def is_loopback(host: str) -> bool:
    """Whether `host[:port]` is this machine: a registry there is spoken to by plain HTTP.

    The engine does so by itself:
    https://docs.docker.com/reference/cli/dockerd/#insecure-registries
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def registry_answers(prefix: str, stop: Stop) -> str | None:
    """None where the registry of `host[:port]/path` answers, else why it does not seem to.

    Any answer will do: one that wants a login is there. What the engine alone can judge, its
    certificates, is left to the push. Raises `Stopped`.
    """
    import httpx  # noqa: PLC0415 - costs 100 ms that only environments with a registry spend

    host = prefix.partition("/")[0]
    scheme = "http" if is_loopback(host) else "https"
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
