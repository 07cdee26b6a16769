"""What a call phase shows, from the test process and from the target's own records.

A record without a trace id is the test's own when it came, within the call phase, from a port of
the test's or of its child processes'; where their ports are not known, when a child process ran.
A record that tells no port was given to its phase beforehand, or is nobody's (`evidence.late`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from loopctl.model.evidence import Contact, HttpExchange, PhaseRecord, Receipt

NOT_SEEN = "not-seen"
"""`Contact.failed` of a child process: the kernel's table of connections shows none to there."""

NOT_ALONE = "not-alone"
"""`Contact.failed` of a child process: tests of other workers ran, and the table has theirs too."""


_CLOCK_SLACK = timedelta(seconds=2)
"""How far the clock of a request log on another machine may differ."""


def is_of(receipt: Receipt, phase: PhaseRecord) -> bool:
    """Whether the request was made by this phase: by its trace id, else by port and time."""
    if receipt.trace == phase.trace and phase.trace is not None:
        return True
    if receipt.trace:
        return receipt.trace in phase.own_traces and _came_with_own_trace(receipt, phase)
    if receipt.port is None or phase.began is None or phase.ended is None:
        return False
    if not phase.began <= receipt.at <= phase.ended:
        return False
    if any(receipt.port in c.local_ports for c in phase.contacts):
        return True
    return bool(phase.children) and not any(map(_tells_ports, phase.contacts))


def _came_with_own_trace(receipt: Receipt, phase: PhaseRecord) -> bool:
    """Whether a request with a trace id that the test chose was made by this phase.

    Tests may choose the same, as all do that pass the suite's `TRACEPARENT` on: so time and port
    must fit where they are known.
    """
    if phase.began is None or phase.ended is None:
        return True
    slack = _CLOCK_SLACK if receipt.port is None else timedelta(0)
    if not phase.began - slack <= receipt.at <= phase.ended + slack:
        return False
    ports = {port for contact in phase.contacts for port in contact.local_ports}
    return receipt.port is None or not ports or bool(phase.children) or receipt.port in ports


def _tells_ports(contact: Contact) -> bool:
    """Whether it was seen from which ports the children of its phase connected, if any did."""
    return contact.via == "child" and (contact.failed == NOT_SEEN or bool(contact.local_ports))


def _is_childs(receipt: Receipt, phase: PhaseRecord) -> bool:
    """Whether only the child processes of the phase can have made the request."""
    own = (c.local_ports for c in phase.contacts if c.via != "child")
    return not receipt.trace and not any(receipt.port in ports for ports in own)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the call phase shows, sorted by whom it concerns.

    `target`, `refused` and `elsewhere` are connections of the test process itself, `children` those
    of its child processes to a target, or why none is told; `hearsay` are records that may be a
    child's and may be another test's.
    """

    names: str
    target: tuple[Contact, ...]
    children: tuple[Contact, ...]
    hearsay: tuple[Receipt, ...]
    alone: bool
    refused: tuple[Contact, ...]
    elsewhere: tuple[Contact, ...]
    exchanges: tuple[HttpExchange, ...]
    receipts: tuple[Receipt, ...]
    foreign_receipts: tuple[Receipt, ...]
    under_test: Mapping[str, str | None]
    may_hide: bool
    health_paths: frozenset[str]

    @staticmethod
    def of(
        call: PhaseRecord,
        receipts: Sequence[Receipt],
        revisions: Mapping[str, str | None],
        health_paths: frozenset[str],
        *,
        alone: bool,
    ) -> Seen:
        """Sort it; the parameters are those of `grade`."""
        by_children = tuple(c for c in call.contacts if c.via == "child" and c.target in revisions)
        alone = alone and all(c.failed != NOT_ALONE for c in by_children)
        all_ = [r for r in receipts if r.service in revisions and is_of(r, call)]
        hearsay = tuple(r for r in all_ if not alone and _is_childs(r, call))
        mine = [r for r in all_ if r not in hearsay]
        right = tuple(r for r in mine if revisions[r.service] in (None, r.revision))
        own = [c for c in call.contacts if c.via != "child"]
        made = [c for c in own if c.failed is None and not _is_idle(c)]
        return Seen(
            names=" or ".join(sorted(revisions)) or "the target",
            target=tuple(c for c in made if c.target in revisions),
            children=by_children,
            hearsay=hearsay,
            alone=alone,
            refused=tuple(c for c in own if c.target in revisions and c.failed),
            elsewhere=tuple(c for c in made if c.target not in revisions),
            exchanges=tuple(e for e in call.exchanges if e.target in revisions),
            receipts=right,
            foreign_receipts=tuple(r for r in mine if r not in right),
            under_test=revisions,
            may_hide=bool(call.children),
            health_paths=health_paths,
        )

    @property
    def met_names(self) -> str:
        """The services that were met, of those that were to be."""
        met = {c.target or "" for c in self.target} | {r.service for r in self.receipts}
        return " and ".join(sorted(met)) or self.names

    @property
    def known(self) -> Sequence[HttpExchange | Receipt]:
        """The requests that somebody saw, on either side."""
        return (*self.exchanges, *self.receipts)

    @property
    def paths(self) -> frozenset[str]:
        """Of those requests."""
        return frozenset(path_of(each) for each in self.known)

    @property
    def statuses(self) -> frozenset[int]:
        """Of all answers but those on health paths; of those when there are no others."""
        beyond = [each for each in self.known if path_of(each) not in self.health_paths]
        return frozenset(e.status for e in beyond or self.known if e.status is not None)

    def shows(self, each: HttpExchange | Receipt) -> bool:
        """Whether the service answered it, and not about its health alone."""
        healthy = each.status is not None and each.status < 500
        return healthy and path_of(each) not in self.health_paths

    @property
    def sent(self) -> int:
        """Bytes to the target."""
        return sum(c.sent or 0 for c in self.target)

    @property
    def got(self) -> int:
        """Bytes from the target."""
        return sum(c.received or 0 for c in self.target)

    @property
    def uncounted(self) -> bool:
        """Whether some of them could not be counted."""
        return any(c.sent is None or c.received is None for c in self.target)

    @property
    def in_c(self) -> bool:
        """Whether code in C made a connection to the target."""
        return any(c.via == "c" for c in self.target)

    @property
    def met(self) -> bool:
        """Whether something came back from the target, or may have."""
        return bool(self.receipts) or self.met_bytes

    @property
    def unheard(self) -> bool:
        """Whether the test asked, and did not wait for a single byte of the answer."""
        return bool(self.target) and not (self.met_bytes or self.may_hide or self.exchanges)

    @property
    def met_bytes(self) -> bool:
        """Whether bytes came from the target, or may have."""
        return self.got > 0 or self.uncounted

    @property
    def bytes(self) -> str:
        """Both counts in words."""
        return f"{self.sent} B out, {self.got} B in"


def path_of(request: HttpExchange | Receipt) -> str:
    """Its path without the query."""
    return request.path.partition("?")[0]


def _is_idle(contact: Contact) -> bool:
    return contact.reused and contact.sent == 0 and contact.received == 0
