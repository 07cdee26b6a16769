"""How a registry asks for a login, and what it is shown. Pure.

RFC 9110 section 11, and https://distribution.github.io/distribution/spec/auth/token/.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from loopctl.engine.login import Login

_SCHEME: Final = re.compile(r"[\s,]*([A-Za-z][A-Za-z0-9-]*)(?=\s|,|\Z)(?!\s*=)\s*")
_PAIR: Final = re.compile(r'\s*,?\s*([A-Za-z][\w-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to show who one is. `scheme` is in small letters."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


def challenges(headers: Sequence[str]) -> Iterator[Challenge]:
    """All that the `WWW-Authenticate` headers of an answer offer, as far as they are understood."""
    for header in headers:
        at = 0
        while found := _SCHEME.match(header, at):
            at, pairs = found.end(), dict[str, str]()
            while pair := _PAIR.match(header, at):
                at = pair.end()
                quoted = pair[2]
                value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else pair[3]
                pairs[pair[1].lower()] = value
            yield _challenge(found[1].lower(), pairs)


def _challenge(scheme: str, pairs: Mapping[str, str]) -> Challenge:
    return Challenge(
        scheme, pairs.get("realm", ""), pairs.get("service", ""), pairs.get("scope", "")
    )


def basic(login: Login) -> str:
    """The value of `Authorization` that shows a login."""
    pair = f"{login.user}:{login.password.reveal()}".encode()
    return f"Basic {base64.b64encode(pair).decode('ascii')}"


def refused_realm(realm: str, host: str, *, plain: bool, login: Login | None) -> str | None:
    """Why no token may be asked for at a `realm` that the registry at `host` names; None if it may.

    `plain`: the registry is one of this machine, without TLS; nobody is anybody there.
    """
    try:
        parts = urlsplit(realm)
        place, scheme = parts.netloc, parts.scheme
        inner = parts.username or parts.password
    except ValueError:
        return "which is no address"
    if not place or inner or scheme not in (("http", "https") if plain else ("https",)):
        return "which is no https:// address"
    if login is not None and login.narrow and place.lower() != host.lower():
        return "which is another host, and this login is for the registry alone"
    return None
