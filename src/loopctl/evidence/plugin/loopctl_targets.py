"""The services under test, and the addresses that mean them.

A neighbour of `loopctl_evidence.py`: standard library only, Python >= 3.8. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Bound now: it is wrapped later, and tests replace it.
_getaddrinfo = socket.getaddrinfo
_OWN_NAMES = {"0.0.0.0": "127.0.0.1", "localhost": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104 - recognised, never bound


def _canonical(host: str) -> str:
    """A host name in one spelling, whatever means this machine's own address as one."""
    name = host.strip("[]").partition("%")[0].rstrip(".").lower()
    name = name[7:] if name.startswith("::ffff:") else name
    return _OWN_NAMES.get(name, name)


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own alone."""
    name = _canonical(host)
    return name == "::1" or name.startswith("127.")


class Targets:
    """Which addresses are the services under test, also after a name was resolved."""

    def __init__(self, document: Mapping[str, Mapping[str, Iterable[str]]]) -> None:
        self._names: dict[tuple[str, int], str] = {}
        self._resolved: dict[tuple[str, int], str] = {}
        self._addresses: dict[tuple[str, int], str] | None = None
        self._encrypted: set[str] = set()
        for name, target in document.items():
            for url in target.get("urls", ()):
                parts = urlsplit(url)
                encrypted = parts.scheme in ("https", "wss")
                port = parts.port or (443 if encrypted else 80)
                host = parts.hostname or ""
                if encrypted:
                    self._encrypted.add(name)
                self._names[_canonical(host), port] = name
                if host == "localhost":
                    self._names["::1", port] = name

    def remember(self, host: object, answers: Iterable[Any]) -> None:
        """Keep the name last asked for an address: many services of one cloud share an address."""
        if len(self._resolved) > 5000:
            self._resolved.clear()
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        for answer in answers:
            if isinstance(name, str):
                self._resolved[answer[4][0], answer[4][1]] = name

    def host_of(self, address: str, port: int) -> str:
        """The name last asked for whose answer was this address; else the address."""
        return self._resolved.get((address, port), address)

    def name_of(self, *hosts: str, port: int) -> str | None:
        """The service that any of these hosts means at this port; None is elsewhere."""
        return next(
            filter(None, (self._names.get((_canonical(host), port)) for host in hosts)), None
        )

    def is_plain(self, name: str) -> bool:
        """Whether nothing that is said to the service is encrypted."""
        return name not in self._encrypted

    @property
    def addresses(self) -> dict[tuple[str, int], str]:
        """The service behind each address that the services' own names resolve to, asked once."""
        if self._addresses is None:
            self._addresses = {}
            for (host, port), name in self._names.items():
                with contextlib.suppress(OSError, UnicodeError):
                    for answer in _getaddrinfo(host, port, type=socket.SOCK_STREAM):
                        self._addresses.setdefault((str(answer[4][0]), port), name)
        return self._addresses

    def behind(self, ip: str, port: int) -> str | None:
        """The service at an address of which no name is known, as C code resolved it unseen."""
        if is_loopback(ip) or all(port != known for _, known in self._names):
            return None
        return self.addresses.get((_canonical(ip), port))

    @property
    def local(self) -> dict[str, tuple[str, int]]:
        """Services at addresses of this machine alone, each with one of them."""
        found = {name: address for address, name in self.addresses.items()}
        remote = {name for (ip, _), name in self.addresses.items() if not is_loopback(ip)}
        return {name: address for name, address in found.items() if name not in remote}
