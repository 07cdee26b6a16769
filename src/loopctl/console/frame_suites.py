"""The suites of the live view: how far each is, how it stands, how long it will take. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from loopctl.console.canvas import Canvas, Moment
from loopctl.console.lines import Line, Span, Style, line, table
from loopctl.console.time_left import HARMLESS, left_text, suite_usual, whole
from loopctl.journal.wording import count, seconds
from loopctl.journal.worklog import SuiteRecord, Worklog
from loopctl.model.evidence import CaseStatus, SuiteOutcome


def suite_rows(worklog: Worklog, moment: Moment, canvas: Canvas, room: int) -> list[Line]:
    """A line for each suite, in at most `room` lines: what goes on and what is bad first."""
    suites = list(worklog.last.suites.values()) if worklog.last else []
    hidden = 0
    if len(suites) > room:
        telling = sorted(suites, key=lambda each: _calm(each, moment))[: max(0, room - 1)]
        hidden = len(suites) - len(telling)
        suites = [each for each in suites if each in telling]
    rows = [_row(each, worklog, moment, canvas) for each in suites]
    width = canvas.width
    limits = [max(10, width // 3), width] if canvas.is_narrow else [width // 3, 4, width, width]
    lines = table(rows, limits, canvas.marks.cut)
    if hidden and room > 0:
        lines.append(line(_more(worklog, suites, hidden), Style.DIM))
    return lines


def _more(worklog: Worklog, shown: Sequence[SuiteRecord], hidden: int) -> str:
    """How many are not shown, and how those stand."""
    assert worklog.last is not None
    names = {each.facts.id for each in shown}
    others = [suite for name, suite in worklog.last.suites.items() if name not in names]
    words = Counter(_word(each) for each in others)
    how = ", ".join(f"{number} {word}" for word, number in words.items())
    return f"  and {count(hidden, 'more suite')}: {how}"


def _word(suite: SuiteRecord) -> str:
    if suite.judgement is not None:
        return suite.judgement.outcome.value
    return "waiting" if suite.started_at is None else "going on"


def _calm(suite: SuiteRecord, moment: Moment) -> int:
    """The least first: what goes on, what is bad, what comes, what is over."""
    if suite.facts.id in moment.suites_s or suite.facts.id in moment.again:
        return 0
    if is_bad(suite):
        return 1
    return 3 if suite.judgement is not None else 2


def is_bad(suite: SuiteRecord) -> bool:
    """Whether something of it did not go well."""
    judged = suite.judgement
    if judged is not None:
        return judged.outcome is not SuiteOutcome.PASSED
    return any(case.status not in HARMLESS for case in suite.cases)


def _row(suite: SuiteRecord, worklog: Worklog, moment: Moment, canvas: Canvas) -> Sequence[Line]:
    name = line(canvas.shown(suite.facts.id, 60))
    standing = _standing(suite, worklog, moment, canvas)
    if canvas.is_narrow:
        return (name, standing)
    return (
        name,
        line(canvas.shown(suite.facts.priority, 4), Style.DIM),
        _bar(suite, canvas),
        standing,
    )


def _bar(suite: SuiteRecord, canvas: Canvas) -> Line:
    length = 24 if canvas.is_wide else 12
    total = max(suite.collected or 0, len(suite.cases), 1)
    full = length * len(suite.cases) // total
    style = Style.RED if is_bad(suite) else Style.GREEN
    return (
        Span(canvas.marks.full * full, style),
        Span(canvas.marks.empty * (length - full), Style.DIM),
    )


def _standing(suite: SuiteRecord, worklog: Worklog, moment: Moment, canvas: Canvas) -> Line:
    if suite.judgement is not None and suite.judgement.outcome is SuiteOutcome.NOT_RUN:
        return line("not run", Style.DOUBT)
    expected = "?" if suite.collected is None else str(suite.collected)
    counted = [Span(f"{len(suite.cases)}/{expected}")]
    judged = suite.judgement
    counts = Counter(case.status for case in suite.cases)
    all_well = judged is not None and judged.outcome is SuiteOutcome.PASSED
    for status in sorted(counts, key=_worst_first if canvas.is_narrow else _as_listed):
        # Of a suite that has passed whole, its outcome says that.
        only_passed = counts[status] == len(suite.cases) and status is CaseStatus.PASSED
        if not (only_passed and (all_well or canvas.is_narrow)):
            style = Style.PLAIN if status in HARMLESS else Style.BAD
            counted.append(Span(f" {counts[status]} {status.value}", style))
    if judged is not None:
        style = Style.GOOD if all_well else Style.BAD
        arrow = "" if all_well or canvas.is_narrow else f"{canvas.marks.leads} "
        outcome = Span(f"{arrow}{judged.outcome.value}", style)
        # What is cut off at the end of a narrow line must not be the outcome.
        at = 0 if canvas.is_narrow else len(counted)
        counted[at:at] = [outcome, Span(" ")] if canvas.is_narrow else [Span(" "), outcome]
    return (*counted, *_course(suite, worklog, moment, canvas))


_LISTED = tuple(CaseStatus)


def _as_listed(status: CaseStatus) -> int:
    return _LISTED.index(status)


def _worst_first(status: CaseStatus) -> tuple[bool, int]:
    return status in HARMLESS, _LISTED.index(status)


def _course(suite: SuiteRecord, worklog: Worklog, moment: Moment, canvas: Canvas) -> list[Span]:
    """Lowest grade so far, time so far and left, or how long it took."""
    between, name = canvas.marks.between, suite.facts.id
    grades = [c.grade for c in suite.cases if c.status is CaseStatus.PASSED and c.grade is not None]
    said: list[Span] = []
    if grades:
        least = min(grades, key=lambda grade: grade.rank)
        word = least.value if canvas.is_narrow else f"lowest {least.value}"
        said.append(Span(between + word, Style.DIM))
    if suite.judgement is not None:
        if suite.end is not None:
            said.append(Span(between + seconds(suite.judgement.duration_s), Style.DIM))
        return said
    if again := moment.again.get(name):
        # What is usual is the time of its first run alone.
        return [*said, Span(f"{between}{canvas.marks.running} {again}", Style.NOW)]
    spent = moment.suites_s.get(name)
    if spent is not None:
        left = left_text(suite_usual(worklog, name), spent)
        said.append(Span(between + (left or whole(spent)), Style.NOW))
    return said
