"""Jinja's side of the page: templates, filters, and the policy that lets only its own parts act.

Jinja escapes every text; the filter `line` makes it inert and bounded before that. Drawings are
the only markup that is put in as it is, and escape their texts themselves.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Final
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from loopctl.evidence.criteria import measured
from loopctl.inert import for_terminal, one_line
from loopctl.journal.causes import Cause
from loopctl.journal.known_issue import issue_name, seen_text
from loopctl.journal.wording import clock, count, iso, seconds, short, utc
from loopctl.journal.worklog import CycleRecord
from loopctl.reports.facts import why_status
from loopctl.reports.story import novel_sources
from loopctl.reports.why_graph import why_graph
from loopctl.reports.why_svg import why_svg

PLACE_OF_TESTS: Final = "<!-- tests -->"
"""Where the list of tests goes: nothing of others stands in the page with a bare `<`."""


def rendered(part: str, facts: Mapping[str, object]) -> str:
    """A part of the page; `page` is the whole document but for its list of tests."""
    return _environment().get_template(f"page/{part}.html.j2").render(facts)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("loopctl.reports", "templates"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style, script = _own("page.css"), _own("page.js")
    environment.filters.update(_FILTERS)
    environment.globals.update(_FUNCTIONS)
    environment.globals.update(
        style=Markup(style),  # noqa: S704 - a file of ours
        script=Markup(script),  # noqa: S704 - a file of ours
        place_of_tests=Markup(PLACE_OF_TESTS),  # noqa: S704 - ours
        policy=_policy(style, script),
    )
    return environment


def _own(name: str) -> str:
    return (files("loopctl.reports") / "templates" / "page" / name).read_text("utf-8")


def _policy(style: str, script: str) -> str:
    """Nothing is loaded, and of what stands in the page only these two parts act."""
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)};"
        " base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _line(text: object, limit: int = 400) -> str:
    return one_line(str(text), limit)


def _verbatim(text: str, limit: int = 300) -> str:
    """One line with its spaces: a traceback is read by its indentation."""
    cut = len(text) - limit
    return for_terminal(text[:limit]) + (f"… (+{count(cut, 'character')})" if cut > 0 else "")


def _block(text: str, lines: int = 24, chars: int = 3000) -> str:
    """The end of an output, which says what went wrong, and how much stands before it."""
    kept = text[-chars:].removesuffix("\n").split("\n")[-lines:]
    shown = for_terminal("\n".join(kept), keep_newlines=True)
    before = len(text.rstrip("\n")) - len("\n".join(kept))
    return f"… {count(before, 'character')} before this\n{shown}" if before > 0 else shown


def _drawing(cause: Cause, cycle: CycleRecord, number: int) -> Markup:
    return Markup(why_svg(why_graph(cause, cycle), f"why-{number}"))  # noqa: S704 - escaped there


def _web_address(link: str) -> str | None:
    """The link where a browser may follow it: nothing but https, with a host."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return None
    shown = one_line(link, 2000)
    return link if parts.scheme == "https" and parts.netloc and shown == link else None


_FILTERS: Mapping[str, object] = {
    "block": _block,
    "clock": clock,
    "iso": iso,
    "line": _line,
    "seconds": seconds,
    "short": short,
    "utc": utc,
    "verbatim": _verbatim,
}

_FUNCTIONS: Mapping[str, object] = {
    "count": count,
    "drawing": _drawing,
    "issue_name": issue_name,
    "measured": measured,
    "novel_sources": novel_sources,
    "seen_text": seen_text,
    "web_address": _web_address,
    "why_status": why_status,
}
