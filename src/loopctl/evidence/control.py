"""What the control run shows: a pass, run again while its targets are withheld in its call phase.

First they refuse it. Only connections that Python's own sockets make are refused, and those that
they and C code hold are cut. So whoever may have met the target in another way is not accused.
The rules, in the order in which they are asked:

1. In either run a child process ran that may have connected, or C code connected → unavailable.
2. In the first run no socket of Python's own heard from a target in the call → unavailable.
3. It did not end when run again, or never came to its call → unavailable.
4. Its call failed, was skipped or took too long → borne out: it needs its target.
5. Its call passed, and only its tear-down or a part of it failed, or an earlier attempt of it →
   unavailable.
6. It passed, and bytes of a target's came all the same (or could not be counted) → unavailable.
7. It passed → contradicted.

What is borne out is run once more while a stand-in answers wrongly in the targets' place, first
with errors; what passes then, with successes. Of each part:

8. It did not end, or never came to its call → unavailable.
9. It did not hear the stand-in, or may have met the target all the same, or something but its call
   failed → borne out, by its refusal alone.
10. Its call did not pass → borne out, by both.
11. It passed → contradicted, if both parts say so.
"""

from __future__ import annotations

from collections.abc import Sequence

from loopctl.evidence.seen import NOT_SEEN
from loopctl.model.evidence import Case, CaseStatus, Contact, Control, PhaseRecord

STAND_IN = "stand-in"
"""`Contact.failed`: the stand-in answered in the target's place; the bytes are its own."""

_SAID_BY = " (control run)"


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
    return _ended(again, " or ".join(heard_targets(first)))


def answered_wrongly(refused: Control, again: Case | None) -> Control:
    """What is left of `refused`, which has borne a pass out, by how it ended when answered wrongly.

    `again` is None when the control run did not come to it.
    """
    said = refused.reason.removesuffix(_SAID_BY)
    unfinished = "it was not run again" if again is None else _unfinished(again)
    if again is None or unfinished is not None:
        return Control("unavailable", f"{said}, but {unfinished} while it answers wrongly")
    call = again.call
    heard = (
        {c.target for c in call.contacts if c.target and _is_answered_wrongly(c)} if call else ()
    )
    if call is None or not heard or _hidden(again) or _is_answered(call):
        return refused
    if (did := _did_not_pass(call)) is not None:
        did = "" if said.startswith(f"it {did} ") else f"it {did} "
        return Control("borne-out", f"{said}, and {did}while it answers wrongly{_SAID_BY}")
    if again.status is not CaseStatus.PASSED:
        return refused
    names = " or ".join(sorted(heard))
    return Control("contradicted", f"it still passes while {names} answers wrongly{_SAID_BY}")


def uncontrollable(first: Case) -> str | None:
    """Why a control run can show nothing of this pass; None when it can."""
    if first.call is None:
        return "it has no call phase"
    hidden = _hidden(first)
    if hidden is not None:
        return f"{hidden}, which cannot be refused"
    if not any(map(_is_heard, first.call.contacts)):
        return "no target answered a socket of Python's own in its call: none can be refused"
    return None


def heard_targets(first: Case) -> Sequence[str]:
    """The services that Python's own sockets heard from in the call."""
    contacts = first.call.contacts if first.call is not None else ()
    return sorted({c.target for c in contacts if c.target is not None and _is_heard(c)})


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
    unfinished = _unfinished(again)
    if unfinished is not None:
        return Control("unavailable", unfinished)
    call = again.call
    if call is None or (did := _did_not_pass(call)) is not None:
        did = "times out" if call is None else did
        return Control("borne-out", f"it {did} while {names} is refused{_SAID_BY}")
    if again.status is CaseStatus.FLAKY:
        return Control("unavailable", "it failed and then passed when run again")
    if again.status is not CaseStatus.PASSED:
        return Control("unavailable", "its call passed and something else failed when run again")
    if _is_answered(call):
        return Control("unavailable", f"{names} could not be kept from answering it")
    return Control("contradicted", f"it still passes while {names} is refused{_SAID_BY}")


def _unfinished(again: Case) -> str | None:
    """Why the case never came to the end of its call, but for lack of time in it."""
    before = again.setup
    if again.status is CaseStatus.LOST:
        return "it did not end when run again"
    if before is None or before.outcome != "passed" or before.raised is not None:
        did = "failed" if before is not None else "did not end"
        did = "was skipped" if before is not None and before.outcome == "skipped" else did
        return f"its set-up {did} when run again"
    return None


def _did_not_pass(call: PhaseRecord) -> str | None:
    """What the call did instead of passing, in words."""
    if call.outcome == "passed" and call.raised is None:
        return None
    return "is skipped" if call.outcome == "skipped" and call.wasxfail is None else "fails"


def _is_answered(call: PhaseRecord) -> bool:
    """Whether bytes of a target's own came, or may have."""
    return any(c.target and c.failed is None and c.received != 0 for c in call.contacts)


def _is_answered_wrongly(contact: Contact) -> bool:
    """Whether the stand-in was asked, and its answer was heard."""
    return contact.failed == STAND_IN and bool(contact.sent) and bool(contact.received)
