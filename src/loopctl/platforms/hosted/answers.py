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
            return Starting(fields.whole("told"), tuple(fields.whole_list("listening")))
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
    code = fields.whole("code")
    stopped = " (loopctl stopped it)" if fields.flag("stopped") else ""
    quotes = fields.parts("quotes")
    return Fault(
        kind=FaultKind.EXIT_CODE if code >= 0 else FaultKind.SIGNAL,
        summary=fields.text("summary") + stopped,
        service=of.service,
        value=str(code) if code >= 0 else signal_name(-code),
        quotes=tuple(Quote("log", each.text("source"), each.text("quote")) for each in quotes),
    )
