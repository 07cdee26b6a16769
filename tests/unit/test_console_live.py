"""The live view fits 40 columns and more, obeys nothing it shows, and gives the terminal back."""

from __future__ import annotations

import contextlib
import io
import re
import threading

import pytest
import worklogs
from rich.console import Console

from loopctl.console.frame import Moment, frame
from loopctl.console.live import LiveView
from loopctl.journal.fold import fold
from loopctl.model.evidence import CaseStatus, SuiteOutcome

WIDTHS = (40, 80, 200)


def _picture(script: worklogs.Script, width: int, upto: int | None = None) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=False, highlight=False, markup=False)
    worklog = fold(script.events[:upto])
    console.print(frame(worklog, Moment(61.0, 2.5, "the last thing said"), width))
    return stream.getvalue()


class _Terminal(io.StringIO):
    """Looks like a terminal to rich; tells when it was drawn on."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn = threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if "golden-path on local" in text:
            self.drawn.set()
        return super().write(text)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", worklogs.ALL)
def test_no_line_is_wider_than_the_terminal_at_any_moment(name: str, width: int) -> None:
    script = worklogs.ALL[name]()

    for upto in range(1, len(script.events), 4):
        picture = _picture(script, width, upto)
        assert max(map(len, picture.splitlines())) <= width
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", picture)


@pytest.mark.parametrize("width", WIDTHS)
def test_stages_services_counts_and_failures_are_in_the_picture(width: int) -> None:
    picture = _picture(worklogs.red(), width)

    assert "golden-path on local · cycle 1/3 · 1 mi" in picture
    assert "✓ health 1.5 s" in picture
    assert "✗ verify 1.5 s" in picture
    assert "healthy chat-00002-new" in picture
    assert "4/4 3 passed 1 failed" in picture
    assert "✗ tests/test_chat.py::test_answer" in picture


def test_a_running_stage_shows_its_time_so_far_and_what_is_to_come() -> None:
    script = worklogs.Script().until_health({worklogs.OLD: 100})
    entered = worklogs.green().events[len(script.events)]
    script.add(entered.payload)

    picture = _picture(script, 80)

    assert "▸ health 2.5 s" in picture
    assert "· verify" in picture


def test_a_partial_run_says_so_all_the_time() -> None:
    assert _picture(worklogs.partial(), 40).startswith("PARTIAL ")


def test_markup_of_rich_in_names_is_text() -> None:
    script = worklogs.Script()
    bad = worklogs.case("[bold red]x[/]", CaseStatus.FAILED, message="[link=http://e]y[/]")
    script.until_health({worklogs.OLD: 100})
    script.verify([bad], SuiteOutcome.FAILED)

    assert "[bold red]x[/]: [link=http://e]y[/]" in _picture(script, 200)


def test_the_cursor_is_given_back_after_an_error() -> None:
    terminal = _Terminal()

    def fail() -> None:
        with contextlib.closing(LiveView(terminal, colour=False)) as view:
            for event in worklogs.green().events:
                view(event)
            assert terminal.drawn.wait(10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()

    written = terminal.getvalue()
    assert "\x1b[?25l" in written
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")
    assert not any(thread.name == "live view" for thread in threading.enumerate())


def test_a_terminal_that_went_away_does_not_stop_the_run() -> None:
    terminal = _Terminal()
    with contextlib.closing(LiveView(terminal)) as view:
        view(worklogs.green().events[0])
        assert terminal.drawn.wait(10)
        terminal.close()
        for event in worklogs.green().events[1:]:
            view(event)


def test_closing_twice_is_harmless() -> None:
    view = LiveView(_Terminal())
    view.close()
    view.close()
