"""The paths by which others ask whether a service is well, wherever they are written."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

# The nearer the front, the more it says: a service that is ready is also alive.
KNOWN: Final = (
    *("health", "ready", "readyz", "readiness", "healthcheck", "health-check", "health_check"),
    *("healthy", "status", "livez", "live", "liveness", "alive", "ping", "up", "heartbeat"),
    *("_health", "__health", "__heartbeat__", "__lbheartbeat__", "_healthz", "healthz"),
)
_URL: Final = re.compile(r"https?://[^\s'\"`|;&)\],]+")
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "0.0.0.0", "::1"})  # noqa: S104


def is_health(path: str) -> bool:
    """Whether the last name of a path is one of the usual ones."""
    return path.rstrip("/").rpartition("/")[2].lower() in KNOWN


def order(path: str) -> tuple[int, int, str]:
    """For sorting: what says most first, then the shortest."""
    name = path.rstrip("/").rpartition("/")[2].lower()
    known = KNOWN.index(name) if name in KNOWN else len(KNOWN)
    return (known, path.count("/"), path)


def asked_by(command: str) -> tuple[str, int | None] | None:
    """The path, and the port, that a command asks of its own machine with curl, wget and the like.

    None where it asks nothing that can be read.
    """
    for found in _URL.finditer(command):
        try:
            parts = urlsplit(found[0])
            host, port = parts.hostname, parts.port
        except ValueError:
            # A variable where the port is.
            bare = re.sub(r":\$\{?[^/]*", "", found[0])
            host, port = bare.partition("//")[2].partition("/")[0], None
            parts = urlsplit(bare)
        if host in _LOCAL:
            path = parts.path or "/"
            return (path, port) if re.fullmatch(r"[\w./~@:+-]*", path) else None
    return None
