"""Round again: each cycle beside the one before it, and no failure made to look like a pass."""

from __future__ import annotations

import pytest
from rig import Project
from word_loop import ended, rule, run_rule, script, word_loop, worklog

FAILS_ONCE = """
def test_it_passes_the_second_time():
    assert ask()
    seen = os.path.exists("seen")
    open("seen", "w").close()
    assert seen
"""


@pytest.mark.parametrize("tolerated", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_what_a_retry_turns_into_a_pass_is_flaky(project: Project, tolerated: int) -> None:
    project.write(".gitignore", ".loopctl/\n__pycache__/\nseen\n")
    keys = {"tolerance": {"flaky": tolerated}}
    tests = FAILS_ONCE + "def test_it_answers():\n    assert ask()\n"
    word_loop(project, rule("retry"), tests=tests, suite_keys=keys)
    ran = project.run("web")
    assert ran.stages()[0] == "deploy", "a retry takes the images that are there"
    case = ran.case("::test_it_passes_the_second_time")
    assert case["status"] == "flaky", str(ran)
    assert "failed earlier in this run on the same image" in case["message"]
    assert ran.suite("smoke")["flaky"] == 1
    if tolerated:
        assert ended(ran) == (0, "green", 2), str(ran)
        assert "1 case tolerated that did not pass" in ran.line("VERDICT")
    else:
        assert ended(ran) == (1, "needs-human", 2), str(ran)
        assert "1 flaky" in ran.line("FAILED")


@pytest.mark.slow
def test_what_passes_on_another_image_has_passed(project: Project) -> None:
    project.write(".gitignore", ".loopctl/\n__pycache__/\nseen\n")
    script(project, "echo better > web/word.txt\n")
    word_loop(project, run_rule(), tests=FAILS_ONCE)
    ran = project.run("web")
    assert ended(ran) == (0, "green", 2), str(ran)
    assert ran.case("::test_it_passes_the_second_time")["status"] == "passed"


THREE = """
def test_one():
    assert 'good' in ask('/through')

def test_two():
    assert 'left' in ask('/through')

def test_three():
    assert 'right' in ask('/through')
"""


@pytest.mark.slow
def test_each_cycle_is_compared_with_the_one_before_it(project: Project) -> None:
    script(project, "echo good > web/word.txt\n")
    word_loop(project, run_rule(), tests=THREE, word="bad left")
    ran = project.run("web")
    assert ended(ran) == (1, "needs-human", 2), str(ran)
    case = "smoke::tests/test_smoke.py::test_"
    assert ran.result["changes"] == {
        "fixed": [f"{case}one"],
        "new": [f"{case}two"],
        "persisting": [f"{case}three"],
    }
    told = worklog(ran)
    assert "Compared with cycle 1: 1 fixed, 1 new, 1 persisting." in told
    for word, name in (("fixed", "one"), ("new", "two"), ("persisting", "three")):
        assert f"- {word}: `{case}{name}`" in told
