"""`result.json` is the contract's schema 1, and its numbers agree with each other."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import worklogs

from loopctl.journal.codec import from_json, to_json
from loopctl.journal.fold import fold
from loopctl.model.events import CriteriaJudged, SuiteFinished
from loopctl.model.evidence import (
    CaseStatus,
    Control,
    CriterionJudgement,
    Sample,
    SuiteJudgement,
    SuiteOutcome,
)
from loopctl.model.state import State
from loopctl.reports.result import cycle_document, result_document

CONTRACT = """
{"schema": 1, "run_id": "…", "loop": "golden-path", "environment": "local", "verdict": "green", "exit_code": 0,
 "partial": false, "stop_reason": "green", "started_at": "…Z", "ended_at": "…Z", "duration_s": 12.3, "loopctl": "0.1.0",
 "source": {"commit": "…", "dirty": false, "tree": "sha256:…"},
 "cycles": [
  {"number": 1,
   "stages": [{"name": "build", "outcome": "ok", "started_at": "…Z", "duration_s": 1.2, "detail": "…"}],
   "services": [{"name": "chat", "image": "sha256:…", "revision": "chat-00001-k7q", "url": "http://…", "serving_percent": 100,
                 "provenance": {"source_tree": "…", "image_tree": "…", "verified": true, "rechecked_after_tests": true, "not_covered": []}}],
   "suites": [{"id": "p1-critical", "priority": "P1", "outcome": "passed", "collected": 25, "passed": 25, "failed": 0, "broken": 0,
               "skipped": 0, "flaky": 0, "timeout": 0, "lost": 0, "grade": "proven", "grades": {"proven": 25}, "duration_s": 8.2,
               "cases": [{"id": "tests/test_a.py::test_x", "status": "passed", "grade": "proven", "reason": "…", "duration_s": 0.3, "message": null}]}],
   "criteria": [{"metric": "http.p95", "op": "<=", "limit": "2s", "value": 0.085, "samples": 200, "met": true}],
   "findings": [{"signature": "deploy.exit-code", "title": "…", "service": "chat", "confidence": 0.9, "fingerprint": "v1:…",
                 "status": "new", "evidence": [{"kind": "log", "source": "logs/1/chat.jsonl#812", "quote": "…"}],
                 "whys": [{"question": "…", "answer": "…", "status": "observed", "evidence": 0}],
                 "remedy": {"action": "rollback", "mode": "auto", "result": "done"}}],
   "remedy": {"action": "run", "detail": "…", "changed_source": true, "result": "done"}}],
 "changes": {"fixed": [], "new": [], "persisting": []},
 "left": [{"service": "chat", "traffic": {"chat-00001-k7q": 100}, "verified": true, "changed_by_run": true}]}
"""  # noqa: E501 - the contract's own lines
ADDED = {
    *("reasons", "dead", "resumed", "image_id", "compared", "altered"),
    *("metrics", "control", "quarantined", "built_elsewhere"),
    *("severity", "under", "links", "seen", "tests", "mended"),
}
"""Keys that the sample does not show.

Why a suite was not run, how what serves has died, how often the run was gone on with; what the
engine calls an image that was pushed, how many of its files were compared, which a step altered;
what a suite has measured, what the control run showed of a case, and whether its failures count;
what is known of an image that was built elsewhere; how grave a finding is, which tests fail by
it, what it is a symptom of, where the tracker has it, and how many earlier runs had it.
"""
FREE = ("grades", "traffic", "metrics")
"""Objects whose keys are data."""
STATUSES = ("passed", "failed", "broken", "skipped", "flaky", "timeout", "lost")


def _same_keys(sample: Any, made: Any, where: str) -> None:
    if isinstance(sample, dict) and isinstance(made, dict):
        if where.endswith(FREE):
            return
        assert set(made) - ADDED == set(sample), where
        for key, value in sample.items():
            _same_keys(value, made[key], f"{where}.{key}")
    elif isinstance(sample, list) and isinstance(made, list) and sample:
        for item in made:
            _same_keys(sample[0], item, f"{where}[]")


@pytest.mark.parametrize("name", worklogs.ALL)
def test_every_run_has_exactly_the_contracts_keys(name: str) -> None:
    document = result_document(worklogs.ALL[name]().worklog())

    _same_keys(json.loads(CONTRACT), json.loads(json.dumps(document)), "")


@pytest.mark.parametrize("name", worklogs.ALL)
def test_the_counts_of_a_suite_add_up_to_what_was_collected(name: str) -> None:
    document: Any = result_document(worklogs.ALL[name]().worklog())

    for cycle in document["cycles"]:
        for suite in cycle["suites"]:
            if suite["outcome"] != "not-run":
                assert sum(suite[status] for status in STATUSES) == suite["collected"]
            assert sum(suite["grades"].values()) == suite["passed"]
            assert len([c for c in suite["cases"] if c["status"] == "failed"]) == suite["failed"]


def test_a_lost_case_that_stands_for_several_counts_as_so_many() -> None:
    script = worklogs.unproven()
    script.events = [
        replace(event, payload=replace(event.payload, judgement=_three_lost(event.payload)))
        if isinstance(event.payload, SuiteFinished)
        else event
        for event in script.events
    ]
    document: Any = result_document(script.worklog())

    (suite,) = document["cycles"][0]["suites"]
    assert suite["lost"] == 3


def _three_lost(finished: SuiteFinished) -> SuiteJudgement:
    return replace(finished.judgement, counts={CaseStatus.LOST: 3})


@pytest.mark.parametrize("name", ["green", "red", "first run", "two cycles"])
def test_the_document_is_the_same_from_a_journal_that_was_read_back(name: str) -> None:
    script = worklogs.ALL[name]()
    read_back = [from_json(json.loads(json.dumps(to_json(event)))) for event in script.events]

    assert result_document(fold(read_back)) == result_document(script.worklog())


def test_a_cycles_document_is_its_part_of_the_whole_one() -> None:
    worklog = worklogs.two_cycles().worklog()
    whole: Any = result_document(worklog)
    for part in whole["cycles"]:
        told = {key: whole[key] for key in ("schema", "run_id", "loop", "environment")}
        assert cycle_document(worklog, part["number"]) == {**told, **part}
    with pytest.raises(ValueError, match="not in list"):
        cycle_document(worklog, 9)


def test_a_green_run_proves_what_serves() -> None:
    document: Any = result_document(worklogs.green().worklog())

    assert (document["verdict"], document["exit_code"], document["partial"]) == ("green", 0, False)
    (service,) = document["cycles"][0]["services"]
    assert service["serving_percent"] == 100
    assert service["provenance"] == {
        "source_tree": worklogs.TREE,
        "image_tree": worklogs.TREE,
        "verified": True,
        "rechecked_after_tests": True,
        "not_covered": [],
        "compared": None,
        "altered": [],
        "built_elsewhere": None,
    }
    assert document["source"]["tree"] == worklogs.TREE
    assert document["started_at"] == "2025-09-10T20:30:00.000Z"


def test_a_suite_without_a_pass_has_no_grade() -> None:
    document: Any = result_document(worklogs.unproven().worklog())

    (suite,) = document["cycles"][0]["suites"]
    assert (suite["outcome"], suite["grade"], suite["grades"]) == ("unproven", None, {})


def test_a_partial_run_skips_promote_and_confirm() -> None:
    document: Any = result_document(worklogs.partial().worklog())

    outcomes = {stage["name"]: stage["outcome"] for stage in document["cycles"][0]["stages"]}
    assert outcomes["promote"] == outcomes["confirm"] == "skipped"
    assert outcomes["verify"] == outcomes["settle"] == "ok"


def test_stages_that_did_not_run_are_absent() -> None:
    document: Any = result_document(worklogs.preflight().worklog())

    assert [stage["name"] for stage in document["cycles"][0]["stages"]] == ["preflight"]
    assert document["cycles"][0]["suites"][0]["outcome"] == "not-run"
    assert document["cycles"][0]["suites"][0]["reasons"]


def test_a_stage_that_was_stopped_is_interrupted() -> None:
    document: Any = result_document(worklogs.interrupted().worklog())

    assert {s["name"]: s["outcome"] for s in document["cycles"][0]["stages"]}["health"] == (
        "interrupted"
    )


def test_cases_and_findings_are_compared_with_the_cycle_before() -> None:
    document: Any = result_document(worklogs.two_cycles().worklog())

    test = "p1-critical::tests/test_chat.py::test_"
    assert document["changes"] == {
        "fixed": [f"{test}a"],
        "new": [f"{test}c"],
        "persisting": [f"{test}b"],
    }
    statuses = [[f["status"] for f in cycle["findings"]] for cycle in document["cycles"]]
    assert statuses == [["new"], ["persisting", "new"]]
    assert document["cycles"][0]["remedy"]["changed_source"] is True


def test_an_answer_without_captured_evidence_is_a_hypothesis_whatever_it_was_called() -> None:
    document: Any = result_document(worklogs.red().worklog())

    whys = document["cycles"][0]["findings"][0]["whys"]
    assert [why["status"] for why in whys] == ["observed", "hypothesis"]


def test_a_run_that_has_not_ended_claims_nothing() -> None:
    events = worklogs.green().events

    document: Any = result_document(fold(events[:-1]))

    assert [document[key] for key in ("verdict", "exit_code", "stop_reason", "ended_at")] == [
        None
    ] * 4
    assert document["left"] == []


def test_criteria_are_told_as_the_contract_has_them_and_no_value_is_rounded() -> None:
    script = worklogs.Script().until_health({worklogs.OLD: 100}).healthy()
    judged = CriteriaJudged(
        (
            CriterionJudgement("http.p95", "<=", "2s", 2.000004, 200, 20, met=False),
            CriterionJudgement("ws.connect.p95", "<=", "500ms", None, 0, 5, met=None),
        )
    )
    script.stage(State.VERIFY, inside=[(judged, None, None)])
    document: Any = result_document(script.worklog())

    sample = json.loads(CONTRACT)["cycles"][0]["criteria"][0]
    met, few = document["cycles"][0]["criteria"]
    assert met == {**sample, "value": 2.000004, "met": False}
    assert few == {**sample, **WS, "value": None, "samples": 0, "met": None}


WS = {"metric": "ws.connect.p95", "limit": "500ms"}


def test_samples_are_told_in_short_by_suite_and_series() -> None:
    cases = [
        worklogs.case(f"test_{n}", samples=(Sample("http", float(n)), Sample("error", 0.0)))
        for n in range(1, 21)
    ]
    script = worklogs.Script().until_health({worklogs.OLD: 100}).healthy()
    script.verify([*cases, worklogs.case("test_none")], SuiteOutcome.PASSED)
    document: Any = result_document(script.worklog())

    (suite,) = document["cycles"][0]["suites"]
    assert suite["metrics"] == {
        "error": {"count": 20, "p50": 0.0, "p95": 0.0, "max": 0.0},
        "http": {"count": 20, "p50": 10.0, "p95": 19.0, "max": 20.0},
    }
    assert all("samples" not in case for case in suite["cases"])


def test_a_case_tells_of_its_control_run_and_of_its_quarantine() -> None:
    suite = replace(
        worklogs.RUN.suites[0],
        quarantine=(("tests/test_chat.py::test_known", "ana", "2026-12-31"),),
    )
    script = worklogs.Script(replace(worklogs.RUN, suites=(suite,)))
    script.until_health({worklogs.OLD: 100}).healthy()
    known = worklogs.case("test_known", CaseStatus.FAILED)
    shown = worklogs.case("test_x", control=Control("borne-out", "it fails while refused"))
    script.verify([known, shown], SuiteOutcome.PASSED)
    document: Any = result_document(script.worklog())

    first, second = document["cycles"][0]["suites"][0]["cases"]
    assert (first["quarantined"], first["control"]) == (True, None)
    assert (second["quarantined"], second["control"]) == (False, str(shown.control))
