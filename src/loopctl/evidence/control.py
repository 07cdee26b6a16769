"""What the control run shows: a pass, run again while its targets refuse it in its call phase.

Only connections that Python's own sockets make are refused, and those that they and C code hold
are cut. So whoever may have met the target in another way is not accused. The rules are asked in
this order:

1. In either run a child process ran that may have connected, or C code connected → unavailable.
2. In the first run no socket of Python's own heard from a target in the call → unavailable.
3. It did not end when run again, or never came to its call → unavailable.
4. Its call failed, was skipped or took too long → borne out: it needs its target.
5. Its call passed, and only its tear-down or a part of it failed, or an earlier attempt of it →
   unavailable.
6. It passed, and bytes of a target's came all the same (or could not be counted) → unavailable.
7. It passed → contradicted.
"""

from __future__ import annotations

from loopctl.evidence.seen import NOT_SEEN
from loopctl.model.evidence import Case, CaseStatus, Contact, Control, PhaseRecord


def controlled(first: Case, again: Case | None) -> Control:
    """What it shows of `first`, which passed, that `again` is how it ended while refused.

    `again` is None when the control run did not come to it.
    """
    reason = uncontrollable(first)
    if reason is not None:
        return Control("unavailable", reason)
    if again is None:
        return Control("unavailable", "it was not run again")
    reason = _hidden(again)
    if reason is not None:
        return Control("unavailable", f"{reason} when run again")
    return _ended(again, _names(first))


def uncontrollable(first: Case) -> str | None:
    """Why a control run can show nothing of this pass; None when it can."""
    if first.call is None:
        return "it has no call phase"
    hidden = _hidden(first)
    if hidden is not None:
        return f"{hidden}, which cannot be refused"
    if not any(map(_is_heard, first.call.contacts)):
        return "no socket of Python's own heard from a target in its call: none can be refused"
    return None


def _is_heard(contact: Contact) -> bool:
    """Whether Python itself made the connection, and bytes came in or could not be counted."""
    own = contact.via == "python" and contact.target is not None and contact.failed is None
    return own and contact.received != 0


def _hidden(case: Case) -> str | None:
    """Who in any phase may have met a target where nothing is refused."""
    for phase in case.phases:
        in_c = next((c for c in phase.contacts if c.via == "c" and c.target), None)
        if in_c is not None:
            return f"code in C connected to {in_c.target}"
        if phase.children and not _met_nobody(phase):
            return f"a child process ran ({phase.children[0]})"
    return None


def _met_nobody(phase: PhaseRecord) -> bool:
    """Whether it was seen that none of the phase's child processes connected to a target."""
    told = [c for c in phase.contacts if c.via == "child"]
    return bool(told) and all(c.failed == NOT_SEEN for c in told)


def _ended(again: Case, names: str) -> Control:
    """Rules 3 to 7."""
    before, call = again.setup, again.call
    if again.status is CaseStatus.LOST:
        return Control("unavailable", "it did not end when run again")
    if before is None or before.outcome != "passed" or before.raised is not None:
        did = "failed" if before is not None else "did not end"
        did = "was skipped" if before is not None and before.outcome == "skipped" else did
        return Control("unavailable", f"its set-up {did} when run again")
    if call is None or call.outcome != "passed" or call.raised is not None:
        did = "times out" if call is None else "is skipped" if _skipped(call) else "fails"
        return Control("borne-out", f"it {did} while {names} is refused (control run)")
    if again.status is CaseStatus.FLAKY:
        return Control("unavailable", "it failed and then passed when run again")
    if again.status is not CaseStatus.PASSED:
        return Control("unavailable", "its call passed and something else failed when run again")
    if any(c.target and c.failed is None and c.received != 0 for c in call.contacts):
        return Control("unavailable", f"{names} could not be kept from answering it")
    return Control("contradicted", f"it still passes while {names} is refused (control run)")


def _skipped(call: PhaseRecord) -> bool:
    return call.outcome == "skipped" and call.wasxfail is None


def _names(first: Case) -> str:
    met = {c.target or "" for c in (first.call.contacts if first.call else ()) if _is_heard(c)}
    return " or ".join(sorted(met))
