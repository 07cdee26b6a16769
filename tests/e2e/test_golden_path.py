"""The way to green: what a run promises, and that users notice nothing of it."""

from __future__ import annotations

import json
import stat
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path

import pytest
from load import Load
from rig import Project, Ran, met_by_users
from services import chat_loop, tiny_loop

CHAT_SUITES = {
    "auth": "tests/test_auth.py",
    "events": "tests/test_events.py",
    "journey": "tests/test_first_time_journey.py",
}
RESULT_KEYS = {
    "schema", "run_id", "loop", "environment", "verdict", "exit_code", "partial", "stop_reason",
    "started_at", "ended_at", "duration_s", "loopctl", "source", "cycles", "changes", "left",
}  # fmt: skip
CYCLE_KEYS = {
    "number", "stages", "services", "suites", "criteria", "findings", "remedy",
}  # fmt: skip
SUITE_KEYS = {
    "id", "priority", "outcome", "collected", "passed", "failed", "broken", "skipped", "flaky",
    "timeout", "lost", "grade", "grades", "duration_s", "cases",
}  # fmt: skip
CASE_KEYS = {"id", "status", "grade", "reason", "duration_s", "message"}


def test_the_example_is_green_with_every_case_proven_or_observed(project: Project) -> None:
    chat_loop(project, CHAT_SUITES)
    ran = project.run("golden-path")
    assert ran.code == 0, str(ran)
    assert (ran.result["verdict"], ran.result["stop_reason"]) == ("green", "green")
    assert ran.first_line.startswith("USERS: chat: chat-00001-")
    assert "100 %" in ran.first_line
    assert ", verified, changed by this run" in ran.first_line
    assert len(ran.out.splitlines()) <= 15
    assert len(ran.cases()) >= 25
    assert {case["status"] for case in ran.cases()} == {"passed"}
    assert {case["grade"] for case in ran.cases()} <= {"proven", "observed"}
    assert all(case["reason"] for case in ran.cases())
    provenance = ran.service("chat")["provenance"]
    assert provenance["source_tree"] == provenance["image_tree"] == ran.result["source"]["tree"]
    assert provenance["verified"] is True
    assert provenance["rechecked_after_tests"] is True
    assert_documented(ran)
    assert_private(ran.run)
    assert_timed(ran)
    assert_reported_to_ci(ran)


def assert_documented(ran: Ran) -> None:
    """`result.json` has what the contract names, and the counts are those of the cases."""
    result = ran.result
    assert result.keys() >= RESULT_KEYS
    assert result["schema"] == 1
    assert result["run_id"] == ran.run.name
    assert {"commit", "dirty", "tree"} == result["source"].keys()
    assert ran.cycle.keys() >= CYCLE_KEYS
    for suite in ran.cycle["suites"]:
        assert suite.keys() >= SUITE_KEYS
        assert suite["collected"] == suite["passed"] == len(suite["cases"])
        assert sum(suite["grades"].values()) == suite["passed"]
        assert all(case.keys() >= CASE_KEYS for case in suite["cases"])
    assert [left["changed_by_run"] for left in result["left"]] == [True]
    summary = (ran.run / "summary.json").read_bytes()
    assert len(summary) <= 2048
    assert json.loads(summary)["verdict"] == "green"
    worklog = (ran.run / "worklog.md").read_text()
    assert result["run_id"] in worklog
    assert result["source"]["commit"][:12] in worklog


def assert_private(folder: Path) -> None:
    """Nobody but the user can read or enter anything of the run, or of the runs folder."""
    for path in [folder.parent, *folder.rglob("*"), folder.parents[1] / "hosts" / "local"]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert mode & 0o077 == 0, f"{path} has mode {mode:o}"
        assert mode in (0o600, 0o700), f"{path} has mode {mode:o}"


def assert_timed(ran: Ran) -> None:
    """Stages fit into the run, the run into what the clock outside saw."""
    result = ran.result
    stages = ran.cycle["stages"]
    assert all(stage["duration_s"] >= 0 for stage in stages)
    spent = sum(stage["duration_s"] for stage in stages)
    assert spent <= result["duration_s"] + 0.1
    assert result["duration_s"] <= ran.seconds
    for suite in ran.cycle["suites"]:
        assert sum(case["duration_s"] for case in suite["cases"]) <= suite["duration_s"] + 0.1
    begins = [datetime.fromisoformat(stage["started_at"]) for stage in stages]
    assert begins == sorted(begins)
    assert all(at.tzinfo == UTC for at in begins)


def assert_reported_to_ci(ran: Ran) -> None:
    root = ET.parse(ran.run / "junit.xml").getroot()
    cases = list(root.iter("testcase"))
    assert len(cases) == len(ran.cases())
    assert not list(root.iter("failure")) + list(root.iter("error")) + list(root.iter("skipped"))


def test_a_second_run_takes_over_with_no_failed_request(project: Project) -> None:
    tiny_loop(project)
    first = project.run("web")
    assert first.code == 0, str(first)
    old, url = first.service("web")["revision"], first.stable_url
    project.write("web/page.txt", "a change of the source")
    with Load(url, keep_alive=True) as kept, Load(url, keep_alive=False) as closing:
        second = project.run("web")
    assert second.code == 0, str(second)
    new = second.service("web")["revision"]
    for load in (kept, closing):
        assert load.failures == []
        assert set(load.answers) == {old, new}
        assert len(load.answers) > 50
        assert load.answers == sorted(load.answers, key=[old, new].index), "it went back and forth"
    assert second.stable_url == url
    assert met_by_users(url) == new
    assert second.result["source"]["dirty"] is True
    assert second.result["source"]["tree"] != first.result["source"]["tree"]


@pytest.mark.slow
def test_the_command_that_green_proposes_asks_the_health_path(project: Project) -> None:
    tiny_loop(project)
    ran = project.run("web")
    assert any(
        line.startswith("NEXT: curl -i ") and line.endswith("/health")
        for line in ran.out.splitlines()
    ), str(ran)
