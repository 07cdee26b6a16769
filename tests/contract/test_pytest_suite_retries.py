"""Some cases run again by the names they were told by, whatever pytest itself calls them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from pytest_suite_rig import SECRET, Project
from suite_fixtures import a_project, a_service

from loopctl.model.evidence import Case, CaseStatus, SuiteEnd
from loopctl.model.plan import SuiteSpec
from loopctl.process import Stop
from loopctl.suites.pytest_suite import PytestSuite

service = pytest.fixture(scope="module")(a_service)
project = pytest.fixture(a_project)


class Retried:
    """A suite run whole, then some of its cases; each attempt leaves its cases and its end."""

    def __init__(self, project: Project, spec: SuiteSpec | None = None) -> None:
        self.project, self.spec = project, spec or project.spec
        self.suite: PytestSuite = project.suite
        self.first: list[Case] = []
        context = project.context
        self.end = self.suite.run(self.spec, context, self.first.append, Stop(60))

    def retry(self, only: Sequence[str]) -> tuple[list[Case], SuiteEnd]:
        context = replace(
            self.project.context,
            only=tuple(only),
            folder=self.project.context.folder / "retry-1",
            trace_seed="cd" * 16,
        )
        cases: list[Case] = []
        return cases, self.suite.run(self.spec, context, cases.append, Stop(60))


def names(cases: Sequence[Case]) -> list[str]:
    return sorted(case.id for case in cases)


ODD = f"""
import pytest

IDS = ["1", "11", "a b", "a/b", "x::y", "[z]", "-k", "日本", "tab\\t", "", "'\\"$HOME",
       "{SECRET}", "[redacted:TOKEN]", "[redacted:TOKEN]#2", "y" * 6000]

@pytest.mark.parametrize("n", range(len(IDS)), ids=IDS)
def test_odd(n):
    assert n % 2

def test_odd_one(): ...

class TestOdd:
    def test_odd(self): ...
"""


def test_exactly_the_cases_that_are_named_run_again_whatever_their_names(project: Project) -> None:
    project.write("tests/test_odd.py", ODD)
    project.write("tests/more/test_odd2.py", "def test_odd(): assert False\n")
    whole = Retried(project)
    failed = [case.id for case in whole.first if case.status is CaseStatus.FAILED]
    assert (len(failed), len(whole.first)) == (9, 18)

    cases, end = whole.retry(failed)

    assert names(cases) == sorted(failed)
    assert {case.status for case in cases} == {CaseStatus.FAILED}
    assert (end.complete, end.collected, end.detail) == (True, 9, "")


def test_one_of_two_that_redaction_makes_alike_is_run_and_keeps_its_name(project: Project) -> None:
    project.write("tests/test_odd.py", ODD)
    whole = Retried(project)
    alike = [case for case in whole.first if "redacted:TOKEN" in case.id]
    assert len({case.id for case in alike}) == 3

    for case in alike:
        again, end = whole.retry([case.id])

        assert [(c.id, c.status) for c in again] == [(case.id, case.status)]
        assert end.complete, end


def test_a_retry_leaves_what_the_first_run_told_as_it_is(project: Project) -> None:
    project.write("tests/test_it.py", "def test_it():\n    print('hello')\n    assert False\n")
    whole = Retried(project)
    folder = project.context.folder
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    (case,), _ = whole.retry([whole.first[0].id])

    kept = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert kept == before
    assert {path.name for path in (folder / "retry-1").iterdir()} == set(before)
    assert case.call is not None
    assert whole.first[0].call is not None
    assert case.call.trace != whole.first[0].call.trace


GROUPED = """
import pytest

@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("n", range(3))
def test_grouped(n):
    assert n == 1

def test_alone():
    assert False
"""


def test_cases_that_xdist_spread_over_its_workers_are_run_again(project: Project) -> None:
    project.write("tests/test_grouped.py", GROUPED)
    run = "-p no:cacheprovider -p xdist -n 2 --dist loadgroup tests"
    whole = Retried(project, replace(project.spec, run=run))
    failed = [case.id for case in whole.first if case.status is CaseStatus.FAILED]
    assert len(failed) == 3

    cases, end = whole.retry(failed)

    assert names(cases) == sorted(failed)
    assert (end.complete, end.collected) == (True, 3)


UNITTEST = """
import unittest

class Sub(unittest.TestCase):
    def test_parts(self):
        for n in range(3):
            with self.subTest(n=n):
                self.assertNotEqual(n, 1)
        self.assertTrue(False)
    def test_beside(self): ...
"""


def test_a_test_with_subtests_is_one_case_and_run_again_whole(project: Project) -> None:
    project.write("tests/test_sub.py", UNITTEST)
    whole = Retried(project)
    failed = [c.id for c in whole.first if c.status is CaseStatus.FAILED]
    assert [name.rpartition("::")[2] for name in failed] == ["test_parts"]

    cases, end = whole.retry(failed)

    assert names(cases) == failed
    assert end.complete, end


GONE = """
import os
def test_fails(): assert False
if os.path.exists("seen"):
    raise RuntimeError("not twice")
open("seen", "w").close()
"""


def test_a_case_that_is_gone_leaves_the_retry_incomplete_and_is_named(project: Project) -> None:
    project.write("tests/test_gone.py", GONE)
    project.write("tests/test_stays.py", "def test_stays(): assert False\n")
    whole = Retried(project)

    cases, end = whole.retry(names(whole.first))

    assert [case.id for case in cases] == ["tests/test_stays.py::test_stays"]
    assert not end.complete
    assert "1 to be run again, not collected: tests/test_gone.py::test_fails" in end.detail


CRASHES_AGAIN = """
import os
def test_fails(): assert False
def test_crashes():
    if os.path.exists("seen"):
        os._exit(3)
    open("seen", "w").close()
    assert False
def test_fails_too(): assert False
def test_passes(): ...
"""


def test_a_crash_in_a_retry_does_not_hide_the_cases_after_it(project: Project) -> None:
    project.write("tests/test_crashes.py", CRASHES_AGAIN)
    whole = Retried(project)
    failed = [case.id for case in whole.first if case.status is CaseStatus.FAILED]

    cases, end = whole.retry(failed)

    assert [(c.id.rpartition("::")[2], str(c.status)) for c in cases] == [
        ("test_fails", "failed"),
        ("test_crashes", "lost"),
        ("test_fails_too", "failed"),
    ]
    assert (end.complete, end.collected) == (True, 3)


SLOW_AGAIN = """
import os, time
def test_slow():
    time.sleep(60 if os.path.exists("seen") else 0)
    open("seen", "w").close()
    assert False
"""


def test_a_retry_that_runs_out_of_time_says_that_it_was_one(project: Project) -> None:
    project.write("tests/test_slow.py", SLOW_AGAIN)
    whole = Retried(project)
    whole.spec = replace(whole.spec, suite_timeout_s=1.5)

    (case,), end = whole.retry(names(whole.first))

    assert case.status is CaseStatus.TIMEOUT
    assert case.message == "still running when the 1.5 s that were left of the suite's time were up"
    assert (end.complete, end.stopped) == (False, "suite timeout")
