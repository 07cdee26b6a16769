"""Hangs, crashes, deadlines and interruptions: who is at fault, and that nothing outlives them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pytest_suite_rig import Project, until
from suite_fixtures import a_project, a_service, interrupted_once_begun

from loopctl.model.evidence import Case, CaseStatus
from loopctl.process import Stop, identify

service = pytest.fixture(scope="module")(a_service)
project = pytest.fixture(a_project)


def test_a_hang_does_not_hide_the_tests_after_it(project: Project) -> None:
    project.write(
        "tests/test_hang.py",
        """
        import time
        def test_before(): ...
        def test_hangs(): time.sleep(60)
        def test_after(): ...
        def test_after_too(): assert False
        """,
    )

    end = project.run(replace(project.spec, test_timeout_s=1.0))

    assert [(c.id.rpartition("::")[2], str(c.status)) for c in project.cases] == [
        ("test_before", "passed"),
        ("test_hangs", "timeout"),
        ("test_after", "passed"),
        ("test_after_too", "failed"),
    ]
    assert project.case("test_hangs").message == "still running after 1 s, its limit"
    assert (end.complete, end.collected, end.stopped) == (True, 4, None)
    assert "2 times" in end.detail


def test_what_a_test_does_after_it_was_interrupted_is_not_judged(project: Project) -> None:
    project.write(
        "tests/test_stubborn.py",
        """
        import signal, time
        def test_stubborn():
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                raise AssertionError("mistaken for a failure")
        def test_after(): ...
        """,
    )

    project.run(replace(project.spec, test_timeout_s=1.0))

    assert project.statuses()["test_stubborn"] is CaseStatus.TIMEOUT
    assert project.statuses()["test_after"] is CaseStatus.PASSED
    assert len(project.cases) == 2


@pytest.mark.parametrize(
    ("death", "said"),
    [
        ("os._exit(0)", "exit code 0"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
    ],
)
def test_a_test_that_kills_its_process_is_lost_and_the_others_still_run(
    project: Project, death: str, said: str
) -> None:
    project.write(
        "tests/test_death.py",
        f"""
        import os, signal
        def test_before(): ...
        def test_dies(): {death}
        def test_dies_not(): ...
        """,
    )

    end = project.run()

    statuses = {name: str(status) for name, status in project.statuses().items()}
    assert statuses == {"test_before": "passed", "test_dies": "lost", "test_dies_not": "passed"}
    assert said in (project.case("test_dies").message or "")
    assert end.complete


def test_a_process_that_dies_last_is_not_complete_though_it_exits_with_0(project: Project) -> None:
    project.write("tests/test_death.py", "import os\ndef test_dies(): os._exit(0)\n")

    end = project.run()

    assert (end.exit_code, end.complete) == (0, False)
    assert end.detail == "pytest ended with exit code 0"


def test_a_suite_that_runs_out_of_time_says_who_ran_and_who_never_did(project: Project) -> None:
    project.write(
        "tests/test_slow.py",
        """
        import time
        def test_slow(): time.sleep(60)
        def test_never(): ...
        """,
    )

    end = project.run(replace(project.spec, suite_timeout_s=2.5))

    assert project.statuses() == {"test_slow": CaseStatus.TIMEOUT}
    assert (end.complete, end.stopped) == (False, "suite timeout")
    assert "1 collected but never started: tests/test_slow.py::test_never" in end.detail


def test_an_interruption_ends_every_process_and_is_passed_on(project: Project) -> None:
    project.write(
        "tests/test_slow.py",
        """
        import os, time
        def test_slow():
            open("pid", "w").write(str(os.getpid()))
            time.sleep(60)
        """,
    )
    interrupted_once_begun(project.root / "pid", lambda stop: project.run(stop=stop))
    assert project.cases == []


def test_a_case_is_handed_over_while_the_suite_still_runs(project: Project) -> None:
    go = project.root / "go"
    project.write(
        "tests/test_wait.py",
        """
        import os, time
        def test_quick(): ...
        def test_waits():
            deadline = time.monotonic() + 20
            while not os.path.exists("go") and time.monotonic() < deadline:
                time.sleep(0.01)
            assert os.path.exists("go")
        """,
    )

    def on(case: Case) -> None:
        project.cases.append(case)
        go.touch()

    end = project.suite.run(project.spec, project.context, on, Stop(60))

    assert [case.status for case in project.cases] == [CaseStatus.PASSED, CaseStatus.PASSED]
    assert end.duration_s < 15


def test_a_daemon_that_a_test_leaves_behind_is_dead_afterwards(project: Project) -> None:
    project.write(
        "tests/test_daemon.py",
        """
        import subprocess, sys
        def test_leaves_one():
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            open("pid", "w").write(str(child.pid))
        """,
    )

    project.run()

    assert project.case("test_leaves_one").status is CaseStatus.PASSED
    pid = int((project.root / "pid").read_text())
    until(lambda: identify(pid) is None)


BESIDE_A_HANG = """
    import os, time, pytest

    def touch(name):
        open(name, "w").close()

    @pytest.mark.parametrize("n", range(4))
    def test_n(n):
        if n == 0:
            touch("hangs")
            time.sleep(60)
        if n == 2:
            while not os.path.exists("hangs"):
                time.sleep(0.01)
            time.sleep(0.4)
        if n == 3 and not os.path.exists("again"):
            touch("again")
            time.sleep(60)
"""


@pytest.mark.parametrize(
    ("repeatable", "beside"),
    [(True, "passed"), pytest.param(False, "lost", marks=pytest.mark.slow)],
)
def test_what_ran_beside_a_hang_is_run_again_only_when_that_harms_nothing(
    project: Project, *, repeatable: bool, beside: str
) -> None:
    project.write("tests/test_n.py", BESIDE_A_HANG)
    # xdist gives each of two workers two tests: 3 starts 0.4 s after 0 did, on the other one.
    run = "-p no:cacheprovider -p xdist -n 2 tests"

    project.run(replace(project.spec, run=run, test_timeout_s=1.5, repeatable=repeatable))

    assert len(project.cases) == 4
    assert {name: str(status) for name, status in project.statuses().items()} == {
        "test_n[0]": "timeout",
        "test_n[1]": "passed",
        "test_n[2]": "passed",
        "test_n[3]": beside,
    }
