"""A cause as a graph: from what was seen to fail, over each why, to the cause. Pure.

Both drawings are made of it, so that they say the same. Texts stand on one line each, inert for a
terminal and not yet for a document.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from loopctl.inert import one_line
from loopctl.journal.causes import Cause
from loopctl.journal.wording import count
from loopctl.journal.worklog import CycleRecord
from loopctl.model.finding import Finding, Why
from loopctl.model.questions import WHAT_CHANGED, WHICH_CHANGED
from loopctl.reports.facts import WhyStatus, why_status

_MOST_WHYS = 10
_MOST_SYMPTOMS = 5
_LONGEST = 240
_PLACE = 120
_LINE_NUMBER = re.compile(r"#(\d+)$")


@dataclass(frozen=True, slots=True)
class Node:
    """One box. `head` is the question, or what it is; `place` is where the evidence stands."""

    kind: Literal["symptom", "why", "cause"]
    head: str
    text: str
    status: WhyStatus
    place: str | None = None

    @property
    def foot(self) -> str:
        """How it is known, and where that stands."""
        if self.status == "hypothesis":
            return "hypothesis, no captured evidence"
        return f"{self.status}{', ' + self.place if self.place else ''}"


@dataclass(frozen=True, slots=True)
class WhyGraph:
    """Nodes from what was seen to the cause; every edge leads from one to what explains it."""

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[tuple[int, int], ...]


def why_graph(cause: Cause, cycle: CycleRecord) -> WhyGraph:
    """The graph. What changed before it, and what is but a guess, stand behind the cause; symptoms
    of other services lead straight to it.
    """
    finding = cause.finding
    whys = [(why, _why(why, finding)) for why in finding.whys[:_MOST_WHYS]]
    led_to = [node for why, node in whys if not _is_behind(why, node)]
    behind = [node for why, node in whys if _is_behind(why, node)]
    chain = [_seen(cause, cycle), *led_to, _cause(finding), *behind]
    beneath = [_symptom(symptom) for symptom in cause.symptoms[:_MOST_SYMPTOMS]]
    edges = [(number, number + 1) for number in range(len(chain) - 1)]
    edges += [(len(chain) + number, len(led_to) + 1) for number in range(len(beneath))]
    return WhyGraph(_line(finding.title), (*chain, *beneath), tuple(edges))


def _is_behind(why: Why, node: Node) -> bool:
    return why.question in (WHAT_CHANGED, WHICH_CHANGED) or node.status == "hypothesis"


def _seen(cause: Cause, cycle: CycleRecord) -> Node:
    """What failed, as somebody who does not know why would tell it."""
    finding = cause.finding
    if cases := cause.cases:
        more = f", and {count(len(cases) - 1, 'other')}" if len(cases) > 1 else ""
        return Node("symptom", "What was seen", _line(f"{cases[0]} did not pass{more}"), "observed")
    where = f"{finding.service}: " if finding.service else ""
    seen = _failure(finding, cycle)
    text = seen if finding.service and finding.service in seen else f"{where}{seen}"
    return Node("symptom", "What was seen", _line(text), "observed")


def _failure(finding: Finding, cycle: CycleRecord) -> str:
    failed = cycle.failed_stage
    if failed is None:
        return finding.title
    faults = [each for each in failed.faults if finding.service in (each.service, None)]
    if faults:
        return faults[0].summary
    return f"{failed.stage.value} failed{': ' + failed.detail if failed.detail else ''}"


def _why(why: Why, finding: Finding) -> Node:
    status = why_status(why, finding)
    captured = status != "hypothesis" and why.evidence is not None
    place = finding.evidence[why.evidence].source if captured and why.evidence is not None else None
    return Node("why", _line(why.question), _line(why.answer), status, _place(place))


def _cause(finding: Finding) -> Node:
    quote = next(iter(finding.evidence), None)
    place = _place(quote.source if quote else None)
    if finding.signature is None:
        # A log says more of a failure than the test that met it.
        quote = next((each for each in finding.evidence if each.kind == "log"), quote)
        shown = f"what may tell: {quote.quote}" if quote else "nothing was captured that tells"
        return Node("cause", "No known cause", _line(shown), "hypothesis")
    head = f"{one_line(finding.signature, 80)}, confidence {finding.confidence:.2f}"
    return Node("cause", head, _line(finding.title), "observed" if quote else "hypothesis", place)


def _symptom(symptom: Finding) -> Node:
    quote = next(iter(symptom.evidence), None)
    what = f"{count(len(symptom.cases), 'test')} did not pass" if symptom.cases else symptom.title
    text = f"{what}: {quote.quote}" if quote else what
    head = f"Beneath it, {symptom.service}" if symptom.service else "Beneath it"
    return Node("symptom", head, _line(text), "inferred", _place(quote.source if quote else None))


def _line(text: str) -> str:
    return one_line(text, _LONGEST)


def _place(source: str | None) -> str | None:
    """`logs/1/chat.jsonl line 812`: in a drawing a `#` reads as anything."""
    return None if source is None else one_line(_LINE_NUMBER.sub(r" line \1", source), _PLACE)
