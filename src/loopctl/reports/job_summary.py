"""The summary of a CI job, as Markdown: what `worklog.md` says that cannot wait.

GitHub shows 1 MiB of a step and nothing at all of more, so it is cut by its bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from loopctl.inert import code_span, one_line
from loopctl.journal.brief import brief
from loopctl.journal.causes import causes_of
from loopctl.journal.worklog import CycleRecord, Worklog
from loopctl.reports.facts import by_priority
from loopctl.reports.fitting import Part, fitted
from loopctl.reports.markdown import VERBATIM, environment
from loopctl.reports.not_checked import not_checked
from loopctl.reports.story import failed_cases

LIMIT: Final = 1024 * 1024
"""Bytes of one step. Source: `AttachmentSizeLimit` of actions/runner."""

_DRAWN: Final = 3
_WHOLE: Final = 10
_MADE: Final = 5000
_UNCHECKED: Final = 50


def job_summary(worklog: Worklog, folder: Path, limit: int = LIMIT) -> str:
    """The summary of a run, of at most `limit` bytes of UTF-8; empty where nothing fits.

    `folder` is the run's own, as a person would type it.
    """
    whole = f"All of it is in {code_span(one_line(str(folder / 'worklog.md'), 300))}."
    return fitted(tuple(_parts(worklog, folder)), limit, whole)


def _parts(worklog: Worklog, folder: Path) -> Iterator[Part]:
    macro = _macros()
    screen = macro("screen")(worklog.run, worklog.ended, brief(worklog, folder), VERBATIM)
    yield Part("first screen", (screen,))
    if worklog.last is not None:
        yield from _of_cycle(worklog.last, macro)
    missing = not_checked(worklog)
    yield Part(
        "point that was not checked",
        tuple(macro("missing")(one) for one in missing[:_UNCHECKED]),
        macro("not_checked_head")(len(missing)),
        "\n</details>\n",
        "points that were not checked",
    )


def _of_cycle(cycle: CycleRecord, macro: Callable[[str], Callable[..., str]]) -> Iterator[Part]:
    suites = by_priority(cycle.suites.values())
    rows = tuple(macro("suite")(suite) for suite in suites)
    yield Part("suite", rows, macro("suites_head")())
    rows = tuple(macro("criterion")(one) for one in cycle.criteria)
    yield Part("criterion", rows, macro("criteria_head")(), nouns="criteria")
    stage = cycle.failed_stage
    faults = tuple(macro("fault")(stage, one) for one in stage.faults) if stage else ()
    yield Part("fault", faults, macro("faults_head")())
    causes = enumerate(causes_of(cycle.findings))
    found = tuple(macro("finding")(one, cycle, number < _DRAWN) for number, one in causes)
    yield Part("finding", found, macro("findings_head")())
    failed = failed_cases(cycle)
    made = enumerate(failed[:_MADE])
    cases = tuple(macro("case")(item, number < _WHOLE) for number, item in made)
    yield Part("failed case", cases, macro("cases_head")(len(failed)), of=len(failed))


def _macros() -> Callable[[str], Callable[..., str]]:
    module: Any = environment().get_template("job_summary.md.j2").module

    def macro(name: str) -> Callable[..., str]:
        return lambda *values: str(getattr(module, name)(*values))

    return macro
