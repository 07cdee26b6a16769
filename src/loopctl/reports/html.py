"""`report.html`: one file that a browser shows without a network, and without a script.

Jinja escapes every text; the filter `line` makes it inert and bounded before that. Drawings are
the only markup that is put in as it is, and escape their texts themselves.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from loopctl.inert import one_line
from loopctl.journal.brief import Role, brief
from loopctl.journal.causes import Cause, causes_of
from loopctl.journal.known_issue import issue_name, seen_text
from loopctl.journal.wording import count, seconds, short, utc
from loopctl.journal.worklog import CycleRecord, Worklog
from loopctl.model.events import THE_CAUSE
from loopctl.reports.facts import why_status
from loopctl.reports.not_checked import not_checked, open_questions
from loopctl.reports.story import novel_sources, unquoted_novel
from loopctl.reports.why_graph import why_graph
from loopctl.reports.why_svg import why_svg

_MOST_CAUSES = 20
_MOST_NOVEL = 20
_MOST_ASKED = 200


def report_html(worklog: Worklog, folder: Path | None = None) -> str:
    """The document. `folder` is the run's own, as a person would type it."""
    cycle = worklog.last
    causes = causes_of(cycle.findings) if cycle else ()
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            log=worklog,
            run=worklog.run,
            ended=worklog.ended,
            cycle=cycle,
            brief=brief(worklog, folder),
            commands=(Role.MEND, Role.NEXT, Role.REPORT),
            causes=causes[:_MOST_CAUSES],
            left_out=len(causes) - _MOST_CAUSES,
            novel=unquoted_novel(cycle)[:_MOST_NOVEL] if cycle else (),
            asked=open_questions(worklog)[:_MOST_ASKED],
            not_checked=[n for n in not_checked(worklog) if n.what != THE_CAUSE][:_MOST_ASKED],
        )
    )


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
    environment.filters.update(_FILTERS)
    environment.globals.update(_FUNCTIONS)
    return environment


def _line(text: object, limit: int = 400) -> str:
    return one_line(str(text), limit)


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


_FILTERS: Mapping[str, object] = {"line": _line, "short": short, "seconds": seconds, "utc": utc}

_FUNCTIONS: Mapping[str, object] = {
    "count": count,
    "drawing": _drawing,
    "issue_name": issue_name,
    "novel_sources": novel_sources,
    "seen_text": seen_text,
    "web_address": _web_address,
    "why_status": why_status,
}
