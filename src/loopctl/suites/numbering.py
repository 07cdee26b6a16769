"""The numbers of the lines that one process wrote, to see whether all of them came, and once."""

from __future__ import annotations

# Of the forked child of a session, which numbers its lines on from those of its parent.
_OF_CHILDREN = frozenset({"child-contact", "plugin-error", "phase", "subtest"})


class Lines:
    """What one process wrote. A session numbers its lines from 1, whatever order they come in.

    A line that a test put into the stream takes a number that is given already, or leaves a gap;
    one that was cut out leaves a gap too. The end of the stream may be missing: it shows anyway.
    """

    def __init__(self) -> None:
        self._count = 0
        self._highest = 0
        self._is_session = False
        self._is_foreign = False

    def add(self, seq: int, event: str) -> None:
        """Count a line."""
        self._count += 1
        self._highest = max(self._highest, seq)
        self._is_session = self._is_session or event == "session-start"
        self._is_foreign = self._is_foreign or event not in _OF_CHILDREN

    @property
    def are_whole(self) -> bool:
        """Whether nothing is missing, and nothing there that the plugin did not write."""
        if self._is_session:
            return self._count == self._highest
        return not self._is_foreign
