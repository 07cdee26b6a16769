"""A secret may be longer than what is kept of the text that it stands in."""

from __future__ import annotations

import random
import string

import pytest

from loopctl.redact import Redactor
from loopctl.suites.declared.probe_case import Clean, kept

LONG = "".join(random.Random(7).choices(string.ascii_letters + string.digits + "+/", k=3000))
REDACTOR = Redactor({"KEY": LONG})


def assert_hidden(shown: str) -> None:
    pieces = (LONG[at : at + 8] for at in range(0, len(LONG) - 8, 4))
    assert not [piece for piece in pieces if piece in shown], shown


@pytest.mark.parametrize("before", ["", '{"token": "', "x " * 40])
def test_the_beginning_of_one_is_in_nothing_that_a_probe_shows(before: str) -> None:
    text = f'{before}{LONG}", and more'
    clean = Clean(REDACTOR)
    assert_hidden(clean.line(text))
    assert_hidden(clean.field(text))
    assert_hidden(clean.output(text))
    assert_hidden(clean.kind(kept(text)))
    assert_hidden(clean.transcript(["short", f"0.001 s {kept(text)}"]))


def test_a_long_message_without_one_keeps_its_beginning() -> None:
    shown = Clean(REDACTOR).transcript([kept("first " + "word " * 1000)])
    assert shown.startswith("first word")
    assert len(shown) > 400
