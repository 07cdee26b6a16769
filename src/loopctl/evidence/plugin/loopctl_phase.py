"""One set-up, call or teardown of a test, and which of them is at hand.

A neighbour of `loopctl_evidence.py`: standard library only, Python >= 3.8. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_ENTRIES = 100
"""How many of a kind a phase keeps; the others are counted."""


class Phase:
    """One set-up, call or teardown of one attempt at a test, and what was seen in it."""

    def __init__(
        self, test: str, name: str, attempt: int, trace: str, mocks: Iterable[dict[str, str]]
    ) -> None:
        self.test, self.name, self.attempt, self.trace = test, name, attempt, trace
        self.began = 0.0
        self.raised: BaseException | None = None
        self.running = True
        self.mocks = list(mocks)
        self.own_traces: list[str] = []
        self.children: list[dict[str, str]] = []
        # The kernel's table as it was before the first child started; None when none has.
        self.table: Any = None
        self.contacts: list[dict[str, object]] = []
        self.http: dict[tuple[object, ...], int] = {}
        self.dropped: dict[str, int] = {}

    def is_of(self, other: Phase) -> bool:
        """Whether both belong to the same attempt at the same test."""
        return (self.test, self.attempt) == (other.test, other.attempt)

    def keep(self, what: str, entry: Any) -> None:
        """Add to one of the lists, counting instead once it is full."""
        entries = getattr(self, what)
        if len(entries) < MOST_ENTRIES:
            entries.append(entry)
        else:
            self.dropped[what] = self.dropped.get(what, 0) + 1

    def exchanged(self, key: tuple[object, ...]) -> None:
        """Count a request that was answered, alike ones as one."""
        if key in self.http or len(self.http) < MOST_ENTRIES:
            self.http[key] = self.http.get(key, 0) + 1
        else:
            self.dropped["http"] = self.dropped.get("http", 0) + 1

    def seen(self) -> dict[str, object]:
        """Its part of a `phase` line."""
        names = ("method", "target", "host", "port", "path", "status", "health")
        return {
            "began": self.began,
            "trace": self.trace,
            "own_traces": self.own_traces,
            "contacts": self.contacts,
            "mocks": self.mocks,
            "children": self.children,
            "http": [dict(zip(names, key), count=n) for key, n in self.http.items()],  # noqa: B905
            "dropped": self.dropped,
        }


class Current:
    """Which phase is at hand, for all who add to what is seen in it.

    `phase` is that of the last test also after it has ended, None before the first one.
    """

    def __init__(self) -> None:
        self.phase: Phase | None = None

    @property
    def running(self) -> Phase | None:
        """The phase that runs now; None between two of them."""
        phase = self.phase
        return phase if phase is not None and phase.running else None
