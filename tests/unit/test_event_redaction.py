"""Half a secret at the edge of a cut cannot be recognised, so the edge goes."""

import pytest

from loopctl.redact import Redactor
from loopctl.suites.event_redaction import CUT_MARGIN, EventRedaction

SECRET = "hunter2-correct-horse-battery-staple"
CUT = "\n[... 99 characters cut ...]\n"


@pytest.mark.parametrize("kept", range(1, len(SECRET)))
def test_half_a_secret_at_either_edge_of_a_cut_is_gone(kept: int) -> None:
    redaction = EventRedaction(Redactor({"S": SECRET}))
    head = "a" * 3000 + SECRET[:kept]
    tail = SECRET[-kept:] + "z" * 3000
    clean = redaction.text(head + CUT + tail)
    assert clean == "a" * (3000 + kept - CUT_MARGIN) + CUT + "z" * (3000 + kept - CUT_MARGIN)


def test_a_whole_secret_near_the_edge_is_told_by_its_name_or_gone() -> None:
    redaction = EventRedaction(Redactor({"S": SECRET}))
    clean = redaction.text("a" * 3000 + SECRET + "b" * CUT_MARGIN + CUT)
    assert clean == "a" * 3000 + "[redacted:S]" + CUT


def test_a_text_without_a_cut_is_left_whole() -> None:
    redaction = EventRedaction(Redactor({"S": SECRET}))
    assert redaction.text("x" * 5000) == "x" * 5000
