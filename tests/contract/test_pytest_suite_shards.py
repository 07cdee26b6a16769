"""A suite in several processes at once: each test runs once, and a crash costs one of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pytest_suite_rig import Project
from suite_fixtures import a_service

from loopctl.model.evidence import Case, CaseStatus, SuiteEnd
from loopctl.process import Stop

TESTS = """
import os, pathlib, pytest

LOG = pathlib.Path(os.environ["RAN"])

@pytest.fixture(scope="session", autouse=True)
def session():
    with LOG.open("a") as log: log.write(f"session {os.getpid()}\\n")

@pytest.mark.parametrize("n", range(12))
def test_n(n):
    with LOG.open("a") as log: log.write(f"{os.getpid()} {n}\\n")
"""


service = pytest.fixture(scope="module")(a_service)


@pytest.fixture
def project(tmp_path: Path, service: str) -> Project:
    made = Project.at(tmp_path, service)
    made.environ["RAN"] = str(tmp_path / "ran.txt")
    return made


def ran(project: Project) -> list[str]:
    return Path(project.environ["RAN"]).read_text().splitlines()


def run(project: Project, shards: int, **context: object) -> tuple[SuiteEnd, dict[str, Case]]:
    cases: dict[str, Case] = {}
    spec = replace(project.spec, shards=shards, collect_min=1)
    told = replace(project.context, **context)  # type: ignore[arg-type]

    def take(case: Case) -> None:
        assert case.id not in cases, "told twice"
        cases[case.id] = case

    return project.suite.run(spec, told, take, Stop(60)), cases


def test_every_test_runs_once_and_each_shard_has_its_own_session(project: Project) -> None:
    project.write("tests/test_n.py", TESTS)
    end, cases = run(project, 3)
    assert (end.complete, end.collected, end.deselected, end.detail) == (True, 12, 0, "")
    assert {case.status for case in cases.values()} == {CaseStatus.PASSED}
    lines = ran(project)
    assert sorted(int(line.split()[1]) for line in lines if line[0] != "s") == list(range(12))
    sessions = [line for line in lines if line[0] == "s"]
    assert len(set(sessions)) == len(sessions) == 3
    assert sorted(p.name for p in project.context.folder.iterdir()) == [
        "events.jsonl",
        "stderr.txt",
        "stdout.txt",
    ]
    assert project.kept().count('"e": "session-end"') == 3


def test_a_test_that_only_turns_up_in_the_run_is_run_by_one_shard(project: Project) -> None:
    project.write(
        "tests/test_n.py",
        TESTS.replace("range(12)", "range(4 if 'invalid' in os.environ['BASE_URL'] else 12)"),
    )
    suite, spec = project.suite, replace(project.spec, shards=2)
    early = suite.collect(spec, replace(project.context, endpoints={}), Stop(60))
    assert len(early.ids) == 4
    cases: list[Case] = []
    end = suite.run(spec, project.context, cases.append, Stop(60))
    assert (end.complete, end.collected) == (True, 12)
    assert len({case.id for case in cases}) == len(cases) == 12


def test_tests_whose_ids_differ_in_each_process_are_not_taken_for_a_whole_suite(
    project: Project,
) -> None:
    # With ids of its own each shard runs what falls to it: one test twice, another never.
    tests = TESTS.replace("range(12)", "range(12), ids=lambda n: f'{n}-{os.getpid()}'")
    project.write("tests/test_n.py", tests)
    end, _ = run(project, 2)
    assert not end.complete
    assert "are others in each process" in end.detail
    assert run(project, 1)[0].complete, "one process tells them apart"


def test_a_crash_loses_one_test_of_one_shard(project: Project) -> None:
    crash = TESTS.replace("    with LOG", "    if n == 5: os.kill(os.getpid(), 11)\n    with LOG")
    crash = crash.replace(
        "def session():\n    if n == 5: os.kill(os.getpid(), 11)\n", "def session():\n"
    )
    project.write("tests/test_n.py", crash)
    end, cases = run(project, 2)
    lost = [case.id for case in cases.values() if case.status is CaseStatus.LOST]
    assert lost == ["tests/test_n.py::test_n[5]"]
    assert len(cases) == 12
    assert "SIGSEGV" in (cases[lost[0]].message or "")
    assert end.collected == 12


def test_what_cannot_be_collected_is_told_once(project: Project) -> None:
    project.write("tests/test_n.py", TESTS)
    project.write("tests/test_broken.py", "import nothing_of_that_name\n")
    end, cases = run(project, 3)
    assert cases["tests/test_broken.py"].status is CaseStatus.BROKEN
    assert len(cases) == 13
    assert end.complete


def test_the_longest_tests_of_earlier_runs_are_kept_apart(project: Project) -> None:
    project.write("tests/test_n.py", TESTS)
    past = {f"tests/test_n.py::test_n[{n}]": 10.0 if n in (3, 4) else 0.1 for n in range(12)}
    run(project, 2, past_s=past)
    process = {int(line.split()[1]): line.split()[0] for line in ran(project) if line[0] != "s"}
    assert process[3] != process[4]
