"""`result.json` is the contract's schema 1, and its numbers agree with each other."""

from __future__ import annotations

import json
from typing import Any

import pytest
import worklogs

from loopctl.journal.codec import from_json, to_json
from loopctl.journal.fold import fold
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
ADDED = {"reasons", "dead", "resumed", "image_id", "compared", "altered"}
"""Keys that the sample does not show.

Why a suite was not run, how what serves has died, how often the run was gone on with; what the
engine calls an image that was pushed, how many of its files were compared, which a step altered.
"""
FREE = ("grades", "traffic")
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
