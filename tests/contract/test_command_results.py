"""What a report may not be taken for: an earlier run's, a whole one, a quick one."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from command_suite_rig import Commanded, report
from pytest_suite_rig import SECRET


@pytest.fixture
def project(tmp_path: Path) -> Commanded:
    return Commanded.at(tmp_path)


@pytest.mark.parametrize("take", ["cp -pr target {junit}", "ln -s $PWD/target {junit}"])
def test_a_report_that_an_earlier_run_left_is_no_result(project: Commanded, take: str) -> None:
    project.write("target/TEST-a.xml", report("a", "b", tests=2))
    hour_ago = time.time() - 3600
    os.utime(project.root / "target/TEST-a.xml", (hour_ago, hour_ago))
    end = project.run(f"false; {take}")
    assert not end.complete
    assert project.cases == []
    assert "older than this run" in (end.usage_error or "")


def test_a_report_that_was_moved_there_is_one(project: Commanded) -> None:
    project.write("made.xml", report("a", "b", tests=2))
    assert project.run("cat made.xml > new.xml; mv new.xml {junit}").complete


@pytest.mark.parametrize("crash", ["kill -SEGV $$", "sh -c 'kill -KILL $$'; exit $?"])
def test_failing_cases_do_not_explain_a_crash(project: Commanded, crash: str) -> None:
    project.write("made.xml", report("a:failure", "b"))
    end = project.run(f"cp made.xml {{junit}}; {crash}")
    assert project.statuses() == {"a": "failed", "b": "passed"}
    assert not end.complete
    assert "was killed by SIG" in end.detail


def test_an_exit_code_that_counts_the_failures_is_no_crash(project: Commanded) -> None:
    project.write("made.xml", report(*(f"c{n}:failure" for n in range(137)), "ok"))
    end = project.run("cp made.xml {junit}; exit 137")
    assert (end.complete, end.detail) == (True, "")


@pytest.mark.parametrize(
    "word", ["TimedOut", "timed-out", "aborted", "interrupted", "crashed", "hook_error"]
)
def test_a_case_that_says_that_it_did_not_end_well_has_failed(
    project: Commanded, word: str
) -> None:
    project.write("made.xml", f'<testsuite><testcase name="x" status="{word}"/></testsuite>')
    project.run("cp made.xml {junit}")
    assert project.statuses() == {"x": "failed"}


def test_many_cases_of_one_name_take_no_time(project: Commanded) -> None:
    cases = '<testcase name="same"/>' * 20_000
    project.write("made.xml", f"<testsuite>{cases}</testsuite>")
    began = time.monotonic()
    end = project.run("cp made.xml {junit}")
    assert end.complete
    assert project.cases[-1].id == "same#20000"
    assert time.monotonic() - began < 15, "each name was counted on from the last"


def test_a_retry_hides_no_failure_behind_a_case_of_the_same_name(project: Commanded) -> None:
    project.write("made.xml", report("A", "A:failure", "B"))
    project.run("cp made.xml {junit}")
    assert project.statuses() == {"A": "passed", "A#2": "failed", "B": "passed"}
    # The same case fails again, and a parallel runner tells of it first this time.
    project.write("made.xml", report("A:failure", "A", "B"))
    project.run("cp made.xml {junit}; exit 1", only=("A#2",))
    assert project.statuses() == {"A": "failed", "A#2": "passed"}


def test_a_measurement_that_cannot_be_read_tells_no_half_of_a_secret(project: Commanded) -> None:
    value = "x" * (60 - len(SECRET) // 2) + SECRET
    told = f'<property name="loopctl.metric.a" value="{value}"/>'
    case = f'<testcase name="a"><properties>{told}</properties></testcase>'
    project.write("made.xml", f"<testsuite>{case}</testsuite>")
    (note,) = project.run("cp made.xml {junit}").notes
    assert note.startswith("measurements that cannot be taken: 1, as loopctl.metric.a='xxx")
    assert SECRET[:6] not in note


def test_a_report_beside_those_of_another_runner_counts(project: Commanded) -> None:
    project.write("out/TEST-a.xml", report("a"))
    project.write("out/jest.xml", report("b:failure"))
    project.run("cp -r out {junit}")
    assert project.statuses() == {"a": "passed", "b": "failed"}
