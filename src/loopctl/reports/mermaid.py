"""A graph of whys as Mermaid, for Markdown that GitHub and GitLab render.

Nothing of the text can end a label, begin a directive or become HTML: what Mermaid or HTML gives a
meaning to is written as an entity of Mermaid's (`#35;`). Held against Mermaid's own parser.
"""

from __future__ import annotations

import re
import textwrap
from typing import Final

from loopctl.inert import for_terminal
from loopctl.reports.why_graph import Node, WhyGraph

_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9 _.,:/+=()!?'-]")
# Mermaid takes the last semicolon off a line that reads `style…:…#…;`, `fa:fa-bug` for an icon, and
# an address for a link.
_COLON_ACTS: Final = re.compile(r"(?i)style|classdef|\bfa\w?:|:/")
_WIDTH: Final = 56


def mermaid(graph: WhyGraph) -> str:
    """The diagram, without a fence; it has no backtick and no line of the text's own."""
    lines = ["flowchart TD"]
    for number, node in enumerate(graph.nodes):
        opened, closed = ("([", "])") if node.kind == "symptom" else ("[", "]")
        lines.append(f'  n{number}{opened}"{_label(node)}"{closed}')
    for start, end in graph.edges:
        guessed = "hypothesis" in (graph.nodes[start].status, graph.nodes[end].status)
        lines.append(f"  n{start} {'-.->' if guessed else '-->'} n{end}")
    lines.append("  classDef hypothesis stroke-dasharray: 5 5")
    lines.append("  classDef cause stroke-width: 3px")
    for number, node in enumerate(graph.nodes):
        if node.status == "hypothesis":
            lines.append(f"  class n{number} hypothesis")
        elif node.kind == "cause":
            lines.append(f"  class n{number} cause")
    return "\n".join(lines)


def _label(node: Node) -> str:
    parts = [part for text in (node.head, node.text, node.foot) for part in _wrapped(text)]
    label = "<br/>".join(map(_inert, parts))
    return label.replace(":", "#58;") if _COLON_ACTS.search(label) else label


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(for_terminal(text), _WIDTH, break_on_hyphens=False) or [""]


def _inert(text: str) -> str:
    return _NOT_PLAIN.sub(lambda match: f"#{ord(match[0])};", text)
