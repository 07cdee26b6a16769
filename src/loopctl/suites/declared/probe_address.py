"""Whom a URL of a declarative suite means, and the trace that a request of it carries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from loopctl.model.addresses import is_loopback
from loopctl.model.evidence import Contact
from loopctl.model.plan import SuiteSpec
from loopctl.model.references import REFERENCE, Endpoint, mentioned
from loopctl.ports.suite import SuiteContext
from loopctl.suites.declared.tcp_counts import TcpCounts

_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a request goes. `target` is the service that is met there, `path` has no query."""

    url: str
    host: str
    port: int
    path: str
    target: str | None

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine."""
        return is_loopback(self.host)

    def contact(
        self,
        counts: TcpCounts | None,
        *,
        failed: str | None,
        reused: bool = False,
        local_ports: tuple[int, ...] = (),
    ) -> Contact:
        """One connection there."""
        return Contact(
            host=self.host,
            port=self.port,
            target=self.target,
            loopback=self.is_loopback,
            sent=counts.sent if counts else None,
            received=counts.received if counts else None,
            reused=reused,
            failed=failed,
            local_ports=local_ports,
        )


def address_of(url: str, endpoints: Mapping[str, Endpoint]) -> Address:
    """The address of a URL without references. Raises `ValueError` when it is none.

    Several services behind one host and port are told apart by the path that their own URL has.
    """
    parts = urlsplit(url)
    host, port = _host_and_port(parts)
    found = [
        (len(there.path), name)
        for name, endpoint in endpoints.items()
        for there in map(urlsplit, (endpoint.url, endpoint.ws_url))
        if _same_place(there, host, port) and _is_below(parts.path, there.path)
    ]
    target = max(found)[1] if found else None
    return Address(url, host, port, parts.path or "/", target)


def placeholders(spec: SuiteSpec) -> Mapping[str, Endpoint]:
    """An address that exists nowhere for every service that the suite's keys name.

    With them what is written can be checked before there is any service.
    """
    # `.invalid` is kept free of hosts by RFC 2606.
    names = mentioned(json.dumps(spec.probe))
    return {name: Endpoint.of(f"http://{name.lower()}.invalid") for name in names}


def path_of(template: str) -> str:
    """Path and query of a URL whose host may be a reference: what a case is named by."""
    try:
        parts = urlsplit(REFERENCE.sub("http://service", template))
    except ValueError:
        return template
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def trace_of(spec: SuiteSpec, context: SuiteContext, case: str, address: Address) -> str | None:
    """The trace id of a case's request; None where it must not carry one.

    Made as the evidence plugin makes its own, of the call phase of a first attempt: each retry
    has a seed of its own.
    """
    if not spec.evidence.receipts or address.target is None:
        return None
    text = "\0".join((context.trace_seed, case, "call", "1"))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def traceparent(trace: str) -> str:
    """The header that carries a trace (W3C Trace Context)."""
    return f"00-{trace}-{trace[:16]}-01"


def _host_and_port(parts: SplitResult) -> tuple[str, int]:
    if not parts.hostname or parts.scheme not in _PORTS:
        raise ValueError("it has no scheme and host")
    return parts.hostname.rstrip("."), parts.port or _PORTS[parts.scheme]


def _same_place(parts: SplitResult, host: str, port: int) -> bool:
    there, at = _host_and_port(parts)
    return at == port and (there == host or {there, host} <= {"127.0.0.1", "localhost", "::1"})


def _is_below(path: str, base: str) -> bool:
    base = base.rstrip("/")
    return not base or path == base or path.startswith(f"{base}/")
