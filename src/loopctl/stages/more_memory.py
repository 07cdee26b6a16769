"""The remedy `raise-memory`: one step up, to a cap, for this run alone. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loopctl.journal.worklog import CycleRecord
from loopctl.model.finding import Finding
from loopctl.model.plan import ServiceSpec
from loopctl.model.quantity import size
from loopctl.stages.remedy_choice import Choice

_UNITS: Final = {
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "ki": 1 << 10,
    "mi": 1 << 20,
    "gi": 1 << 30,
}
_LIMIT: Final = re.compile(
    r"(?:[Mm]emory limit of|its|needed more than) (?P<number>\d{1,9}(?:\.\d{1,3})?) ?"
    r"(?P<unit>[KMGkmg]i?)B?\b",
)
"""As Cloud Run says it (`Memory limit of 512 MiB exceeded with …`), and as containers are told."""


@dataclass(frozen=True, slots=True)
class Step:
    """From so many bytes to so many; `why` there is none, in words."""

    service: str | None
    was: int = 0
    to: int = 0
    why: str = ""

    @property
    def written(self) -> str:
        """What a person writes into the loop file."""
        return f"run.memory: {size(self.to)}"


def step_up(
    choice: Choice,
    cycle: CycleRecord,
    specs: Sequence[ServiceSpec],
    raised: Mapping[str, int],
    most: int,
) -> Step:
    """Twice of what the service has, at most `most`. `raised` is what this run has given so far."""
    names = [spec.name for spec in specs]
    service = choice.service or (names[0] if len(names) == 1 else None)
    spec = next((spec for spec in specs if spec.name == service), None)
    if spec is None:
        return Step(service, why="which service needs more memory is not known")
    was = raised.get(spec.name) or spec.run.memory or _told(cycle.findings, spec.name)
    if was is None:
        return Step(service, why="how much it has is not known: the loop file names no run.memory")
    to = min(2 * was, most)
    if to <= was:
        return Step(service, was, why=f"it has {size(was)}, and {size(most)} is the most")
    return Step(service, was, to)


def _told(findings: Sequence[Finding], service: str) -> int | None:
    """The limit that the platform named when it ended the process."""
    quotes = (q.quote for f in findings if f.service in (None, service) for q in f.evidence)
    for quote in quotes:
        if (found := _LIMIT.search(quote)) is not None:
            return int(float(found["number"]) * _UNITS[found["unit"].lower()])
    return None
