"""What happens to a request at a front door before it meets an instance, and after."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field

from emulator import google_pages as pages
from emulator import run_texts as texts
from emulator.faults import Faults
from emulator.front_doors import Door, FrontDoors
from emulator.front_exchange import Exchange, Trace
from emulator.front_relay import BadInstance, Relay, TimedOut
from emulator.run_deploy import Deployer
from emulator.run_entries import Entries
from emulator.run_fleet import NotStarted
from emulator.run_messages import RevisionPb
from emulator.run_names import short
from emulator.run_runtime import Instance
from emulator.run_state import State, copied

_EVERYBODY = "allUsers"
_DYING_S = 1.0


@dataclass(slots=True)
class FrontDesk:
    """Takes the requests of all doors.

    `keep_traces`: whether request entries tell of the trace. `time_scale` multiplies timeouts.
    """

    state: State
    deployer: Deployer
    entries: Entries
    faults: Faults
    time_scale: float
    keep_traces: bool = True
    doors: FrontDoors = field(init=False)

    def __post_init__(self) -> None:
        self.doors = FrontDoors(self.take)

    def take(self, door: Door, exchange: Exchange) -> None:
        """Answer one request, and write its entry."""
        if exchange.path == "/healthz":  # Google's own: it never gets any further
            exchange.answer(404, pages.not_found(exchange.path))
            return
        name = self.doors.revision(door)
        revision = self._revision(name)
        if revision is None:
            exchange.answer(404, pages.not_found(exchange.path))
            return
        began, trace = self.entries.now(), exchange.trace()
        text = ""
        try:
            text = self._text_of(door, exchange, revision, trace)
        finally:
            kept = trace if self.keep_traces else Trace("", "")
            self.entries.request(
                revision.name,
                exchange.status,
                exchange.told(),
                text=text,
                trace=kept.trace,
                span_id=kept.span,
                at=began,
            )

    def _text_of(self, door: Door, exchange: Exchange, revision: RevisionPb, trace: Trace) -> str:
        """Answer; what the platform says of it, empty where an instance answered."""
        refusal = self._refusal(door, exchange)
        if refusal is not None:
            status, page = refusal
            exchange.answer(status, page)
            return texts.NOT_AUTHENTICATED
        service_id = short(door.service)
        if service_id in self.faults.no_instance:
            exchange.answer(429, b"Rate exceeded.", "text/plain")
            return texts.NO_INSTANCE
        try:
            instance = self.deployer.instance(revision)
        except NotStarted:
            exchange.answer(500, b"Internal Server Error", "text/plain")
            return texts.NOT_STARTED
        return self._relayed(exchange, revision, instance, trace)

    def _relayed(
        self, exchange: Exchange, revision: RevisionPb, instance: Instance, trace: Trace
    ) -> str:
        timeout_s = revision.timeout.ToTimedelta().total_seconds() * self.time_scale
        kept = trace if self.keep_traces else None
        try:
            Relay(exchange, instance.address, timeout_s, kept).run()
        except TimedOut:
            exchange.answer(504, b"upstream request timeout", "text/plain")
            return texts.TIMED_OUT
        except BadInstance:
            if instance.ended.wait(_DYING_S) and _ran_out(instance):
                exchange.answer(500, b"Internal Server Error", "text/plain")
                return texts.TOO_MUCH_MEMORY
            exchange.answer(503, b"Service Unavailable", "text/plain")
            return texts.MALFORMED
        return ""

    def _refusal(self, door: Door, exchange: Exchange) -> tuple[int, bytes] | None:
        """The page for somebody who may not call the service."""
        invokers = self.state.invokers.get(short(door.service), {_EVERYBODY})
        if _EVERYBODY in invokers:
            return None
        scheme, _, token = exchange.header("authorization").partition(" ")
        if scheme.lower() != "bearer":
            return 403, pages.forbidden(exchange.path)
        if _audience(token).rstrip("/") != self.doors.url(door.service):
            return 401, pages.unauthorized(exchange.path)
        return None

    def _revision(self, name: str | None) -> RevisionPb | None:
        with self.state.changed:
            found = self.state.revisions.get(name or "")
            return copied(found) if found is not None else None


def _ran_out(instance: Instance) -> bool:
    return instance.end is not None and instance.end.out_of_memory_mib is not None


def _audience(token: str) -> str:
    """The `aud` of a token; its signature is not looked at."""
    parts = token.split(".")
    if len(parts) != 3:
        return ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return ""
    return str(claims.get("aud", "")) if isinstance(claims, dict) else ""
