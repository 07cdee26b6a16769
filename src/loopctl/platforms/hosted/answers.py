"""What a host answers, as the platform port's values."""

from __future__ import annotations

from datetime import datetime

from loopctl.model.artifact import Revision, ServiceState
from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.platforms.host.control import Fields, ProtocolError
from loopctl.ports.platform import Dead, Ready, Starting
from loopctl.process import signal_name


def revision(fields: Fields) -> Revision:
    """A revision."""
    return Revision(
        service=fields.text("service"),
        name=fields.text("name"),
        digest=fields.text("digest"),
        created_at=datetime.fromisoformat(fields.text("created_at")),
        key=fields.text("key"),
    )


def service_state(fields: Fields) -> ServiceState:
    """A service's state."""
    return ServiceState(
        service=fields.text("service"),
        url=fields.text("url"),
        ws_url=fields.text("ws_url"),
        traffic=fields.wholes("traffic"),
        revisions=tuple(revision(each) for each in fields.parts("revisions")),
        generation=fields.text("generation"),
    )


def status(fields: Fields, of: Revision) -> Starting | Ready | Dead:
    """How far a revision is. The host forgets no live one, so one it does not know is dead."""
    match fields.text("state"):
        case "starting":
            return Starting(
                told=fields.whole("told"),
                listening=tuple(fields.whole_list("listening")),
                loopback_only=tuple(fields.whole_list("loopback_only", [])),
            )
        case "ready":
            return Ready(fields.text("url"), fields.text("ws_url"))
        case "dead":
            return Dead(_fault(fields, of))
        case "unknown":
            return gone(of)
        case other:
            raise ProtocolError(f"the host told of a state {other!r}")


def gone(of: Revision) -> Dead:
    """A revision whose host has ended, and it with it."""
    return Dead(
        Fault(
            kind=FaultKind.UNSTABLE,
            summary=f"{of.name} is not running: it was removed, or its host process has ended",
            service=of.service,
            hint="deploy it again",
        )
    )


def _fault(fields: Fields, of: Revision) -> Fault:
    stopped = " (loopctl stopped it)" if fields.flag("stopped") else ""
    quotes = fields.parts("quotes")
    kind, value = _kind(fields)
    return Fault(
        kind=kind,
        summary=fields.text("summary") + stopped,
        service=of.service,
        value=value,
        quotes=tuple(Quote("log", each.text("source"), each.text("quote")) for each in quotes),
    )


def _kind(fields: Fields) -> tuple[FaultKind, str | None]:
    """What it died of, and the telling number or name.

    A host that an older loopctl has started knows of processes only.
    """
    code = fields.whole("code")
    if fields.flag("lost", default=False):
        return FaultKind.UNSTABLE, None
    if fields.flag("out_of_memory", default=False):
        return FaultKind.OUT_OF_MEMORY, "137"
    if code < 0:
        return FaultKind.SIGNAL, signal_name(-code)
    return FaultKind.EXIT_CODE, str(code)
