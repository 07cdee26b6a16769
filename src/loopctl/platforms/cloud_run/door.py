"""Through which door Google's APIs are reached: their own, an emulator's, a private one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from loopctl.inert import one_line
from loopctl.ports.platform import PlatformError

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_SCHEMES: Final = ("http", "https")


@dataclass(frozen=True, slots=True)
class Door:
    """`host` with its port where it has one; `plain`: without TLS, so that nothing secret passes.

    `loopback`: on this machine, where no proxy is asked for it.
    """

    host: str
    plain: bool
    loopback: bool

    @property
    def url(self) -> str:
        """Its root, without a slash at the end."""
        return f"{'http' if self.plain else 'https'}://{self.host}"


def door_of(endpoint: str | None) -> Door | None:
    """The door that `endpoint` names, None for Google's own. Raises `PlatformError`.

    A scheme says whether it speaks TLS; without one, only a door on this machine does not.
    """
    if not endpoint:
        return None
    text = endpoint if "://" in endpoint else f"//{endpoint}"
    try:
        parts = urlsplit(text)
        hostname, _ = parts.hostname, parts.port
    except ValueError:
        raise _unusable(endpoint) from None
    if not hostname or parts.scheme not in ("", *_SCHEMES) or parts.path.strip("/"):
        raise _unusable(endpoint)
    loopback = hostname in _LOOPBACK
    plain = parts.scheme == "http" or (not parts.scheme and loopback)
    return Door(parts.netloc.rpartition("@")[2], plain, loopback)


def _unusable(endpoint: str) -> PlatformError:
    return PlatformError(
        f"{one_line(endpoint, limit=80)} is no endpoint",
        where="endpoint",
        hint="give host:port, http://host:port or https://host:port, without a path",
    )
