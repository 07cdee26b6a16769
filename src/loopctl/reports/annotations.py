"""What a CI system shows beside the code and above the log: the worst ten of a run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from loopctl.errors import LoopctlError, ManyProblems, Problem
from loopctl.inert import one_line
from loopctl.journal.brief import Role, brief
from loopctl.journal.causes import Cause, causes_of
from loopctl.journal.quarantine import not_counted
from loopctl.journal.wording import count
from loopctl.journal.worklog import CycleRecord, SuiteRecord, Worklog
from loopctl.model.evidence import CaseStatus, GradedCase, SuiteOutcome
from loopctl.model.finding import Finding, ProposedRemedy
from loopctl.model.state import Verdict
from loopctl.reports.checkout import Checkout, Place
from loopctl.reports.facts import by_priority, outcome_of
from loopctl.reports.story import FailedCase, failed_cases

MOST: Final = 10
"""GitHub shows so many of a step and drops the others."""

_TITLE: Final = 120
_MESSAGE: Final = 600
_QUOTES: Final = 2
_DIGITS: Final = re.compile(r"\d+")

Level = Literal["error", "warning"]

_FAILURES: Final = frozenset(
    {Verdict.RED, Verdict.UNDELIVERED, Verdict.PREFLIGHT, Verdict.INTERNAL}
)


@dataclass(frozen=True, slots=True)
class Annotation:
    """One thing to look at. Its texts are not inert; `message` may have several lines."""

    level: Level
    title: str
    message: str
    place: Place | None = None


def annotations_of(worklog: Worklog, checkout: Checkout | None) -> tuple[Annotation, ...]:
    """The worst ten of a run that has ended, causes before the cases that fail by them.

    Errors where it failed; warnings for what is flaky, tolerated or not proven. None for a green
    run that had nothing of these.
    """
    cycle = worklog.last
    found: list[Annotation] = []
    if cycle is not None:
        where = _Where(checkout, Path(worklog.run.root))
        found = [*_causes(worklog, cycle, where), *_cases(worklog, cycle, where), *_suites(cycle)]
    if not found and not _is_green(worklog):
        found = [_the_end(worklog)]
    return _worst(found)


def annotations_of_error(error: LoopctlError, checkout: Checkout | None) -> tuple[Annotation, ...]:
    """What kept a command from doing anything, each problem at its place in the loop file."""
    problems: Sequence[Problem] = (Problem(error.what, where=error.where, hint=error.hint),)
    if isinstance(error, ManyProblems):
        problems = error.problems
    return _worst([_problem(problem, checkout) for problem in problems])


def _worst(found: Sequence[Annotation]) -> tuple[Annotation, ...]:
    ranked = sorted(found, key=lambda annotation: annotation.level != "error")
    more = len(ranked) - MOST
    if more <= 0:
        return tuple(ranked)
    last = ranked[MOST - 1]
    told = replace(last, message=f"{last.message}\n(and {more} more like these in the report)")
    return (*ranked[: MOST - 1], told)


def _problem(problem: Problem, checkout: Checkout | None) -> Annotation:
    place = checkout.place(problem.where, Path.cwd()) if checkout and problem.where else None
    where = f"{problem.where}: " if problem.where and place is None else ""
    message = "\n".join(filter(None, (f"{where}{problem.message}", _hint(problem.hint))))
    return Annotation("error", "loopctl", message, place)


def _hint(hint: str | None) -> str:
    return f"To do: {one_line(hint, _MESSAGE)}" if hint else ""


@dataclass(frozen=True, slots=True)
class _Where:
    checkout: Checkout | None
    root: Path

    def of_case(self, suite: SuiteRecord, case: GradedCase) -> Place | None:
        """Where it failed, else the file that it is in."""
        if self.checkout is None:
            return None
        bases = (self.root / (suite.facts.cwd or ""), self.root)
        named = (case.where, case.id.partition("::")[0] if "::" in case.id else None)
        places = (self.checkout.place(name, *bases) for name in named if name)
        return next((place for place in places if place), None)

    def of_finding(self, finding: Finding) -> Place | None:
        if self.checkout is None:
            return None
        places = (self.checkout.place(quote.source, self.root) for quote in finding.evidence)
        return next((place for place in places if place and place.line), None)


def _is_green(worklog: Worklog) -> bool:
    return worklog.ended is not None and worklog.ended.verdict is Verdict.GREEN


def _level(worklog: Worklog) -> Level:
    failed = worklog.ended is not None and worklog.ended.verdict in _FAILURES
    return "error" if failed else "warning"


def _causes(worklog: Worklog, cycle: CycleRecord, where: _Where) -> Iterator[Annotation]:
    for cause in causes_of(cycle.findings):
        finding = cause.finding
        # What is not known of these the cases say themselves, each at its line.
        if finding.not_evidence or (finding.signature is None and cause.cases):
            continue
        service = f"{one_line(finding.service, 63)}: " if finding.service else ""
        title = service + one_line(finding.title, _TITLE)
        yield Annotation(_level(worklog), title, _cause_text(cause), where.of_finding(finding))


def _cause_text(cause: Cause) -> str:
    finding = cause.finding
    quotes = [
        f'"{one_line(quote.quote, _MESSAGE)}" at {one_line(quote.source, 200)}'
        for quote in finding.evidence[:_QUOTES]
    ]
    name = one_line(finding.signature or "", 80)
    known = f"{name}, confidence {finding.confidence:.2f}" if name else ""
    cases = f"{count(len(cause.cases), 'test')} fail by it" if cause.cases else ""
    remedy = finding.remedy
    advice = _hint(_advice(remedy)) if remedy else ""
    return "\n".join(filter(None, (*quotes, known or "no known cause", cases, advice)))


def _advice(remedy: ProposedRemedy) -> str:
    parts = (remedy.action if remedy.action != "person" else "", remedy.detail)
    return ": ".join(filter(None, parts))


def _cases(worklog: Worklog, cycle: CycleRecord, where: _Where) -> Iterator[Annotation]:
    excused = {id(each.case) for each in not_counted(by_priority(cycle.suites.values()))}
    groups: dict[tuple[Level, tuple[str, ...]], list[FailedCase]] = {}
    for failed in failed_cases(cycle):
        mild = failed.case.status is CaseStatus.FLAKY or id(failed.case) in excused
        level: Level = "warning" if mild else _level(worklog)
        groups.setdefault((level, _likeness(failed)), []).append(failed)
    for (level, _), alike in groups.items():
        yield _case(alike, level, where)


def _likeness(failed: FailedCase) -> tuple[str, ...]:
    """The same for cases that failed alike: there is room for ten different ones."""
    case = failed.case
    said = _DIGITS.sub("0", one_line(case.message or "", _TITLE))
    return failed.suite.facts.id, case.status.value, case.where or "", said


def _case(alike: Sequence[FailedCase], level: Level, where: _Where) -> Annotation:
    case, facts = alike[0].case, alike[0].suite.facts
    more = f", and {len(alike) - 1} alike" if len(alike) > 1 else ""
    title = f"{case.status.value}: {one_line(case.id, _TITLE)}{more}"
    at = f"at {one_line(case.where, 200)}" if case.where else ""
    suite = f"suite {one_line(facts.id, 80)} ({one_line(facts.priority, 10)})"
    message = one_line(case.message or case.status.value, _MESSAGE)
    text = "\n".join(filter(None, (message, at, suite)))
    return Annotation(level, title, text, where.of_case(alike[0].suite, case))


def _suites(cycle: CycleRecord) -> Iterator[Annotation]:
    """Suites in which no case failed, and which prove too little all the same."""
    for suite in by_priority(cycle.suites.values()):
        if outcome_of(suite) is SuiteOutcome.UNPROVEN and suite.judgement:
            title = f"unproven: suite {one_line(suite.facts.id, 80)}"
            reasons = one_line("; ".join(suite.judgement.reasons), _MESSAGE)
            yield Annotation("warning", title, reasons or "it proves too little")


def _the_end(worklog: Worklog) -> Annotation:
    """Nothing in particular is at fault: what the first screen says."""
    told = brief(worklog)
    texts = [text for role in (Role.VERDICT, Role.FAILED, Role.CAUSE) for text in told.of(role)]
    verdict = worklog.ended.verdict.value if worklog.ended else "not ended"
    return Annotation(_level(worklog), f"loopctl: {verdict}", "\n".join(texts))
