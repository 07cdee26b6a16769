"""A stream to a person or a CI log that may be narrow-minded about characters, or gone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TextIO


class Output:
    """Writes lines. A reader that went away, or a full disk, ends the output and not the run."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._gone = False

    def line(self, text: str) -> None:
        """Write one line; characters that the stream's encoding lacks are shown as escapes."""
        if self._gone:
            return
        try:
            encoding = self._stream.encoding or "utf-8"
            self._stream.write(
                text.encode(encoding, "backslashreplace").decode(encoding, "replace") + "\n"
            )
            self._stream.flush()
        except (OSError, ValueError):
            self._gone = True


def wants_colour(
    stream: TextIO, *, no_color: bool, environ: Mapping[str, str] = os.environ
) -> bool:
    """Whether colour may be used: a terminal that can, and nobody said no (no-color.org)."""
    if no_color or environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    return is_terminal(stream)


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at it; False also for a stream that is closed."""
    try:
        return stream.isatty()
    except ValueError:
        return False
