"""`diff` for a person: one line a part, the most telling first, and a few names below it. Inert."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loopctl.inert import one_line
from loopctl.journal.wording import count, seconds, short
from loopctl.ports.source import CommitLine
from loopctl.reports.compared import (
    CaseChange,
    Changed,
    Comparison,
    CriterionChange,
    DurationChange,
    FindingLine,
    RunFacts,
    SuiteChange,
    TemplateLine,
)

MOST_LINES = 40
"""A first screen: parts name less of what they have, the more parts there are."""

_NAMED = (5, 3, 2, 1, 0)
_ALL = 200
_NAME = 160
_INDENT = "    "


def compared_lines(compared: Comparison, *, verbose: bool = False) -> tuple[str, ...]:
    """Two lines name the runs, one says whether they differ, then each part that does.

    At most `MOST_LINES`, or with `verbose` 200 names of each part.
    """
    counting = ", ".join(_PARTS[part] for part in compared.counting)
    said = f"DIFFERS: in {counting}" if counting else "SAME: in all that counts"
    first = (f"A: {_run(compared.a)}", f"B: {_run(compared.b)}", said)
    if verbose:
        return (*first, *_parts(compared, _ALL))
    fitting = (
        lines for most in _NAMED if len(lines := (*first, *_parts(compared, most))) <= MOST_LINES
    )
    return next(fitting, (*first, *_parts(compared, 0))[:MOST_LINES])


def _parts(compared: Comparison, most: int) -> Iterator[str]:
    yield from _first(compared, most)
    yield from _later(compared, most)


_PARTS = {
    "ended": "how it ended",
    "serving": "who serves",
    "cases": "cases",
    "findings": "findings",
    "commits": "commits",
    "made_of": "what it was made of",
    "configuration": "configuration",
    "suites": "suites",
    "criteria": "criteria",
}


def _run(facts: RunFacts) -> str:
    verdict = facts.verdict or "no verdict"
    partial = ", PARTIAL" if facts.partial else ""
    commit = f", commit {short(facts.commit)}" if facts.commit else ""
    dirty = " (dirty)" if facts.dirty else ""
    where = f"{one_line(facts.loop, 80)} on {one_line(facts.environment, 60)}"
    run = one_line(facts.run_id, _NAME)
    return f"{run}  {verdict}{partial}, {where}, {seconds(facts.duration_s)}{commit}{dirty}"


def _first(compared: Comparison, most: int) -> Iterator[str]:
    if (before := _verdict(compared.a)) != (after := _verdict(compared.b)):
        yield f"VERDICT: {_arrow(before, after)}"
    for changed in compared.ended:
        if changed.what not in _IN_VERDICT:
            yield f"{changed.what.upper()}: {_arrow(changed.before, changed.after)}"
    serving = [f"{one_line(c.what, 80)}: {_arrow(c.before, c.after)}" for c in compared.serving]
    yield from _part("SERVING", serving, most)
    cases = compared.cases
    yield from _cases("NEWLY FAILING", cases.failing, most)
    yield from _cases("STILL FAILING", cases.still_failing, most)
    yield from _cases("FLAKY", cases.flaky, most)
    yield from _cases("NOT RUN", cases.not_run, most)
    yield from _cases("FIXED", cases.fixed, most)
    yield from _cases("NO LONGER FLAKY", cases.no_longer_flaky, most)
    yield from _cases("NOW SKIPPED", cases.skipped, most)
    yield from _cases("NO LONGER SKIPPED", cases.run_again, most)
    yield from _cases("REMOVED", cases.removed, most)
    yield from _cases("ADDED", cases.added, most)
    yield from _cases("OTHER GRADE", cases.grades, most)
    for label, found in (
        ("NEW FINDINGS", compared.findings.new),
        ("FINDINGS GONE", compared.findings.gone),
        ("SAME FINDINGS", compared.findings.same),
    ):
        yield from _part(label, [_finding(each) for each in found], most)


_IN_VERDICT = ("verdict", "exit code", "stop reason")


def _verdict(facts: RunFacts) -> str:
    if facts.verdict is None:
        return "no verdict: it goes on, or was killed"
    return f"{facts.verdict}, exit code {facts.exit_code} ({facts.stop_reason})"


def _later(compared: Comparison, most: int) -> Iterator[str]:
    commits = compared.commits
    yield from _part("COMMITS ONLY IN B", [_commit(each) for each in commits.only_b], most)
    yield from _part("COMMITS ONLY IN A", [_commit(each) for each in commits.only_a], most)
    yield from _part("MADE OF", [_changed(each) for each in compared.made_of], most)
    yield from _configuration(compared, most)
    suites = [_suite(each) for each in compared.suites if each.counts]
    yield from _part("SUITES", suites, most)
    criteria = [_criterion(c) for c in compared.criteria if c.counts or not c.noise]
    yield from _part("CRITERIA", criteria, most)
    durations = [_duration(each) for each in compared.durations if not each.noise]
    yield from _part("DURATIONS", durations, most)
    logs = compared.logs
    yield from _part("NEW IN THE LOG", [_template(each) for each in logs.new or ()], most)
    yield from _part("GONE FROM THE LOG", [_template(each) for each in logs.gone or ()], most)
    unknown = {
        "commits": commits.unknown,
        "values of the configuration": compared.configuration.unknown,
        "logs": logs.why,
    }
    for what, why in unknown.items():
        if why is not None:
            yield f"NOT KNOWN: {what}: {one_line(why, 300)}"


def _configuration(compared: Comparison, most: int) -> Iterator[str]:
    changes = compared.configuration
    told = {
        "another value": changes.values,
        "added": changes.added,
        "removed": changes.removed,
        "loop file differs": changes.files,
        "files of the suite differ": changes.suite_files,
    }
    named = [f"{one_line(name, _NAME)}: {how}" for how, names in told.items() for name in names]
    yield from _part("CONFIGURATION", named, most)


def _cases(label: str, cases: Sequence[CaseChange], most: int) -> Iterator[str]:
    yield from _part(label, [_case(each) for each in cases], most)


def _part(label: str, told: Sequence[str], most: int) -> Iterator[str]:
    """A line that counts; what there is below it, and how much more."""
    if not told:
        return
    yield f"{label}: {len(told)}"
    yield from (f"{_INDENT}{each}" for each in told[:most])
    if len(told) > most > 0:
        yield f"{_INDENT}… and {len(told) - most} more"


def _case(case: CaseChange) -> str:
    said = f": {one_line(case.message, 120)}" if case.message else ""
    return f"{one_line(case.case, _NAME)}  {_arrow(case.before, case.after)}{said}"


def _finding(finding: FindingLine) -> str:
    whose = f"{one_line(finding.service, 60)}: " if finding.service else ""
    known = f" ({one_line(finding.signature, 80)})" if finding.signature else ""
    return f"{whose}{one_line(finding.title, _NAME)}{known}"


def _commit(commit: CommitLine) -> str:
    return f"{short(commit.commit)} {one_line(commit.subject, 120)}"


def _changed(changed: Changed) -> str:
    before, after = (short(each) if each else None for each in (changed.before, changed.after))
    name = one_line(changed.what, 100)
    if name.startswith("revision of"):
        before, after = changed.before, changed.after
    # A cut digest hides what stands behind it.
    dirty = " (dirty)" if (changed.after or "").endswith("(dirty)") else ""
    return f"{name}: {_arrow(before, after)}{dirty}"


def _suite(suite: SuiteChange) -> str:
    before, after = (
        None if outcome is None else f"{outcome}, {_counts(cases)}{', ' + grade if grade else ''}"
        for outcome, cases, grade in zip(suite.outcome, suite.cases, suite.grade, strict=True)
    )
    return f"{one_line(suite.suite, 80)}: {_arrow(before, after)}"


def _counts(cases: dict[str, int]) -> str:
    others = (f", {n} {status}" for status, n in cases.items() if status not in _PASSED)
    return f"{cases.get('passed', 0)}/{cases.get('collected', 0)} passed{''.join(others)}"


_PASSED = ("collected", "passed")


def _criterion(criterion: CriterionChange) -> str:
    before, after = (
        None if limit is None else f"{shown} ({_MET[met]}, {one_line(limit, 40)})"
        for limit, shown, met in zip(criterion.limit, criterion.shown, criterion.met, strict=True)
    )
    return f"{one_line(criterion.metric, 80)}: {_arrow(before, after)}"


_MET = {True: "met", False: "missed", None: "too few samples"}


def _duration(duration: DurationChange) -> str:
    before, after = duration.before_s, duration.after_s
    assert before is not None
    assert after is not None
    moved = f"{'+' if after > before else '−'}{seconds(abs(after - before))}"
    told = f"{seconds(before)} → {seconds(after)} ({moved})"
    return f"{one_line(duration.what, 80)}: {told}"


def _template(line: TemplateLine) -> str:
    whose = f"{one_line(line.service, 60)}: " if line.service else ""
    return f"{whose}{one_line(line.quote or line.template, _NAME)}  ({count(line.count, 'time')})"


def _arrow(before: str | None, after: str | None) -> str:
    return f"{_or_none(before)} → {_or_none(after)}"


def _or_none(value: str | None) -> str:
    return "none" if value is None else one_line(value, 200)
