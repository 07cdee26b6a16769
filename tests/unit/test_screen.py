"""What a terminal is written: what has changed, where it belongs; and it is given back."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import termios
import time
from collections.abc import Iterator
from typing import TextIO

import pyte
import pytest
import worklogs

from loopctl.console import screen as screens
from loopctl.console.lines import Line, Span, Style, line
from loopctl.console.live import LiveView, Tail
from loopctl.console.marks import UNICODE
from loopctl.console.screen import Screen
from loopctl.model.events import RunStarted

SIZE = (40, 10)
_WRITTEN_S = 10.0
_QUIET_S = 0.05


class Seen:
    """A terminal whose other end we hold; reads only when it is asked."""

    def __init__(self) -> None:
        self.ours, theirs = pty.openpty()
        self.stream: TextIO = os.fdopen(theirs, "w", encoding="utf-8")
        self.screen = pyte.Screen(*SIZE)
        self._bytes = pyte.ByteStream(self.screen)

    def news(self) -> str:
        """What was written since the last call, and is drawn now; waits for something."""
        data, within = b"", _WRITTEN_S
        while select.select([self.ours], [], [], within)[0]:
            data, within = data + os.read(self.ours, 65536), _QUIET_S
        self._bytes.feed(data)
        return data.decode()

    def is_quiet(self) -> bool:
        """Whether nothing was written."""
        return not select.select([self.ours], [], [], _QUIET_S)[0]

    def shown(self) -> list[str]:
        """The rows with something in them."""
        return [row.rstrip() for row in self.screen.display if row.strip()]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    monkeypatch.setattr(screens, "_held_until", 0.0)
    terminal = Seen()
    yield terminal
    with contextlib.suppress(OSError):
        terminal.stream.close()
    os.close(terminal.ours)


def _rows(text: str) -> list[int]:
    return [int(row) for row in re.findall(r"\x1b\[(\d+);1H(?!\x1b\[J)", text)[:-1]]


def _lines(*texts: str) -> list[Line]:
    return [line(text) for text in texts]


def test_only_rows_that_have_changed_are_written(seen: Seen) -> None:
    screen = Screen(seen.stream, colour=True)
    screen.draw(_lines("one", "two", "three"), SIZE)
    assert _rows(seen.news()) == [1, 2, 3]
    screen.draw(_lines("one", "two", "three"), SIZE)
    assert seen.is_quiet()
    screen.draw([line("one"), line("2", Style.RED), line("three")], SIZE)
    assert _rows(seen.news()) == [2]
    screen.draw(_lines("one", "2"), SIZE)
    seen.news()
    assert seen.shown() == ["one", "2"]
    screen.leave()


def test_a_frame_is_shown_whole_where_the_terminal_knows_how(seen: Seen) -> None:
    screen = Screen(seen.stream, colour=False)
    screen.draw(_lines("one"), SIZE)
    entered, _, frame = seen.news().partition("\x1b[?2026h")
    assert "one" in frame
    assert "one" not in entered
    assert frame.endswith("\x1b[?2026l")
    screen.leave()


def test_whatever_was_typed_in_between_a_changed_row_stands_where_it_belongs(seen: Seen) -> None:
    screen = Screen(seen.stream, colour=False)
    screen.draw(_lines("one", "two"), SIZE)
    os.write(seen.stream.fileno(), b"\r\n\r\nabc\r\n")
    screen.draw(_lines("1", "two"), SIZE)
    seen.news()
    assert seen.shown()[0] == "1"
    screen.leave()


def test_a_new_size_is_drawn_anew_and_so_is_a_terminal_that_was_given_back(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Screen(seen.stream, colour=False)
    screen.draw(_lines("one", "two"), SIZE)
    seen.news()
    screen.draw(_lines("one", "two"), (30, 5))
    assert _rows(seen.news()) == [1, 2]
    screens.give_back()
    left = seen.news()
    assert left.endswith("\x1b[?1049l")
    assert "\x1b[?25h" in left
    assert "\x1b[?7h" in left
    screen.draw(_lines("one", "two"), (30, 5))
    assert seen.is_quiet(), "whoever is about to end draws no more"
    monkeypatch.setattr(screens, "_held_until", 0.0)
    screen.draw(_lines("one", "two"), (30, 5))
    assert _rows(seen.news()) == [1, 2]
    screen.leave()
    screen.leave()
    assert seen.news().count("\x1b[?1049l") == 1


def test_columns_stand_where_they_belong_whatever_the_terminal_takes_a_name_for(
    seen: Seen,
) -> None:
    screen = Screen(seen.stream, colour=False)
    rows: list[Line] = [
        (Span(name, column=0), Span(" "), Span("second", column=20))
        for name in ("plain", "東京", "👩‍👩‍👧", "שירות")
    ]
    screen.draw(rows, SIZE)
    seen.news()
    for y in range(1, 4):
        assert "".join(seen.screen.buffer[y][x].data for x in range(20, 26)) == "second"
    screen.leave()


def test_a_terminal_that_is_held_keeps_no_event_from_being_taken(seen: Seen) -> None:
    termios.tcflow(seen.stream.fileno(), termios.TCOOFF)
    began = time.monotonic()
    with contextlib.closing(LiveView(seen.stream, marks=UNICODE)) as view:
        for event in worklogs.red().events:
            view(event)
        assert time.monotonic() - began < 5
        termios.tcflow(seen.stream.fileno(), termios.TCOON)


def test_a_view_that_cannot_draw_gives_the_terminal_back_and_says_so_with_the_next_event(
    seen: Seen,
) -> None:
    def broken(_run: RunStarted) -> Tail | None:
        raise RuntimeError("a fault of the view")

    view = LiveView(seen.stream, marks=UNICODE, tail_of=broken)
    first, *others = worklogs.red().events
    view(first)
    written, deadline = "", time.monotonic() + 20
    while "\x1b[?1049l" not in written and time.monotonic() < deadline:
        written += seen.news()
    assert "\x1b[?1049h" in written
    assert "\x1b[?1049l" in written
    with pytest.raises(RuntimeError, match="a fault of the view"):
        view(others[0])
    view.close()
