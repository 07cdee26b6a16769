"""What every view of a running loop can do."""

from __future__ import annotations

from typing import Protocol

from loopctl.model.events import Event


class View(Protocol):
    """A subscriber to the journal. Called inside the journal's lock: quick, and raises nothing."""

    def __call__(self, event: Event) -> None:
        """Take one event, redacted, in order."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was found. May be called twice."""
        ...
