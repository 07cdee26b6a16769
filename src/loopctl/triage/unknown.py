"""What a diagnosis leaves open, and where somebody would look to find it out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from loopctl.model.finding import Change, Finding
from loopctl.model.questions import WHAT_CHANGED, WHICH_CHANGED
from loopctl.triage.symptoms import Symptoms

_COMMITS = 3


@dataclass(frozen=True, slots=True)
class Unknown:
    """An open question. `text` says it in one line.

    `look` is what would tell: the service's `log`, a `suite`'s output, a `commit`, or another run
    (None: nothing that loopctl knows of). `place` is the capture, as quotes name it; `commit` the
    commit's id, `file` one that it touched.
    """

    text: str
    look: Literal["log", "suite", "commit", "green"] | None = None
    service: str | None = None
    place: str | None = None
    commit: str | None = None
    file: str | None = None


def unknowns(symptoms: Symptoms, findings: Sequence[Finding], ranked_by: str) -> Iterator[Unknown]:
    """What is not known of these findings; those beneath a cause ask nothing of their own."""
    captured = {log.service for log in symptoms.logs}
    concerned = dict.fromkeys(fault.service for fault in symptoms.faults if fault.service)
    for service in concerned:
        if service not in captured:
            yield Unknown(f"what {service} logged: nothing was captured", "log", service)
    if symptoms.logs and "no green run" in ranked_by:
        yield Unknown("which lines are new: there is no green run to compare with", "green")
    for finding in findings:
        if finding.under is None:
            yield from _of(finding, symptoms.changes)


def _of(finding: Finding, changes: Sequence[Change]) -> Iterator[Unknown]:
    service, place = finding.service, _capture(finding)
    if finding.signature is None:
        number = len(finding.cases)
        what = f"{number} test{'s' if number > 1 else ''} fail" if number else "it fail"
        said = finding.evidence[0].quote
        yield Unknown(f"what made {what}: {said}", _look(place), service, place)
    for why in finding.whys:
        if why.status == "hypothesis":
            text = f"{finding.title} – {why.question} Not shown, only thought: {why.answer}"
            yield Unknown(text, _look(place), service, place)
    asked = {why.question for why in finding.whys}
    if WHAT_CHANGED in asked:
        yield from _of_commits(finding, changes, tied=WHICH_CHANGED in asked)


def _of_commits(finding: Finding, changes: Sequence[Change], *, tied: bool) -> Iterator[Unknown]:
    """That a commit is tied to a failure is inferred; whether it is the cause its diff tells."""
    quoted = {quote.source.removeprefix("git/") for quote in finding.evidence}
    for change in changes:
        if change.kind != "commit" or change.what not in quoted:
            continue
        how = "it touched what the evidence names" if tied else "nothing in the evidence names it"
        file = next(iter(change.files), None)
        text = f"whether {change.text} is the cause: {how}"
        yield Unknown(text, "commit", change.service, None, change.what, file)


def _capture(finding: Finding) -> str | None:
    """The capture that tells most: a log, else a suite."""
    for kind in ("log", "test"):
        for quote in finding.evidence:
            if quote.kind == kind:
                return quote.source.partition("#")[0]
    return None


def _look(place: str | None) -> Literal["log", "suite"] | None:
    if place is None:
        return None
    return "suite" if place.startswith("suites/") else "log"
