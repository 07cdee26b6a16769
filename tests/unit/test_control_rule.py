"""The control run's rules: what still passes is accused, and whoever cannot be kept away is not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import pytest

from loopctl.evidence.control import (
    STAND_IN,
    answered_wrongly,
    controlled,
    heard_targets,
    uncontrollable,
)
from loopctl.model.evidence import (
    Case,
    CaseStatus,
    Contact,
    Control,
    PhaseRecord,
    Raised,
    TestPhase,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Outcome = Literal["passed", "failed", "skipped"]
Via = Literal["python", "c", "child"]


def chat(
    received: int | None = 84, *, via: Via = "python", failed: str | None = None, name: str = "chat"
) -> Contact:
    return Contact(
        "127.0.0.1", 8080, name, loopback=True, sent=12, received=received, failed=failed, via=via
    )


def phase(
    which: TestPhase,
    outcome: Outcome = "passed",
    contacts: Sequence[Contact] = (),
    children: Sequence[str] = (),
    raised: Raised | None = None,
) -> PhaseRecord:
    return PhaseRecord(
        which,
        outcome,
        0.1,
        contacts=tuple(contacts),
        children=tuple(children),
        raised=raised,
    )


def case(
    *contacts: Contact,
    status: CaseStatus = CaseStatus.PASSED,
    setup: Outcome | None = "passed",
    call: Outcome | None = "passed",
    children: Sequence[str] = (),
    before: PhaseRecord | None = None,
    raised: Raised | None = None,
) -> Case:
    phases = [before or phase(TestPhase.SETUP, setup)] if setup else []
    if call:
        phases.append(phase(TestPhase.CALL, call, contacts, children, raised))
    return Case("t.py::test", status, 0.2, NOW, phases=tuple(phases))


MET = case(chat())
REFUSED = chat(None, failed="ECONNREFUSED")


def test_a_pass_that_stays_one_while_its_target_is_refused_is_contradicted() -> None:
    told = Control("contradicted", "it still passes while chat is refused (control run)")
    assert controlled(MET, case(REFUSED)) == told
    assert controlled(MET, case()) == told
    assert controlled(MET, case(chat(0))) == told
    both = case(chat(), chat(name="auth"))
    assert "while auth or chat is refused" in controlled(both, case()).reason


@pytest.mark.parametrize(
    ("again", "reason"),
    [
        (case(REFUSED, status=CaseStatus.FAILED, call="failed"), "it fails while"),
        (case(REFUSED, status=CaseStatus.BROKEN, call="failed"), "it fails while"),
        (case(REFUSED, status=CaseStatus.SKIPPED, call="skipped"), "it is skipped while"),
        (case(status=CaseStatus.TIMEOUT, call=None), "it times out while"),
        # A hook of the suite reports as passed what raised.
        (case(status=CaseStatus.FAILED, raised=Raised("OSError", "")), "it fails while"),
    ],
)
def test_a_call_that_does_not_pass_any_more_bears_the_pass_out(again: Case, reason: str) -> None:
    told = controlled(MET, again)
    assert told.kind == "borne-out"
    assert told.reason == f"{reason} chat is refused (control run)"


@pytest.mark.parametrize(
    ("again", "reason"),
    [
        (None, "it was not run again"),
        (case(status=CaseStatus.LOST, call=None), "it did not end when run again"),
        (case(status=CaseStatus.LOST), "it did not end when run again"),
        (
            case(status=CaseStatus.FAILED, setup="failed", call=None),
            "its set-up failed when run again",
        ),
        (
            case(status=CaseStatus.SKIPPED, setup="skipped", call=None),
            "its set-up was skipped when run again",
        ),
        (
            case(status=CaseStatus.TIMEOUT, setup=None, call=None),
            "its set-up did not end when run again",
        ),
        (
            case(status=CaseStatus.FAILED),
            "its call passed and something else failed when run again",
        ),
        (case(status=CaseStatus.FLAKY), "it failed and then passed when run again"),
        (case(chat(1)), "chat could not be kept from answering it"),
        (case(chat(None)), "chat could not be kept from answering it"),
        (
            case(chat(None, via="c")),
            "code in C connected to chat when run again",
        ),
        (case(children=["curl"]), "a child process ran (curl) when run again"),
    ],
)
def test_what_a_second_run_could_not_show_accuses_nobody(again: Case | None, reason: str) -> None:
    assert controlled(MET, again) == Control("unavailable", reason)


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (
            case(chat(), children=["curl"]),
            "a child process ran (curl), which cannot be refused",
        ),
        (
            case(chat(), before=phase(TestPhase.SETUP, children=["node"])),
            "a child process ran (node), which cannot be refused",
        ),
        (
            case(chat(), chat(via="c")),
            "code in C connected to chat, which cannot be refused",
        ),
        (
            case(chat(None, via="child"), children=["curl"]),
            "a child process ran (curl), which cannot be refused",
        ),
        (
            case(),
            "no target answered a socket of Python's own in its call: none can be refused",
        ),
        (
            case(chat(0)),
            "no target answered a socket of Python's own in its call: none can be refused",
        ),
        (case(chat(), call=None), "it has no call phase"),
    ],
)
def test_who_cannot_be_refused_is_not_run_again_and_not_accused(first: Case, reason: str) -> None:
    assert uncontrollable(first) == reason
    assert controlled(first, case()) == Control("unavailable", reason)


def test_a_child_that_was_seen_to_connect_nowhere_hides_nothing() -> None:
    silent = chat(None, via="child", failed="not-seen")
    assert uncontrollable(case(chat(), silent, children=["ldconfig"])) is None
    unknown = chat(None, via="child", failed="not-alone")
    assert uncontrollable(case(chat(), unknown, children=["ldconfig"])) is not None


def test_bytes_that_cannot_be_counted_here_are_taken_as_heard() -> None:
    assert uncontrollable(case(chat(None))) is None


BORNE_OUT = Control("borne-out", "it fails while chat is refused (control run)")
WRONG = chat(91, failed=STAND_IN)


def test_a_pass_that_stays_one_while_its_target_answers_wrongly_is_contradicted() -> None:
    told = Control("contradicted", "it still passes while chat answers wrongly (control run)")
    assert answered_wrongly(BORNE_OUT, case(WRONG)) == told
    assert answered_wrongly(BORNE_OUT, case(REFUSED, WRONG)) == told
    both = case(WRONG, chat(91, failed=STAND_IN, name="auth"))
    assert "while auth or chat answers wrongly" in answered_wrongly(BORNE_OUT, both).reason


@pytest.mark.parametrize(
    ("refused", "again", "reason"),
    [
        ("fails", case(WRONG, status=CaseStatus.FAILED, call="failed"), "fails while chat is ref"),
        ("fails", case(WRONG, raised=Raised("KeyError", "")), "fails while chat is refused, and w"),
        (
            "times out",
            case(WRONG, call="failed"),
            "times out while chat is refused, and it fails w",
        ),
        ("fails", case(WRONG, call="skipped"), "fails while chat is refused, and it is skipped w"),
    ],
)
def test_a_call_that_fails_in_both_halves_is_borne_out_by_both(
    refused: str, again: Case, reason: str
) -> None:
    half = Control("borne-out", f"it {refused} while chat is refused (control run)")
    told = answered_wrongly(half, again)
    assert told.kind == "borne-out"
    assert told.reason.startswith(f"it {reason}")
    assert told.reason.endswith("while it answers wrongly (control run)")


@pytest.mark.parametrize(
    "again",
    [
        case(),
        case(REFUSED),
        case(chat(0, failed=STAND_IN)),
        case(chat(None, failed=STAND_IN)),
        case(WRONG, chat(12)),
        case(WRONG, chat(None)),
        case(WRONG, chat(None, via="c")),
        case(WRONG, children=["curl"]),
        case(WRONG, status=CaseStatus.FAILED),
        case(WRONG, status=CaseStatus.FLAKY),
        case(status=CaseStatus.TIMEOUT, call=None),
        case(REFUSED, status=CaseStatus.FAILED, call="failed"),
    ],
    ids=[
        "no contact",
        "refused",
        "told nothing wrong",
        "uncounted",
        "the target answered too",
        "the target may have answered too",
        "C code connected",
        "a child ran",
        "its tear-down failed",
        "flaky",
        "took too long",
        "failed, refused",
    ],
)
def test_where_the_second_half_shows_nothing_the_first_one_stands(again: Case) -> None:
    assert answered_wrongly(BORNE_OUT, again) == BORNE_OUT


@pytest.mark.parametrize(
    ("again", "reason"),
    [
        (None, "it was not run again"),
        (case(WRONG, status=CaseStatus.LOST), "it did not end when run again"),
        (case(call=None, setup="failed"), "its set-up failed when run again"),
    ],
)
def test_a_second_half_that_was_not_had_is_nothing_to_rely_on(
    again: Case | None, reason: str
) -> None:
    said = f"it fails while chat is refused, but {reason} while it answers wrongly"
    assert answered_wrongly(BORNE_OUT, again) == Control("unavailable", said)


def test_a_stand_in_is_no_target_that_was_heard() -> None:
    assert heard_targets(case(chat(), chat(name="auth"), chat(0, name="mail"))) == ["auth", "chat"]
    assert heard_targets(case(WRONG)) == []
