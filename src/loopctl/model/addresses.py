"""What a URL says of where it leads. Pure."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from loopctl.model.plan import ServiceSpec


def is_loopback(host: str) -> bool:
    """Whether a host, as a URL has it, is this machine."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def keeps_secrets(url: str) -> bool:
    """Whether nobody on the way reads what is sent there: it has TLS, or is this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return parts.scheme in ("https", "wss") or is_loopback(host)


def root_of(url: str) -> str:
    """Scheme and host of a URL, which is what Cloud Run wants a token to be made out to."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def audience_of(spec: ServiceSpec, url: str | None) -> str | None:
    """Whom a token for the service is made out to, None where that cannot be known yet.

    `url` is the service's own, not that of a candidate: None while it is not deployed.
    """
    if spec.auth.audience is not None:
        return spec.auth.audience
    known = spec.url or url
    return root_of(known) if known else None
