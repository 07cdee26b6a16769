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
9. A child process connected to the target, or may have → plausible; the kernel's table of
   connections would have shown it, and did not → unproven.
10. Nothing came back, or nothing was asked → unproven.

A record without a trace id is the test's own when it came, within the call phase, from a port of
the test's or of its child processes'; where their ports are not known, when a child process ran.
It never proves: it is observed. One of a child's is plausible only when other tests ran at the
same time, because neither its port nor its time tells whose child it was.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from loopctl.evidence.seen import NOT_SEEN, Seen, is_of, path_of
from loopctl.evidence.status import met_in
from loopctl.model.evidence import (
    Case,
    Contact,
    Grade,
    Grading,
    PhaseRecord,
    Receipt,
)

__all__ = ["grade", "is_of", "met_target"]

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
    alone: bool = True,
) -> Grading:
    """What this passed case proves.

    `revisions` are the services the suite is to meet, each with the name of its revision under
    test (None where loopctl deployed none: any will do). `receipts` may hold those of other
    tests and phases. `loopback_is_target`: the target is on this machine. `health_paths` have no
    query. `receipts_available`: the target keeps a request log that was read completely. `alone`:
    no other test ran at the same time, in another shard or another suite.
    """
    call = case.call
    if call is None:
        return Grading(Grade.UNPROVEN, "the test has no call phase")
    seen = Seen.of(call, receipts, revisions, frozenset(health_paths), alone=alone)
    return (
        _only_errors(seen)
        or _mocked(call, seen)
        or _only_health(seen)
        or _only_redirects(seen)
        or _hidden(call, seen)
        or _received(seen)
        or _exchanged(seen, receipts_available=receipts_available)
        or _elsewhere(seen, loopback_is_target=loopback_is_target)
        or _child(call, seen)
        or _nothing(case, seen)
    )


def met_target(case: Case, targets: Collection[str]) -> bool:
    """Whether any phase of the case reached one of these services (made a connection at least)."""
    return any(
        (c.target in targets and c.failed is None) for phase in case.phases for c in phase.contacts
    )


def _only_errors(seen: Seen) -> Grading | None:
    if seen.may_hide or not seen.statuses or not all(s >= 500 for s in seen.statuses):
        return None
    listed = ", ".join(map(str, sorted(seen.statuses)))
    return Grading(Grade.CONTRADICTED, f"only {listed} answers")


def _mocked(call: PhaseRecord, seen: Seen) -> Grading | None:
    if not call.mocks:
        return None
    what = call.mocks[0].what
    if seen.met:
        return Grading(Grade.SUSPECT, f"met {seen.met_names}, but {what} was mocked too")
    if seen.may_hide:
        return Grading(Grade.SUSPECT, f"mocked {what}; a child process may have met {seen.names}")
    return Grading(Grade.CONTRADICTED, f"mocked {what}, no contact with {seen.names}")


def _only_health(seen: Seen) -> Grading | None:
    if seen.may_hide or not seen.met or not seen.paths or not seen.paths <= seen.health_paths:
        return None
    return Grading(Grade.SUSPECT, f"only health paths ({', '.join(sorted(seen.paths))})")


def _only_redirects(seen: Seen) -> Grading | None:
    if not seen.elsewhere or not seen.statuses or not seen.statuses <= _REDIRECTS:
        return None
    if seen.may_hide:
        return None
    other = seen.elsewhere[0]
    listed = ", ".join(map(str, sorted(seen.statuses)))
    return Grading(
        Grade.SUSPECT,
        f"{seen.met_names} only redirected ({listed}), {_name(other)} was met instead",
    )


def _hidden(call: PhaseRecord, seen: Seen) -> Grading | None:
    if not seen.may_hide or not seen.known or any(map(seen.shows, seen.known)):
        return None
    asked = dict.fromkeys(f"{e.method} {path_of(e)} {e.status}" for e in seen.known)
    what = ", ".join(list(asked)[:2])
    return Grading(
        Grade.PLAUSIBLE, f"{what}; a child process ran ({call.children[0]}), its bytes unseen"
    )


def _received(seen: Seen) -> Grading | None:
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


def _exchanged(seen: Seen, *, receipts_available: bool) -> Grading | None:
    if not seen.target:
        return None
    if any(c.sent and c.received for c in seen.target):
        why = "no receipt of it" if receipts_available else "no request log to ask for a receipt"
        return Grading(Grade.OBSERVED, f"{seen.bytes}; {why}")
    if seen.got:
        return Grading(Grade.PLAUSIBLE, f"{seen.bytes}")
    if seen.uncounted:
        why = "by code in C, its bytes unseen" if seen.in_c else "bytes could not be counted"
        return Grading(Grade.PLAUSIBLE, f"connected to {seen.met_names}, {why}")
    return None


def _elsewhere(seen: Seen, *, loopback_is_target: bool) -> Grading | None:
    if seen.target or seen.may_hide or not seen.elsewhere:
        return None
    # This machine is the likeliest place of a stand-in: named first where the target is remote.
    local = [c for c in seen.elsewhere if c.loopback and not loopback_is_target]
    other = (local or seen.elsewhere)[0]
    why = f"only {_name(other)}, which is not {seen.names}"
    return Grading(Grade.CONTRADICTED, f"{why} but this machine" if local else why)


def _name(contact: Contact) -> str:
    return contact.target or f"{contact.host}:{contact.port}"


def _child(call: PhaseRecord, seen: Seen) -> Grading | None:
    if not call.children:
        return None
    child = call.children[0]
    beside = "" if seen.alone else "; other tests ran at the same time, and it may be theirs"
    if seen.hearsay:
        what = f"{seen.hearsay[0].method} {path_of(seen.hearsay[0])} {seen.hearsay[0].status}"
        why = f"a child process ran ({child}), and {what} came without a trace id{beside}"
        return Grading(Grade.PLAUSIBLE, why)
    met = " and ".join(sorted({c.target or "" for c in seen.children if c.failed is None}))
    if met and seen.alone:
        why = f"a child process ({child}) connected to {met}, its bytes unseen"
        return Grading(Grade.PLAUSIBLE, why)
    if met:
        why = f"a child process ran ({child}), and {met} was connected to{beside}"
        return Grading(Grade.PLAUSIBLE, why)
    if seen.children and all(c.failed == NOT_SEEN for c in seen.children):
        why = f"a child process ran ({child}), and was not seen to connect to {seen.names}"
        return Grading(Grade.UNPROVEN, why)
    return Grading(Grade.PLAUSIBLE, f"a child process ran ({child}), its bytes unseen")


def _nothing(case: Case, seen: Seen) -> Grading:
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
