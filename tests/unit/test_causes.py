"""Causes come before their symptoms on every screen, with what is known of them from before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
import worklogs

from loopctl.journal.brief import Role, brief
from loopctl.journal.causes import Cause, beneath_text, causes_of
from loopctl.journal.known_issue import issue_name, known_issue
from loopctl.journal.worklog import Worklog
from loopctl.model.finding import Finding, Sightings
from loopctl.reports.markdown import worklog_markdown
from loopctl.reports.result import result_document

CAUSE = worklogs.FINDING
TESTS = replace(
    CAUSE,
    signature=None,
    title="No known cause",
    fingerprint="v1|message|502",
    service="web",
    under=CAUSE.fingerprint,
    whys=(),
    cases=tuple(f"t::test_{n}" for n in range(40)),
)
SEEN = Sightings(7, "20261102-080000-golden-path-aaaa", datetime(2026, 11, 2, tzinfo=UTC))


def red(*findings: Finding) -> Worklog:
    log = worklogs.red().worklog()
    (cycle,) = log.cycles
    return replace(log, cycles=(replace(cycle, findings=findings),))


def test_symptoms_stand_beneath_their_cause_and_an_orphan_stands_for_itself() -> None:
    orphan = replace(TESTS, under="v1|gone", fingerprint="v1|orphan")
    assert causes_of([TESTS, CAUSE, orphan]) == (Cause(CAUSE, (TESTS,)), Cause(orphan))


def test_what_hangs_beneath_is_counted_by_tests_and_named_by_service() -> None:
    assert beneath_text(Cause(CAUSE)) == ""
    assert beneath_text(Cause(CAUSE, (TESTS,))) == "40 tests of web"
    silent = replace(TESTS, cases=(), service="api")
    assert beneath_text(Cause(CAUSE, (silent,))) == "1 symptom of api"
    assert beneath_text(Cause(CAUSE, (silent, TESTS))) == "40 tests of api, web"


def test_the_first_screen_names_the_cause_and_how_much_fails_by_it() -> None:
    (said,) = brief(red(TESTS, replace(CAUSE, seen=SEEN))).of(Role.CAUSE)
    assert said.startswith("chat: A caller uses an argument that is gone (app.api-break")
    assert "; beneath it 40 tests of web" in said
    assert said.endswith("seen in 7 earlier runs since 2026-11-02")


def test_tests_that_fail_alike_without_a_known_cause_are_counted() -> None:
    (said,) = brief(red(replace(TESTS, under=None))).of(Role.CAUSE)
    assert said == "web: no known cause; 40 tests alike"


def test_that_there_are_other_causes_is_said_beside_the_first() -> None:
    other = replace(CAUSE, fingerprint="v1|other")
    (said,) = brief(red(CAUSE, other)).of(Role.CAUSE)
    assert said.endswith("; 1 other finding in the report")


def test_the_worklog_puts_the_symptom_beneath_the_cause_and_tells_the_rest_by_number() -> None:
    text = worklog_markdown(red(TESTS, CAUSE))
    assert text.index("### chat: A caller") < text.index("#### Beneath it, web: No known cause")
    assert "40 cases: `t::test_0`" in text
    assert "and 35 more." in text
    assert text.count("```mermaid") == 1


def test_result_json_keeps_every_finding_and_says_whose_symptom_it_is() -> None:
    document = result_document(red(CAUSE, TESTS))
    cycles = document["cycles"]
    assert isinstance(cycles, list)
    findings = cycles[0]["findings"]
    assert [finding["under"] for finding in findings] == [None, CAUSE.fingerprint]
    assert len(findings[1]["tests"]) == 40


@pytest.mark.parametrize(
    ("link", "name"),
    [
        ("https://github.com/shop/chat/issues/265", "#265"),
        ("https://gitlab.example/a/b/-/issues/7", "#7"),
        ("https://shop.atlassian.net/browse/OPS-12", "OPS-12"),
        ("#265", "#265"),
        ("https://wiki.example/runbook", "https://wiki.example/runbook"),
    ],
)
def test_an_issue_is_called_as_people_call_it(link: str, name: str) -> None:
    assert issue_name(link) == name


def test_a_known_issue_is_told_in_one_breath() -> None:
    links = tuple(f"https://github.com/shop/chat/issues/{n}" for n in (265, 270, 271, 272))
    known = known_issue(replace(CAUSE, links=links, seen=SEEN))
    assert known == "#265, #270, 2 more, seen in 7 earlier runs since 2026-11-02"
    assert known_issue(CAUSE) == ""
