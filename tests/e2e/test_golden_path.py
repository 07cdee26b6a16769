"""The way to green: what a run promises, and that users notice nothing of it."""

from __future__ import annotations

import http.client
import json
import stat
import threading
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from rig import Project, Ran, met_by_users
from services import chat_loop, suite, tiny_loop, tiny_service

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
NOWHERE = {"AUTH_URL": "http://127.0.0.1:9"}
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
    root = ET.parse(ran.run / "junit.xml").getroot()  # noqa: S314 - our own file
    cases = list(root.iter("testcase"))
    assert len(cases) == len(ran.cases())
    assert not list(root.iter("failure")) + list(root.iter("error")) + list(root.iter("skipped"))


@dataclass
class Load:
    """Requests to the stable URL, one after the other, until told to stop."""

    url: str
    keep_alive: bool
    answers: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Load:
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._thread.join(20)

    def _ask(self) -> None:
        where = urlsplit(self.url)
        assert where.hostname
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=10)
        # Five milliseconds between requests leave the two cores to the run itself.
        while not self.over.wait(0.005):
            try:
                headers = {} if self.keep_alive else {"Connection": "close"}
                connection.request("GET", "/hello", headers=headers)
                answer = connection.getresponse()
                body = json.loads(answer.read())
                if answer.status != 200:
                    self.failures.append(f"{answer.status}")
                self.answers.append(body["revision"])
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failures.append(repr(error))
                connection.close()
        connection.close()


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


def test_the_command_that_green_proposes_asks_the_health_path(project: Project) -> None:
    tiny_loop(project)
    ran = project.run("web")
    assert any(
        line.startswith("NEXT: curl -i ") and line.endswith("/health")
        for line in ran.out.splitlines()
    ), str(ran)


def test_a_candidate_that_fails_never_meets_a_user(project: Project) -> None:
    tiny_loop(project)
    first = project.run("web")
    old, url = first.service("web")["revision"], first.stable_url
    tiny_loop(project, "def test_it():\n    assert ask() == 'something else'\n")
    with Load(url, keep_alive=True) as load:
        second = project.run("web")
    assert second.code == 1, str(second)
    assert load.failures == []
    assert set(load.answers) == {old}
    assert f"web: {old} 100 %" in second.first_line
    assert "not changed by this run" in second.first_line
    assert met_by_users(url) == old


def test_a_first_run_that_fails_says_unverified_and_deletes_nothing(project: Project) -> None:
    tiny_loop(project, "def test_it():\n    assert ask() == 'something else'\n")
    ran = project.run("web")
    assert ran.code == 1, str(ran)
    assert "UNVERIFIED" in ran.first_line
    revision = ran.service("web")["revision"]
    assert project.serving("web")["web"] == {revision: 100}
    assert ran.result["left"][0]["verified"] is False


def test_several_services_go_in_waves_and_one_that_fails_holds_back_all(project: Project) -> None:
    services = {name: tiny_service(project, name) for name in ("store", "web")}
    services["web"]["needs"] = ["store"]
    services["web"]["run"]["env"] = {"STORE_URL": "${services.store.url}"}
    tests = "def test_it():\n    assert 'healthy' in ask()\n"
    suites = [suite(project, tests, target="web")]
    project.loop("two", services=services, suites=suites)
    project.commit()
    first = project.run("two")
    assert first.code == 0, str(first)
    assert first.stages().count("deploy") == 2, "store and web are two waves"
    before = project.serving("two")

    project.write("store/page.txt", "a change of the store, which is healthy")
    tiny_service(project, "web", "STATUS = 500\n")
    second = project.run("two", "--deadline", "20s", env={})
    assert second.code == 5, str(second)
    assert project.serving("two") == before
    assert {left["changed_by_run"] for left in second.result["left"]} == {False}
    assert second.service("store")["serving_percent"] == 0


def test_a_gated_service_is_asked_before_anything_is_done(project: Project) -> None:
    with_gate = {"auth": {"url": "${AUTH_URL}", "health": {"path": "/health"}}}
    services = {**with_gate, "web": tiny_service(project)}
    services["web"]["needs"] = ["auth"]
    project.loop("gated", services=services, suites=[suite(project)])
    project.commit()
    down = project.run("gated", env=NOWHERE)
    assert down.code == 4, str(down)
    assert "auth" in down.out
    assert "127.0.0.1:9" in down.out
    assert down.stages() == ["preflight"]
    assert project.serving("gated", NOWHERE) == {"web": {}}

    tiny_loop(project)
    url = project.run("web").stable_url
    up = project.run("gated", env={"AUTH_URL": url})
    assert up.code == 0, str(up)


def test_every_missing_variable_is_named_at_once_and_nothing_is_changed(project: Project) -> None:
    environments = {"local": {"platform": "local", "require_env": ["ONE_TOKEN", "TWO_TOKEN"]}}
    services = {"web": tiny_service(project)}
    project.loop("web", environments=environments, services=services, suites=[suite(project)])
    project.commit()
    ran = project.run("web")
    assert ran.code == 4, str(ran)
    assert "ONE_TOKEN" in ran.out
    assert "TWO_TOKEN" in ran.out
    assert ran.result["verdict"] == "preflight"
    assert ran.stages() == ["preflight"]
    assert "changed nothing" in ran.first_line or "not changed" in ran.first_line
