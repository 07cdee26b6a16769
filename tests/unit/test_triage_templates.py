"""Lines of one statement fall together; causes keep their name from run to run."""

from __future__ import annotations

import pytest
from triage_fixtures import entries

from loopctl.triage.assemble import assemble
from loopctl.triage.fingerprint import message_fingerprint, stack_fingerprint
from loopctl.triage.templates import Masker, mask_message


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("took 12 ms", "took 7.5 ms"),
        (
            "user 3f2504e0-4f89-11d3-9a0c-0305e82c3301 left",
            "user 6ba7b810-9dad-11d1-80b4-00c04fd430c8 left",
        ),
        ("from 10.0.0.1:443", "from 192.168.7.9:80"),
        ('user="ana b" code=1000', 'user="ben" code=1000'),
        ("at 2026-11-20T12:00:00Z done", "at 2026-11-21T07:31:02.5Z done"),
        ("read /srv/a/b.txt", "read /etc/c"),
        ("id deadbeef01 gone", "id 0badcafe22 gone"),
    ],
)
def test_what_varies_is_masked(one: str, other: str) -> None:
    masker = Masker()
    assert masker.template(one) == masker.template(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("request status=200", "request status=500"),
        ("closed code=1000", "closed code=1011"),
        ("store opened", "store closed"),
        ("ended with exit=3", "ended with exit=0"),
    ],
)
def test_what_tells_is_not(one: str, other: str) -> None:
    masker = Masker()
    assert masker.template(one) != masker.template(other)


def test_a_message_keeps_the_names_that_tell_two_errors_apart() -> None:
    argument = "got an unexpected keyword argument '{}'"
    assert mask_message(argument.format("success")) != mask_message(argument.format("result"))
    assert mask_message("no row 'a b 17'") == mask_message("no row 'c d 9'")


def trace(line: int, message: str, folder: str = "/srv") -> str:
    (event,) = assemble(
        entries(
            [
                "Traceback (most recent call last):",
                f'  File "{folder}/chat/routes.py", line {line}, in _list',
                "    call()",
                f"TypeError: {message}",
            ]
        )
    )
    assert event.trace is not None
    return stack_fingerprint(event.trace)


def test_a_stack_keeps_its_fingerprint_when_lines_and_folders_move() -> None:
    assert trace(3, "x", "/copies/a1") == trace(88, "x", "/copies/b2")
    assert trace(3, "x").startswith("v1|python|TypeError|chat/routes.py:_list#")


def test_two_keyword_errors_in_one_place_have_two_fingerprints() -> None:
    assert trace(3, "unexpected keyword argument 'a'") != trace(
        3, "unexpected keyword argument 'b'"
    )


def test_a_failure_without_frames_is_known_by_its_message() -> None:
    assert message_fingerprint("balance is 3") == message_fingerprint("balance is 4")
    assert message_fingerprint("balance is 3") != message_fingerprint("nothing came in 3 s")


def test_lines_about_two_revisions_of_a_service_are_one_template() -> None:
    masker = Masker()
    first = masker.template("INFO starting revision=chat-00012-lnz, told PORT=22564")
    second = masker.template("INFO starting revision=chat-00013-4q2, told PORT=31899")
    assert first == second == "INFO starting revision=<revision>, told PORT=<n>"
