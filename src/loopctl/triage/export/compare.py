"""What an export is held against: logs of a good time, or what of it was good itself.

An earlier revision that served without an error is the best there is in an export alone; else it
is the time before the first failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from loopctl.journal.wording import utc
from loopctl.model.baseline import Baseline
from loopctl.triage.export.pieces import Piece
from loopctl.triage.export.symptoms import Capture, learned
from loopctl.triage.export.times import UNKNOWN

_FEWEST: Final = 5
"""Lines that a revision must have said to be compared with."""

_FEWEST_BEFORE: Final = 20
_MARGIN: Final = timedelta(seconds=30)
_MARGIN_LINES: Final = 10


@dataclass(frozen=True, slots=True)
class Compared:
    """The captures without what they are compared with, and what that is, in words."""

    captures: Sequence[Capture]
    baseline: Baseline | None
    what: str = ""

    def said(self, ranked_by: str) -> str:
        """How novel lines were found, with what they were compared with named."""
        if self.baseline is None:
            return ranked_by.replace("there is no green run", "there is nothing")
        return ranked_by.replace("the green runs", self.what).replace("a green run", "the like")


def compared(captures: Sequence[Capture], greens: Sequence[Capture]) -> Compared:
    """What there is for these captures to be compared with."""
    if greens:
        names = ", ".join(dict.fromkeys(capture.source for capture in greens))
        return Compared(captures, _of_greens(greens, captures), names)
    baseline = Baseline({}, {})
    rest: list[Capture] = []
    whats: list[str] = []
    for capture in captures:
        good = _good_part(capture)
        if good is None:
            rest.append(capture)
            continue
        baseline = baseline.merged(learned([replace(capture, pieces=good.pieces)]))
        whats.append(good.what)
        rest.append(replace(capture, pieces=good.rest))
    return Compared(rest, baseline, "; ".join(whats)) if whats else Compared(captures, None)


@dataclass(frozen=True, slots=True)
class _Good:
    pieces: Sequence[Piece]
    rest: Sequence[Piece]
    what: str


def _good_part(capture: Capture) -> _Good | None:
    """What of a service's log was good, before it was not; None where nothing tells."""
    first = next((i for i, piece in enumerate(capture.pieces) if piece.trouble), None)
    if first is None:
        return None
    sick = {piece.revision for piece in capture.pieces if piece.trouble}
    earlier = {piece.revision for piece in capture.pieces[:first]} - sick
    good = [piece for piece in capture.pieces if piece.revision in earlier and piece.revision]
    if sum(bool(piece.text) for piece in good) >= _FEWEST:
        rest = [piece for piece in capture.pieces if piece.revision not in earlier]
        names = ", ".join(sorted(earlier - {""})[:3])
        return _Good(good, rest, f"{names}, which served before without an error")
    before = _before(capture.pieces, first)
    if sum(bool(piece.text) for piece in before) < _FEWEST_BEFORE:
        return None
    at = capture.pieces[first].at
    when = "" if at == UNKNOWN else f" at {utc(at)}"
    return _Good(before, capture.pieces, f"what {capture.service} said before it failed{when}")


def _before(pieces: Sequence[Piece], first: int) -> Sequence[Piece]:
    """All until shortly before: what led to the failure was said then."""
    at = pieces[first].at
    before = pieces[: max(0, first - _MARGIN_LINES)]
    if at == UNKNOWN:
        return before
    return [piece for piece in before if at - piece.at > _MARGIN]


def _of_greens(greens: Sequence[Capture], captures: Iterable[Capture]) -> Baseline:
    """The green logs' templates; a service that they do not name is held against all of them."""
    baseline = learned(greens)
    together = Baseline({}, {})
    for service, seen in baseline.templates.items():
        lines = {"": baseline.lines.get(service, 0)}
        together = together.merged(Baseline({"": seen}, lines))
    templates, lines = dict(baseline.templates), dict(baseline.lines)
    for capture in captures:
        if capture.service not in templates and together.templates:
            templates[capture.service] = together.templates[""]
            lines[capture.service] = together.lines[""]
    return Baseline(templates, lines)
