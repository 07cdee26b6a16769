"""Whether the events came that were expected: in their order or in any, others allowed between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

_MOST_OTHERS = 100
_NAMED = 10


@dataclass(slots=True)
class AwaitedEvents:
    """What came of the `wanted` events. An event that is wanted twice must come twice.

    `ordered`: each counts only after all before it have come.
    """

    wanted: Sequence[str]
    ordered: bool
    came: list[str] = field(default_factory=list)
    others: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.missing = list(self.wanted)

    @property
    def is_done(self) -> bool:
        """Whether all have come."""
        return not self.missing

    def see(self, name: str) -> None:
        """Take an event."""
        expected = self.missing[:1] if self.ordered else self.missing
        if name in expected:
            self.missing.remove(name)
            self.came.append(name)
        elif name in self.others or len(self.others) < _MOST_OTHERS:
            self.others[name] = self.others.get(name, 0) + 1

    def said(self, clean: Callable[[str], str]) -> str:
        """`2 of 5 events came: a, b, missing: c, d, e`, and what came instead."""
        total = len(self.wanted)
        if not total:
            return "no event was expected"
        count = f"{len(self.came)} of {total}" if self.came else f"none of {total}"
        parts = [f"{count} event{'s' * (total > 1)} came" + _listed(self.came, clean)]
        if self.missing:
            parts.append("missing" + _listed(self.missing, clean))
        early = [name for name in dict.fromkeys(self.missing) if name in self.others]
        if early:
            parts.append("came out of order" + _listed(early, clean))
        rest = [
            name if number == 1 else f"{name} ({number} times)"
            for name, number in self.others.items()
            if name not in early
        ]
        if rest and self.missing:
            parts.append("others came" + _listed(rest, clean))
        return ", ".join(parts)


def _listed(names: Sequence[str], clean: Callable[[str], str]) -> str:
    if not names:
        return ""
    more = len(names) - _NAMED
    rest = f" and {more} more" if more > 0 else ""
    return ": " + ", ".join(clean(name) for name in names[:_NAMED]) + rest
