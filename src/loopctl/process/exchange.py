"""What every client of an HTTP API needs beside httpx, which is imported when it is used."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl


@functools.cache
def certificates() -> ssl.SSLContext:
    """Whom to trust, read once: that takes longer than asking."""
    import httpx  # noqa: PLC0415

    return httpx.create_ssl_context()


def origin(url: str) -> tuple[str, str]:
    """Whom a URL asks: a secret that is for one origin goes to no other."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def innermost_reason(error: BaseException) -> str:
    """Why an exchange failed: the outer errors are layers that quote each other. Not inert."""
    reason = error
    while (inner := reason.__cause__ or reason.__context__) is not None:
        reason = inner
    text = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
    return text or type(error).__name__
