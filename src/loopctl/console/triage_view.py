"""The views of `triage --watch`: a screen that is drawn again, or a line for each change."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Protocol, TextIO

from loopctl.console.output import Output
from loopctl.console.plain import HEARTBEAT_S
from loopctl.inert import for_ci
from loopctl.journal.wording import clock
from loopctl.process import utc_now
from loopctl.reports.triaged_text import MOST_LINES, triaged_lines
from loopctl.reports.triaged_watch import News, line_of, news_of
from loopctl.triage.triaged import Triaged


class LookView(Protocol):
    """Shows one look after the other."""

    def __call__(self, triaged: Triaged) -> None:
        """Show a look."""
        ...

    def close(self) -> None:
        """No more looks: what was shown last stays."""
        ...


class LineView:
    """A UTC line on `stream` for each change, and a sign of life on `aside` every minute."""

    def __init__(
        self, stream: TextIO, aside: TextIO | None, *, heartbeat_s: float = HEARTBEAT_S
    ) -> None:
        self._output = Output(stream)
        self._aside = Output(aside) if aside is not None else None
        self._heartbeat_s = heartbeat_s
        self._last: News | None = None
        self._said = time.monotonic()

    def __call__(self, triaged: Triaged) -> None:
        """Tell what has changed; that nothing has, once a minute."""
        now, news = time.monotonic(), news_of(triaged)
        if news != self._last:
            self._output.line(for_ci(line_of(triaged)))
            self._last, self._said = news, now
        elif self._aside is not None and now - self._said >= self._heartbeat_s:
            self._aside.line(f"{clock(utc_now())} no change; exit code {triaged.exit_code}")
            self._said = now

    def close(self) -> None:
        """Nothing is open."""


class ScreenView:
    """The first screen, drawn again in its place on a terminal; the last one stays there."""

    def __init__(self, stream: TextIO, *, colour: bool = True) -> None:
        from rich.console import Console  # noqa: PLC0415 - costs 60 ms that others need not pay
        from rich.live import Live  # noqa: PLC0415

        console = Console(file=stream, no_color=not colour, highlight=False, markup=False)
        self._live = Live(
            console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._live.start()

    def __call__(self, triaged: Triaged) -> None:
        """Draw the look."""
        from rich.text import Text  # noqa: PLC0415

        shown = Text("\n".join(_screen(triaged)), overflow="ellipsis", no_wrap=True)
        with contextlib.suppress(OSError, ValueError):
            self._live.update(shown, refresh=True)

    def close(self) -> None:
        """Give the cursor back."""
        with contextlib.suppress(OSError, ValueError):
            self._live.stop()


def _screen(triaged: Triaged) -> Sequence[str]:
    lines = triaged_lines(triaged)
    first = lines[: lines.index("")] if "" in lines else lines
    return [*first[:MOST_LINES], f"looked at {clock(triaged.at)}; Ctrl-C ends it"]
