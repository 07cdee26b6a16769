"""A cause is drawn as Mermaid and as SVG: both say the same, and no text of others acts in them."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
import worklogs

from loopctl.journal.causes import Cause
from loopctl.journal.worklog import CycleRecord
from loopctl.model.finding import Change, Finding, Quote, Why
from loopctl.reports.mermaid import mermaid
from loopctl.reports.why_graph import WhyGraph, why_graph
from loopctl.reports.why_svg import why_svg, wrapped
from loopctl.triage.changed import with_changes

HOSTILE = (
    '"]; click n0 href "javascript:alert(1)"',
    '%%{init: {"securityLevel": "loose"}}%%',
    "`**bold**` ``` </svg><script>alert(1)</script> <img src=x onerror=y>",
    "style n0 fill:#f00;color:#fff; classDef x fill:#f9f;",
    "end subgraph x #quot; #35; &lt; $$x^2$$ fa:fa-bug http://evil.example",
    "\x1b[31m\u202e\x00\udc80\n---\ntitle: x\n---",
    "\u65e5\u672c\u8a9e" * 300,
    "x" * 10_000,
    "",
)
LABEL = re.compile(r'  n\d+(?:\[|\(\[)"((?:[A-Za-z0-9 _.,:/+=()!?\'-]|#\d+;|<br/>)*)"(?:\]|\]\))')
TAGS = {"svg", "title", "desc", "rect", "text", "path"}


def cycle() -> CycleRecord:
    last = worklogs.red().worklog().last
    assert last is not None
    return last


def drawn(finding: Finding = worklogs.FINDING, *symptoms: Finding) -> WhyGraph:
    return why_graph(Cause(finding, symptoms), cycle())


def hostile(text: str) -> WhyGraph:
    quote = Quote("log", text, text)
    finding = replace(
        worklogs.FINDING,
        title=text,
        signature=text or "a.b",
        service=text,
        evidence=(quote, quote),
        whys=(Why(text, text, "observed", 0), Why(text, text, "hypothesis")),
        cases=(text,),
    )
    return drawn(finding, replace(finding, under=finding.fingerprint))


def test_the_chain_leads_from_what_was_seen_over_each_why_to_the_cause() -> None:
    graph = drawn()
    assert [node.kind for node in graph.nodes] == ["symptom", "why", "cause", "why"]
    assert graph.edges == ((0, 1), (1, 2), (2, 3))
    assert graph.nodes[1].foot == "observed, logs/1/chat.jsonl line 812"
    assert graph.nodes[3].foot == "hypothesis, no captured evidence"


def test_what_changed_since_green_stands_behind_the_cause() -> None:
    commit = Change("commit", "abc", "abc It", "chat", ("chat/live.py",))
    whys = worklogs.FINDING.whys[:1]
    finding = with_changes(replace(worklogs.FINDING, whys=whys), ["chat/live.py:7: E"], [commit])
    kinds = [(node.kind, node.status) for node in drawn(finding).nodes]
    assert kinds[1:] == [
        ("why", "observed"),
        ("cause", "observed"),
        ("why", "observed"),
        ("why", "inferred"),
    ]


def test_symptoms_of_other_services_lead_straight_to_the_cause() -> None:
    symptom = replace(worklogs.FINDING, service="web", cases=("t::a", "t::b"), under="x")
    graph = drawn(worklogs.FINDING, symptom)
    assert graph.edges[-1] == (4, 2)
    assert graph.nodes[4].text.startswith("2 tests did not pass: TypeError")


def test_a_failure_without_a_known_cause_says_so_and_what_may_tell() -> None:
    unknown = replace(worklogs.FINDING, signature=None, title="No known cause", whys=())
    cause = drawn(unknown).nodes[-1]
    assert (cause.head, cause.status) == ("No known cause", "hypothesis")
    assert cause.text.startswith("what may tell: TypeError")


def test_a_guess_is_dashed_in_both_and_what_was_seen_is_not() -> None:
    diagram, svg = mermaid(drawn()), why_svg(drawn(), "why-1")
    assert "n1 --> n2" in diagram
    assert "n2 -.-> n3" in diagram
    assert "class n3 hypothesis" in diagram
    boxes = re.findall(r"<rect [^>]*>", svg)
    assert ["stroke-dasharray" in box for box in boxes] == [False, False, False, True]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_can_end_a_label_of_mermaids_or_begin_anything(text: str) -> None:
    graph = hostile(text)
    lines = mermaid(graph).splitlines()
    labels = [line for line in lines if re.match(r"  n\d+[\[(]", line)]
    assert len(labels) == len(graph.nodes)
    assert all(LABEL.fullmatch(label) for label in labels), labels
    rest = [line for line in lines if line not in labels]
    own = r"flowchart TD|  n\d+ (-->|-\.->) n\d+|  class n\d+ (hypothesis|cause)|  classDef .*"
    assert all(re.fullmatch(own, line) for line in rest)
    assert not any(re.search(r"(?i)style.*:|fa:|:/", line) for line in labels), (
        "Mermaid would act on that"
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_the_svg_is_well_formed_its_own_and_no_wider_than_it_says(text: str) -> None:
    svg = why_svg(hostile(text), "why-1")
    root = ET.fromstring(svg)
    assert {element.tag.rpartition("}")[2] for element in root.iter()} <= TAGS
    assert not [name for element in root.iter() for name in element.attrib if "href" in name]
    width, height = int(root.attrib["width"]), int(root.attrib["height"])
    for box in root.iter("{http://www.w3.org/2000/svg}rect"):
        assert float(box.attrib["x"]) + float(box.attrib["width"]) <= width
        assert float(box.attrib["y"]) + float(box.attrib["height"]) <= height
    assert len(svg) < 100_000


def test_a_screen_reader_is_told_what_the_drawing_shows() -> None:
    root = ET.fromstring(why_svg(drawn(), "why-7"))
    assert root.attrib["role"] == "img"
    title, desc = list(root)[:2]
    assert root.attrib["aria-labelledby"] == f"{title.attrib['id']} {desc.attrib['id']}"
    assert title.text == "Why: A caller uses an argument that is gone"
    assert "ExecutionResult has no argument success (observed" in (desc.text or "")


def test_text_is_wrapped_between_words_and_a_long_word_is_cut() -> None:
    assert wrapped("one six three", 7) == ["one six", "three"]
    assert wrapped("WWWW nn", 7) == ["WWWW", "nn"], "wide letters take more room"
    assert wrapped("x" * 12 + " end", 5) == ["xxxxx", "xxxxx", "xx", "end"]
    assert wrapped("\u65e5\u672c\u8a9e", 4) == ["\u65e5\u672c", "\u8a9e"]
    assert wrapped("", 5) == [""]
