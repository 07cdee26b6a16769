"""What an export is held against: logs of a good time, or what of it was good itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loopctl.model.baseline import Baseline
from loopctl.triage.export.symptoms import Capture, learned


@dataclass(frozen=True, slots=True)
class Compared:
    """What the lines are compared with, and what that is; None where there is nothing."""

    baseline: Baseline | None
    what: str = ""

    def said(self, ranked_by: str) -> str:
        """How novel lines were found, with what they were compared with named."""
        if self.baseline is None:
            return ranked_by.replace("there is no green run", "there is nothing")
        return ranked_by.replace("the green runs", self.what)


def compared(captures: Sequence[Capture], greens: Sequence[Capture]) -> Compared:
    """The baseline that there is for these captures."""
    if greens:
        names = dict.fromkeys(capture.source for capture in greens)
        return Compared(_of(greens, captures), ", ".join(names))
    return Compared(None)


def _of(greens: Sequence[Capture], captures: Sequence[Capture]) -> Baseline:
    """The green logs' templates; a service that they do not name is held against all of them."""
    baseline = learned(greens)
    everything = Baseline({}, {})
    for service in baseline.templates:
        only = Baseline({"*": baseline.templates[service]}, {"*": baseline.lines.get(service, 0)})
        everything = everything.merged(only)
    templates, lines = dict(baseline.templates), dict(baseline.lines)
    for capture in captures:
        if capture.service not in templates and "*" in everything.templates:
            templates[capture.service] = everything.templates["*"]
            lines[capture.service] = everything.lines["*"]
    return Baseline(templates, lines)
