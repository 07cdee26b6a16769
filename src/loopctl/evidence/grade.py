"""What a pass proves: the table of the contract as rules, each with a reason a person can check.

Only the call phase counts; what a fixture did proves nothing. The rules are asked in this order:

1. No answer of the target but 5xx → contradicted.
2. Network code was mocked: without contact → contradicted, with contact → suspect.
3. Only health paths were asked → suspect.
4. The target's own record holds the test's trace on the revision under test → proven; on another
   revision only → contradicted.
5. Bytes went both ways → observed; one way only inwards, or uncounted → plausible.
6. Connections to others only → contradicted.
7. A child process ran, whose traffic nobody saw → plausible.
8. Nothing came back, or nothing was asked → unproven.
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
    seen = _Seen.of(call, receipts, revisions)
    return (
        _only_errors(seen)
        or _mocked(call, seen)
        or _only_health(seen, frozenset(health_paths))
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

    @staticmethod
    def of(
        call: PhaseRecord, receipts: Sequence[Receipt], revisions: Mapping[str, str | None]
    ) -> _Seen:
        mine = [r for r in receipts if r.trace in call.traces and r.service in revisions]
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
        )

    @property
    def statuses(self) -> frozenset[int]:
        known: Sequence[HttpExchange | Receipt] = (*self.exchanges, *self.receipts)
        return frozenset(each.status for each in known if each.status is not None)

    @property
    def paths(self) -> frozenset[str]:
        known: Sequence[HttpExchange | Receipt] = (*self.exchanges, *self.receipts)
        return frozenset(each.path.partition("?")[0] for each in known)

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
        return bool(self.receipts) or self.got > 0 or self.uncounted

    @property
    def bytes(self) -> str:
        return f"{self.sent} B out, {self.got} B in"


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


def _only_health(seen: _Seen, health_paths: frozenset[str]) -> Grading | None:
    if seen.may_hide or not seen.met or not seen.paths or not seen.paths <= health_paths:
        return None
    return Grading(Grade.SUSPECT, f"only health paths ({', '.join(sorted(seen.paths))})")


def _received(seen: _Seen) -> Grading | None:
    traced = [r for r in seen.receipts if r.by == "trace"]
    if traced:
        first = next((r for r in traced if r.status is None or r.status < 500), traced[0])
        status = "" if first.status is None else f" {first.status}"
        return Grading(
            Grade.PROVEN, f"receipt: {first.method} {first.path}{status} on {first.revision}"
        )
    if seen.receipts:
        first = seen.receipts[0]
        return Grading(
            Grade.OBSERVED,
            f"a request like this test's, without its trace id: {first.method} {first.path}"
            f" on {first.revision}",
        )
    if seen.foreign_receipts:
        wrong = seen.foreign_receipts[0]
        want = seen.under_test[wrong.service]
        return Grading(
            Grade.CONTRADICTED,
            f"receipt from {wrong.revision}, not the revision under test, {want}",
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
    name = other.target or f"{other.host}:{other.port}"
    why = f"only {name}, which is not {seen.names}"
    return Grading(Grade.CONTRADICTED, f"{why} but this machine" if local else why)


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
