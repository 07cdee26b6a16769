"""Cases that are run again within their suite: flaky is said and counted, and nothing is hidden."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from rig import Project, Ran
from services import ASKS, tiny_loop

TIMES = """
def times():
    '''The how-manyeth run of this test it is, from 1.'''
    with open("seen", "a") as seen:
        seen.write("x")
    return os.path.getsize("seen")
"""
FAILS_ONCE = TIMES + "def test_it():\n    assert ask()\n    assert times() > 1\n"
NEVER = TIMES + "def test_it():\n    assert ask()\n    assert times() < 0\n"
LEAVES_ONCE = (
    TIMES + "def test_it():\n    assert ask()\n    print('here')\n    times() > 1 or os._exit(0)\n"
)
HANGS_ONCE = TIMES + "def test_it():\n    assert ask()\n    times() > 1 or time.sleep(60)\n"
ASKS_ONCE = TIMES + "def test_it():\n    assert times() > 1 or ask() == 'no'\n"
ASKS_NOBODY = TIMES + (
    "def test_it():\n    times()\n    socket.create_connection(('127.0.0.1', 1), 2)\n"
)


def run(project: Project, tests: str, **keys: Any) -> Ran:
    """A suite of these tests, with one retry unless `keys` say otherwise."""
    project.write(".gitignore", ".loopctl/\n__pycache__/\nseen\n")
    tiny_loop(project, tests, **{"retries": 1, **keys})
    return project.run("web")


def runs_of_it(project: Project) -> int:
    return (project.root / "seen").stat().st_size


def test_a_case_that_passes_on_a_retry_is_flaky_and_red_unless_tolerated(project: Project) -> None:
    ran = run(project, FAILS_ONCE + ASKS)
    assert (ran.code, ran.result["verdict"]) == (1, "red"), str(ran)
    case = ran.case("::test_it")
    assert (case["status"], case["grade"]) == ("flaky", "proven")
    assert case["message"].startswith("failed first: ")
    assert case["message"].endswith("; passed on retry 1")
    assert "1 flaky" in ran.line("FAILED")
    suite = ran.suite("smoke")
    assert (suite["collected"], suite["passed"], suite["flaky"], suite["failed"]) == (2, 1, 1, 0)
    assert runs_of_it(project) == 2
    shows_the_first_failure(ran)


def shows_the_first_failure(ran: Ran) -> None:
    junit = ET.parse(ran.run / "junit.xml").getroot()
    shown = junit.findtext("testsuite/testcase[@name='test_it']/flakyFailure/stackTrace")
    assert "assert times() > 1" in (shown or "")
    assert junit.get("errors") == "1", "a suite that is red is not all green to CI"
    worklog = (ran.run / "worklog.md").read_text()
    assert "passed on retry 1" in worklog
    assert "assert times() > 1" in worklog
    kept = ran.run / "suites" / "1" / "smoke"
    assert "1 failed, 1 passed" in (kept / "stdout.txt").read_text()
    assert "1 passed" in (kept / "retry-1" / "stdout.txt").read_text()


@pytest.mark.slow
def test_a_flaky_case_that_is_tolerated_is_green(project: Project) -> None:
    ran = run(project, FAILS_ONCE, tolerance={"flaky": 1})
    assert (ran.code, ran.result["verdict"]) == (0, "green"), str(ran)
    assert ran.suite("smoke")["flaky"] == 1
    assert "1 case tolerated that did not pass" in ran.line("VERDICT")


@pytest.mark.slow
def test_a_case_that_never_passes_is_run_as_often_as_allowed_and_red(project: Project) -> None:
    ran = run(project, NEVER + ASKS, retries=2, tolerance={"flaky": 5})
    assert ran.code == 1, str(ran)
    case = ran.case("::test_it")
    assert case["status"] == "failed"
    assert case["message"].endswith("(run 3 times, never passed)")
    assert runs_of_it(project) == 3
    assert ran.suite("smoke")["collected"] == 2


@pytest.mark.parametrize(
    ("tests", "status", "code"),
    [
        pytest.param(LEAVES_ONCE + ASKS, "lost", 3, id="lost"),
        pytest.param(HANGS_ONCE, "timeout", 1, id="timeout"),
    ],
)
@pytest.mark.slow
def test_what_was_cut_short_is_run_again_only_where_that_harms_nothing(
    project: Project, tests: str, status: str, code: int
) -> None:
    keys = {"tolerance": {"flaky": 1}, "timeout": {"suite": "20s", "test": "1500ms"}}
    once = run(project, tests, **keys)
    assert (once.code, once.case("::test_it")["status"]) == (code, status), str(once)
    assert runs_of_it(project) == 1

    (project.root / "seen").unlink()
    again = run(project, tests, repeatable=True, **keys)
    assert (again.code, again.case("::test_it")["status"]) == (0, "flaky"), str(again)
    assert again.case("::test_it")["message"].startswith(f"{status} first: ")
    assert runs_of_it(project) == 2


@pytest.mark.slow
def test_a_retry_that_passes_without_reaching_the_target_proves_nothing(project: Project) -> None:
    ran = run(project, ASKS_ONCE + ASKS, tolerance={"flaky": 1})
    assert (ran.code, ran.result["verdict"]) == (3, "unproven"), str(ran)
    case = ran.case("::test_it")
    assert (case["status"], case["grade"]) == ("flaky", "unproven")


@pytest.mark.slow
def test_a_suite_that_reaches_nobody_is_not_tried_again(project: Project) -> None:
    ran = run(project, ASKS_NOBODY, repeatable=True, retries=3)
    assert ran.code == 3, str(ran)
    assert "no case reached web" in ran.out
    assert runs_of_it(project) == 1
