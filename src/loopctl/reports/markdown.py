"""`worklog.md`: the run for the engineer on call, verdict first.

Everything is computed from the worklog. Text of others goes through the filters `md`, `code`,
`cell` and `block` and through nothing else; a template prints no such text bare.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from loopctl.evidence.criteria import measured
from loopctl.inert import code_block, code_span, for_markdown, one_line
from loopctl.journal.brief import Role, brief
from loopctl.journal.causes import Cause, beneath_text, causes_of
from loopctl.journal.known_issue import issue_name, known_issue, seen_text
from loopctl.journal.quarantine import not_counted
from loopctl.journal.wording import clock, count, seconds, short, traffic, utc
from loopctl.journal.worklog import CycleRecord, Worklog
from loopctl.model.events import THE_CAUSE
from loopctl.reports.facts import (
    by_priority,
    collected_of,
    control_runs,
    counts_of,
    grades_of,
    lowest,
    outcome_of,
    stage_name,
    why_status,
)
from loopctl.reports.mermaid import mermaid
from loopctl.reports.not_checked import not_checked, open_questions
from loopctl.reports.result import stage_outcome
from loopctl.reports.story import (
    case_evidence,
    cycle_changes,
    failed_cases,
    mendings_of,
    novel_sources,
    timeline,
    unquoted_novel,
)
from loopctl.reports.why_graph import why_graph

VERBATIM = (Role.MEND, Role.NEXT, Role.QUOTE, Role.LOG, Role.REPORT)
"""Lines of the brief that a person copies: no escape may stand in a command, a quote or a path."""


def worklog_markdown(worklog: Worklog, folder: Path | None = None) -> str:
    """The document. `folder` is the run's own, as a person would type it."""
    template = environment().get_template("worklog.md.j2")
    return template.render(
        log=worklog,
        run=worklog.run,
        ended=worklog.ended,
        cycle=worklog.last,
        brief=brief(worklog, folder),
        verbatim=VERBATIM,
        next_commands=Role.NEXT,
        not_checked=not_checked(worklog),
        open_questions=open_questions(worklog),
        the_cause=THE_CAUSE,
    )


@functools.cache
def environment() -> Environment:
    """The templates of Markdown, with the filters that make text of others inert."""
    made = Environment(
        loader=PackageLoader("loopctl.reports", "templates"),
        undefined=StrictUndefined,
        # HTML escaping would be the wrong one for Markdown: the filters make text inert.
        autoescape=False,  # noqa: S701
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(_FILTERS)
    made.globals.update(_FUNCTIONS)
    return made


def _md(text: object, limit: int = 300) -> str:
    return for_markdown(one_line(str(text), limit))


def _code(text: object, limit: int = 200) -> str:
    return code_span(one_line(str(text), limit))


def _cell(text: object, limit: int = 120) -> str:
    """Inline code inside a table."""
    return code_span(one_line(str(text), limit), in_table=True)


def _block(text: str, lines: int = 40, chars: int = 4000) -> str:
    """The end of an output: that is where it says what went wrong."""
    return code_block(text, lines, chars, keep="tail")


def _diagram(cause: Cause, cycle: CycleRecord) -> str:
    """A fence cannot be closed from inside: the diagram has no backtick."""
    return f"```mermaid\n{mermaid(why_graph(cause, cycle))}\n```"


_FILTERS: Mapping[str, object] = {
    "md": _md,
    "code": _code,
    "cell": _cell,
    "block": _block,
    "utc": utc,
    "clock": clock,
    "seconds": seconds,
    "short": short,
    "traffic": traffic,
}

_FUNCTIONS: Mapping[str, object] = {
    "by_priority": by_priority,
    "case_evidence": case_evidence,
    "collected_of": collected_of,
    "control_runs": control_runs,
    "count": count,
    "counts_of": counts_of,
    "cycle_changes": cycle_changes,
    "mendings_of": mendings_of,
    "failed_cases": failed_cases,
    "grades_of": grades_of,
    "lowest": lowest,
    "measured": measured,
    "not_counted": not_counted,
    "novel_sources": novel_sources,
    "outcome_of": outcome_of,
    "stage_name": stage_name,
    "stage_outcome": stage_outcome,
    "timeline": timeline,
    "beneath_text": beneath_text,
    "causes_of": causes_of,
    "diagram": _diagram,
    "issue_name": issue_name,
    "known_issue": known_issue,
    "seen_text": seen_text,
    "unquoted_novel": unquoted_novel,
    "why_status": why_status,
}
