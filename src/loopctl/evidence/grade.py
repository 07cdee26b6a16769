"""What a pass proves: the table of the contract as rules, each with a reason a person can check.

Only the call phase counts; what a fixture did proves nothing. The rules are asked in this order:

1. No answer of the target but 5xx, health paths aside → contradicted.
2. Network code was mocked: without contact → contradicted, with contact → suspect.
3. Only health paths were asked → suspect.
4. The target only redirected, and others were met → suspect.
5. 1, 3 or 4 would hold, but a child process ran whose traffic nobody saw → plausible.
6. The target's own record holds an answer to the test's trace on the revision under test →
   proven; on another revision only → contradicted.
7. Bytes went both ways → observed; one way only inwards, or uncounted → plausible.
8. Connections to others only → contradicted.
9. A child process ran, whose traffic nobody saw → plausible.
10. Nothing came back, or nothing was asked → unproven.

A record without a trace id is the test's own when it came from a port of the test's, or while a
child process of the test's ran, within its call phase. It never proves: it is observed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from loopctl.evidence.status import met_in
from loopctl.model.evidence import (
    Case,
    Contact,
    Grade,
    Grading,
    HttpExchange,
    PhaseRecord,
    Receipt,
)

# 304 answers the question; the others send the client somewhere else.
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def grade(
    case: Case,
    *,
    receipts: Sequence[Receipt],
    revisions: Mapping[str, str | None],
    loopback_is_target: bool,
    health_paths: Collection[str],
    receipts_available: bool,
) -> Grading:
    """What this passed case proves.

    `revisions` are the services the suite is to meet, each with the name of its revision under
    test (None where loopctl deployed none: any will do). `receipts` may hold those of other
    tests and phases. `loopback_is_target`: the target is on this machine. `health_paths` have no
    query. `receipts_available`: the target keeps a request log that was read completely.
    """
    call = case.call
    if call is None:
        return Grading(Grade.UNPROVEN, "the test has no call phase")
    seen = _Seen.of(call, receipts, revisions, frozenset(health_paths))
    return (
        _only_errors(seen)
        or _mocked(call, seen)
        or _only_health(seen)
        or _only_redirects(seen)
        or _hidden(call, seen)
        or _received(seen)
        or _exchanged(seen, receipts_available=receipts_available)
        or _elsewhere(seen, loopback_is_target=loopback_is_target)
        or _child(call)
        or _nothing(case, seen)
    )


def met_target(case: Case, targets: Collection[str]) -> bool:
    """Whether any phase of the case reached one of these services (made a connection at least)."""
    return any(
        (c.target in targets and c.failed is None) for phase in case.phases for c in phase.contacts
    )


def is_of(receipt: Receipt, phase: PhaseRecord) -> bool:
    """Whether the request was made by this phase: by its trace id, else by port and time."""
    if receipt.trace:
        return receipt.trace in phase.traces
    if phase.began is None or phase.ended is None:
        return False
    if not phase.began <= receipt.at <= phase.ended:
        return False
    return bool(phase.children) or any(receipt.port in c.local_ports for c in phase.contacts)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the call phase shows, sorted by whom it concerns."""

    names: str
    target: tuple[Contact, ...]
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
    ) -> _Seen:
        mine = [r for r in receipts if r.service in revisions and is_of(r, call)]
        right = tuple(r for r in mine if revisions[r.service] in (None, r.revision))
        made = [c for c in call.contacts if c.failed is None and not _is_idle(c)]
        return _Seen(
            names=" or ".join(sorted(revisions)) or "the target",
            target=tuple(c for c in made if c.target in revisions),
            refused=tuple(c for c in call.contacts if c.target in revisions and c.failed),
            elsewhere=tuple(c for c in made if c.target not in revisions),
            exchanges=tuple(e for e in call.exchanges if e.target in revisions),
            receipts=right,
            foreign_receipts=tuple(r for r in mine if r not in right),
            under_test=revisions,
            may_hide=bool(call.children),
            health_paths=health_paths,
        )

    @property
    def known(self) -> Sequence[HttpExchange | Receipt]:
        """The requests that somebody saw, on either side."""
        return (*self.exchanges, *self.receipts)

    @property
    def paths(self) -> frozenset[str]:
        return frozenset(_path(each) for each in self.known)

    @property
    def statuses(self) -> frozenset[int]:
        """Of all answers but those on health paths; of those when there are no others."""
        beyond = [each for each in self.known if _path(each) not in self.health_paths]
        return frozenset(e.status for e in beyond or self.known if e.status is not None)

    def shows(self, each: HttpExchange | Receipt) -> bool:
        """Whether the service answered it, and not about its health alone."""
        healthy = each.status is not None and each.status < 500
        return healthy and _path(each) not in self.health_paths

    @property
    def sent(self) -> int:
        return sum(c.sent or 0 for c in self.target)

    @property
    def got(self) -> int:
        return sum(c.received or 0 for c in self.target)

    @property
    def uncounted(self) -> bool:
        return any(c.sent is None or c.received is None for c in self.target)

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
        return self.got > 0 or self.uncounted

    @property
    def bytes(self) -> str:
        return f"{self.sent} B out, {self.got} B in"


def _path(request: HttpExchange | Receipt) -> str:
    return request.path.partition("?")[0]


def _is_idle(contact: Contact) -> bool:
    return contact.reused and contact.sent == 0 and contact.received == 0


def _only_errors(seen: _Seen) -> Grading | None:
    if seen.may_hide or not seen.statuses or not all(s >= 500 for s in seen.statuses):
        return None
    listed = ", ".join(map(str, sorted(seen.statuses)))
    return Grading(Grade.CONTRADICTED, f"only {listed} answers")


def _mocked(call: PhaseRecord, seen: _Seen) -> Grading | None:
    if not call.mocks:
        return None
    what = call.mocks[0].what
    if seen.met:
        return Grading(Grade.SUSPECT, f"met {seen.names}, but {what} was mocked too")
    if seen.may_hide:
        return Grading(Grade.SUSPECT, f"mocked {what}; a child process may have met {seen.names}")
    return Grading(Grade.CONTRADICTED, f"mocked {what}, no contact with {seen.names}")


def _only_health(seen: _Seen) -> Grading | None:
    if seen.may_hide or not seen.met or not seen.paths or not seen.paths <= seen.health_paths:
        return None
    return Grading(Grade.SUSPECT, f"only health paths ({', '.join(sorted(seen.paths))})")


def _only_redirects(seen: _Seen) -> Grading | None:
    if not seen.elsewhere or not seen.statuses or not seen.statuses <= _REDIRECTS:
        return None
    if seen.may_hide:
        return None
    other = seen.elsewhere[0]
    listed = ", ".join(map(str, sorted(seen.statuses)))
    return Grading(
        Grade.SUSPECT, f"{seen.names} only redirected ({listed}), {_name(other)} was met instead"
    )


def _hidden(call: PhaseRecord, seen: _Seen) -> Grading | None:
    if not seen.may_hide or not seen.known or any(map(seen.shows, seen.known)):
        return None
    asked = dict.fromkeys(f"{e.method} {_path(e)} {e.status}" for e in seen.known)
    what = ", ".join(list(asked)[:2])
    return Grading(
        Grade.PLAUSIBLE, f"{what}; a child process ran ({call.children[0]}), its bytes unseen"
    )


def _received(seen: _Seen) -> Grading | None:
    answered = [r for r in seen.receipts if r.status is not None and not seen.unheard]
    # Every error that an answer stands beside was retried, or expected: the answer is shown.
    for receipt in sorted(answered, key=lambda r: (r.by != "trace", not seen.shows(r))):
        said = f"{receipt.method} {receipt.path} {receipt.status} on {receipt.revision}"
        if receipt.by == "trace":
            return Grading(Grade.PROVEN, f"receipt: {said}")
        return Grading(Grade.OBSERVED, f"a request like this test's, without its trace id: {said}")
    if seen.foreign_receipts:
        wrong = seen.foreign_receipts[0]
        want = seen.under_test[wrong.service]
        whose = wrong.revision or f"the front door itself ({wrong.status})"
        return Grading(
            Grade.CONTRADICTED, f"receipt from {whose}, not the revision under test, {want}"
        )
    return None


def _exchanged(seen: _Seen, *, receipts_available: bool) -> Grading | None:
    if not seen.target:
        return None
    if any(c.sent and c.received for c in seen.target):
        why = "no receipt of it" if receipts_available else "no request log to ask for a receipt"
        return Grading(Grade.OBSERVED, f"{seen.bytes}; {why}")
    if seen.got:
        return Grading(Grade.PLAUSIBLE, f"{seen.bytes}")
    if seen.uncounted:
        return Grading(Grade.PLAUSIBLE, f"connected to {seen.names}, bytes could not be counted")
    return None


def _elsewhere(seen: _Seen, *, loopback_is_target: bool) -> Grading | None:
    if seen.target or seen.may_hide or not seen.elsewhere:
        return None
    # This machine is the likeliest place of a stand-in: named first where the target is remote.
    local = [c for c in seen.elsewhere if c.loopback and not loopback_is_target]
    other = (local or seen.elsewhere)[0]
    why = f"only {_name(other)}, which is not {seen.names}"
    return Grading(Grade.CONTRADICTED, f"{why} but this machine" if local else why)


def _name(contact: Contact) -> str:
    return contact.target or f"{contact.host}:{contact.port}"


def _child(call: PhaseRecord) -> Grading | None:
    if not call.children:
        return None
    return Grading(Grade.PLAUSIBLE, f"a child process ran ({call.children[0]}), its bytes unseen")


def _nothing(case: Case, seen: _Seen) -> Grading:
    if seen.sent:
        return Grading(Grade.UNPROVEN, seen.bytes)
    if seen.target:
        return Grading(Grade.UNPROVEN, f"connect only: {seen.bytes}")
    if seen.refused:
        why = seen.refused[0].failed
        return Grading(Grade.UNPROVEN, f"no connection was made: {seen.names} refused it ({why})")
    setup = case.setup
    if setup is not None and met_in(setup):
        before = [c for c in setup.contacts if c.target in seen.under_test and c.failed is None]
        sent, got = sum(c.sent or 0 for c in before), sum(c.received or 0 for c in before)
        return Grading(Grade.UNPROVEN, f"{sent} B out, {got} B in, in set-up only")
    return Grading(Grade.UNPROVEN, "no connection was made")
