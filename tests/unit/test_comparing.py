"""Two runs beside each other: what differs, what of it counts, and what cannot be told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import worklogs
from worklogs import FAILING, FINDING, NEW, OLD, PASSES, Script, case

from loopctl.journal.worklog import Worklog
from loopctl.model.baseline import Baseline, Seen
from loopctl.model.events import CriteriaJudged, FindingMade, ImageBuilt, NovelLine
from loopctl.model.evidence import (
    CaseStatus,
    CriterionJudgement,
    Grade,
    GradedCase,
    SuiteOutcome,
)
from loopctl.model.finding import Finding
from loopctl.model.state import OutcomeKind, State, StopReason, Verdict
from loopctl.ports.history import RunRecord
from loopctl.ports.source import CommitLine
from loopctl.reports.compared import CaseChange, Commits, Comparison
from loopctl.reports.compared_document import compared_document
from loopctl.reports.compared_text import MOST_LINES, compared_lines
from loopctl.reports.comparing import Around, Side, compare
from loopctl.triage.templates import VERSION


def between(a: Worklog, b: Worklog, around: Around | None = None) -> Comparison:
    return compare(Side(a), Side(b), around or Around(one_key=True))


def run_of(*cases: GradedCase) -> Worklog:
    script = Script().until_health({OLD: 100}).healthy()
    script.verify(cases, SuiteOutcome.PASSED)
    serving = worklogs.left(NEW, verified=True, changed=True)
    return script.ended(Verdict.GREEN, 0, StopReason.GREEN, left=serving).worklog()


def names(changes: Sequence[CaseChange]) -> list[str]:
    return [each.case.rpartition("::")[2] for each in changes]


def test_a_run_is_the_same_as_itself_and_as_one_that_only_has_another_name() -> None:
    one = worklogs.green().worklog()
    other = Script(replace(worklogs.RUN, run_id="20250911-203000-golden-path-9z9z", pid=1))
    other.events += worklogs.green().events[1:]
    compared = between(one, replace(other.worklog(), ran_s=99.0))
    assert (compared.differs, compared.counting) == (False, ())
    assert compared_lines(compared)[2:] == (
        "SAME: in all that counts",
        "NOT KNOWN: logs: neither run has kept what its logs were like",
    )


def test_the_most_telling_comes_first() -> None:
    compared = between(worklogs.green().worklog(), worklogs.red().worklog())
    assert compared.counting == ("ended", "cases", "findings", "suites")
    lines = compared_lines(compared)
    labels = [line.partition(":")[0] for line in lines if not line.startswith(" ")]
    assert labels[2:8] == [
        "DIFFERS",
        "VERDICT",
        "SERVING",
        "NEWLY FAILING",
        "REMOVED",
        "ADDED",
    ]
    assert "VERDICT: green, exit code 0 (green) → red, exit code 1 (needs-human)" in lines
    assert any(FINDING.title in line for line in lines)


def test_each_case_stands_where_it_belongs() -> None:
    failed, flaky = CaseStatus.FAILED, CaseStatus.FLAKY
    skipped, broken = CaseStatus.SKIPPED, CaseStatus.BROKEN
    before = run_of(
        case("mended", failed),
        case("still", failed),
        case("breaks"),
        case("wavers"),
        case("settles", flaky),
        case("weaker"),
        case("silenced"),
        case("heard", skipped),
        case("gone"),
    )
    after = run_of(
        case("mended"),
        case("still", broken),
        case("breaks", failed),
        case("wavers", flaky),
        case("settles"),
        case("weaker", grade=Grade.OBSERVED),
        case("silenced", skipped),
        case("heard"),
        case("fresh"),
        case("fresh_and_bad", failed),
    )
    cases = between(before, after).cases
    assert names(cases.fixed) == ["mended"]
    assert names(cases.still_failing) == ["still"]
    assert names(cases.failing) == ["breaks", "fresh_and_bad"]
    assert names(cases.flaky) == ["wavers"]
    assert names(cases.no_longer_flaky) == ["settles"]
    assert names(cases.grades) == ["weaker"]
    assert names(cases.skipped) == ["silenced"]
    assert names(cases.run_again) == ["heard"]
    assert names(cases.added) == ["fresh", "fresh_and_bad"]
    assert names(cases.removed) == ["gone"]
    assert cases.failing[0].message == "it failed"


def test_what_fails_as_it_did_before_is_told_and_does_not_count() -> None:
    compared = between(run_of(FAILING), run_of(FAILING))
    assert names(compared.cases.still_failing) == ["test_answer"]
    assert not compared.differs


def test_a_suite_that_came_to_no_end_has_lost_no_case() -> None:
    compared = between(run_of(*PASSES), worklogs.undelivered({OLD: 100}).worklog())
    assert not compared.cases.removed
    assert len(compared.cases.not_run) == len(PASSES)
    assert not between(worklogs.undelivered({OLD: 100}).worklog(), run_of(*PASSES)).cases.added


def test_findings_are_the_same_by_fingerprint() -> None:
    other = replace(FINDING, fingerprint="v1|other", title="Another")
    compared = between(worklogs.red().worklog(), _diagnosed(replace(FINDING, title="said"), other))
    assert [f.title for f in compared.findings.same] == ["said"]
    assert [f.title for f in compared.findings.new] == ["Another"]
    back = between(_diagnosed(FINDING, other), worklogs.red().worklog())
    assert [f.title for f in back.findings.gone] == ["Another"]


def _diagnosed(*findings: Finding) -> Worklog:
    script = Script().until_health({OLD: 100}).healthy()
    script.stage(
        State.DIAGNOSE,
        OutcomeKind.OK,
        inside=[(FindingMade(each), "chat", None) for each in findings],
    )
    return script.ended(Verdict.RED, 1, StopReason.NEEDS_HUMAN).worklog()


def given(values: dict[str, str], files: dict[str, str] | None = None) -> Worklog:
    run = replace(worklogs.RUN, given=values, files=files or {})
    return Script(run).stage(State.PREFLIGHT).worklog()


def test_configuration_is_told_by_name_and_never_by_value() -> None:
    before = given({"A of chat": "11", "B of chat": "22", "C of chat": "33"}, {"loops/x": "1"})
    after = given({"A of chat": "11", "B of chat": "99", "D of chat": "44"}, {"loops/x": "2"})
    changes = between(before, after, Around()).configuration
    assert (changes.values, changes.added, changes.removed, changes.files) == (
        ("B of chat",),
        ("D of chat",),
        ("C of chat",),
        ("loops/x",),
    ), "that A has one hash in both shows that there is one key"
    assert changes.unknown is None
    text = "\n".join(compared_lines(between(before, after)))
    assert not any(value in text for value in ("11", "22", "33", "44", "99"))


def test_values_hashed_under_two_keys_are_not_compared() -> None:
    before, after = given({"A of chat": "11"}), given({"A of chat": "77", "B of chat": "88"})
    changes = between(before, after, Around(one_key=False)).configuration
    assert (changes.values, changes.added) == ((), ("B of chat",))
    assert changes.unknown is not None
    assert between(before, after, Around(one_key=True)).configuration.values == ("A of chat",)
    shared = [
        RunRecord("r", "l", "e", worklogs.BEGAN, configuration=c, hashed_by="k")
        for c in ({"A of chat": "1"}, {"A of chat": "2"})
    ]
    by_record = compare(Side(before, shared[0]), Side(after, shared[1]), Around())
    assert by_record.configuration.values == ("A of chat",)


def test_a_duration_is_told_only_where_it_is_no_noise() -> None:
    short, long = worklogs.green().worklog(), worklogs.green()
    slower = replace(
        long.worklog(),
        ended=replace(long.worklog().ended, duration_s=40.0),  # type: ignore[type-var]
    )
    told = {d.what: d for d in between(short, slower).durations}
    assert told["stage build"].noise
    assert not told["run"].noise
    assert any(line.startswith("DURATIONS") for line in compared_lines(between(short, slower)))
    usual = Around(one_key=True, usual={"run": (5.0, 60.0)})
    assert all(d.noise for d in between(short, slower, usual).durations)


def _judged(value: float, met: bool | None, limit: str = "2s") -> Worklog:
    judged = CriterionJudgement("http.p95", "<=", limit, value, 20, 10, met)
    script = Script().until_health({OLD: 100}).healthy()
    script.stage(State.VERIFY, inside=[(CriteriaJudged((judged,)), None, None)])
    return script.worklog()


def test_a_criterion_counts_when_it_is_met_otherwise_or_asks_otherwise() -> None:
    assert between(_judged(0.08, met=True), _judged(2.5, met=False)).counting == ("criteria",)
    assert between(_judged(0.08, met=True), _judged(0.5, met=True)).counting == ()
    assert between(_judged(0.08, met=True), _judged(0.08, met=True, limit="1s")).differs
    slower = between(_judged(0.08, met=True), _judged(0.5, met=True))
    assert any("http.p95" in line for line in compared_lines(slower)), "told, though it is met"


def test_a_rebuilt_image_of_the_same_source_does_not_count() -> None:
    green = worklogs.green()
    events = list(green.events)
    for number, event in enumerate(events):
        if isinstance(event.payload, ImageBuilt):
            rebuilt = replace(event.payload.artifact, digest="sha256:" + "e" * 64)
            events[number] = replace(event, payload=replace(event.payload, artifact=rebuilt))
    other = Script()
    other.events = events
    compared = between(green.worklog(), other.worklog())
    assert [each.what for each in compared.made_of] == ["image of chat"]
    assert not compared.differs


def test_commits_of_either_run_alone_are_told_both_ways() -> None:
    commits = Commits(only_b=(CommitLine("a" * 40, "mend"),), only_a=(CommitLine("b" * 40, "x"),))
    green = worklogs.green().worklog()
    lines = compared_lines(between(green, green, Around(commits=commits, one_key=True)))
    assert "    aaaaaaaaaaaa mend" in lines
    assert "COMMITS ONLY IN A: 1" in lines


def _templates(*lines: str) -> RunRecord:
    seen = {line: Seen(3, NEW) for line in lines}
    green = Baseline({"chat": seen}, {"chat": 3 * len(lines)}, version=VERSION)
    return RunRecord("r", "l", "e", worklogs.BEGAN, "green", green=green)


def test_green_runs_tell_new_and_gone_lines_and_others_the_new_ones() -> None:
    green, red = worklogs.green().worklog(), Script().until_health({OLD: 100})
    lines = [NovelLine(t, 2, t, "logs/1/chat.jsonl#1", baseline=True) for t in ("worse", "known")]
    red.stage(State.DIAGNOSE, inside=[(line, "chat", None) for line in lines])
    was, now = _templates("known", "old"), _templates("known", "fresh")
    both = compare(Side(green, was), Side(green, now), Around()).logs
    assert [[line.template for line in each or ()] for each in (both.new, both.gone)] == [
        ["fresh"],
        ["old"],
    ]
    one = compare(Side(green, was), Side(red.worklog()), Around()).logs
    assert [line.template for line in one.new or ()] == ["worse"]
    assert (one.gone, one.why is None) == (None, False)
    other = replace(now, green=replace(now.green, version=VERSION + 1))  # type: ignore[type-var]
    assert compare(Side(green, was), Side(green, other), Around()).logs.new is None


def test_every_comparison_is_bounded_inert_and_json() -> None:
    scripts = [make().worklog() for make in worklogs.ALL.values()]
    for a in scripts:
        for b in scripts:
            compared = between(a, b)
            lines = compared_lines(compared)
            assert len(lines) <= MOST_LINES
            assert not any(c in line for line in lines for c in "\x1b\n\r\u202e")
            document = json.loads(json.dumps(compared_document(compared)))
            assert document["differs"] is bool(document["counting"])
    many = [case(f"test_{n}", CaseStatus.FAILED) for n in range(300)]
    flood = between(run_of(), run_of(*many))
    assert len(compared_lines(flood)) <= MOST_LINES
    assert len(compared_lines(flood, verbose=True)) > 200
