"""Revision names like Cloud Run's."""

from __future__ import annotations

import random
import re
from typing import Final

from loopctl.platforms.host.control import ProtocolError

# Kubernetes' alphabet for random names: no vowels, so no words; nothing that looks alike.
_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
_SERVICE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


def revision_name(service: str, number: int) -> str:
    """`chat-00007-k7q`."""
    suffix = "".join(random.choices(_ALPHABET, k=3))  # noqa: S311 - told apart, not kept secret
    return f"{service}-{number:05d}-{suffix}"


def checked_service(name: str) -> str:
    """A service's name, fit for file names and for the environment. Raises `ProtocolError`."""
    if not _SERVICE.fullmatch(name):
        raise ProtocolError(f"{name!r} is no name for a service")
    return name
