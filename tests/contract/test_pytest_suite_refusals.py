"""What keeps a pytest suite from being run or collected, and what is said of it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from pytest_suite_rig import Project
from suite_fixtures import a_project, a_service

from loopctl.model.evidence import CaseStatus
from loopctl.ports.suite import SuiteError
from loopctl.process import Stop

service = pytest.fixture(scope="module")(a_service)
project = pytest.fixture(a_project)


def test_arguments_that_pytest_refuses_are_told_in_its_words(project: Project) -> None:
    missing = project.run(replace(project.spec, run="no/such/folder"))
    unknown = project.run(replace(project.spec, run="--no-such-option"))

    assert "no/such/folder" in (missing.usage_error or "")
    assert "--no-such-option" in project.kept()
    assert unknown.usage_error
    assert not missing.complete
    assert not unknown.complete


def test_nothing_collected_is_no_pass(project: Project) -> None:
    project.write("tests/test_none.py", "def test_deselected(): ...\n")

    end = project.run(replace(project.spec, run="-p no:cacheprovider tests -k nothing_like_it"))

    assert (end.collected, end.deselected, end.exit_code) == (0, 1, 5)
    assert project.cases == []


def test_tests_left_out_by_maxfail_are_named(project: Project) -> None:
    project.write("tests/test_x.py", "def test_a(): assert 0\ndef test_b(): ...\n")

    end = project.run(replace(project.spec, run="-p no:cacheprovider -x tests"))

    assert not end.complete
    assert end.detail == "1 collected but never started: tests/test_x.py::test_b"


def test_a_module_that_skips_itself_is_a_skipped_case(project: Project) -> None:
    project.write("tests/test_gone.py", "import pytest\npytest.importorskip('no_such_module')\n")
    project.write("tests/test_x.py", "def test_a(): ...\n")

    end = project.run(replace(project.spec, shards=2))

    gone = next(case for case in project.cases if case.id == "tests/test_gone.py")
    assert (gone.status, len(project.cases)) == (CaseStatus.SKIPPED, 2)
    assert (gone.message or "").startswith("not collected: Skipped: could not import")
    assert (end.complete, end.collected) == (True, 1)
    found = project.suite.collect(project.spec, project.context, Stop(60))
    assert (len(found.ids), found.errors) == (1, ())


def test_an_unloadable_conftest_is_a_broken_case(project: Project) -> None:
    project.write("conftest.py", "import no_such_module_anywhere\n")
    project.write("tests/test_x.py", "def test_a(): ...\n")

    end = project.run()

    assert [case.status for case in project.cases] == [CaseStatus.BROKEN]
    assert "no_such_module_anywhere" in (project.cases[0].message or "")
    assert not end.complete


def test_collection_names_the_tests_before_any_service_is_up(project: Project) -> None:
    project.write(
        "tests/test_x.py",
        """
        import os
        assert os.environ["BASE_URL"] == "http://chat.invalid"
        def test_a(): ...
        def test_b(): ...
        """,
    )
    project.write("tests/test_bad.py", "def test_(:\n")
    context = replace(project.context, endpoints={})

    found = project.suite.collect(project.spec, context, Stop(60))

    assert found.ids == ("tests/test_x.py::test_a", "tests/test_x.py::test_b")
    assert [(case.id, case.status) for case in found.errors] == [
        ("tests/test_bad.py", CaseStatus.BROKEN)
    ]
    assert not project.context.folder.exists()


def test_collection_that_cannot_be_done_says_how_to_see_it(project: Project) -> None:
    with pytest.raises(SuiteError, match=r"(?s)no/such.*--collect-only"):
        project.suite.collect(replace(project.spec, run="no/such"), project.context, Stop(60))


def test_a_missing_interpreter_comes_with_the_command_that_makes_it(project: Project) -> None:
    (problem,) = project.suite.check(replace(project.spec, python=".venv/bin/python"), Stop(60))

    assert problem.message == "the interpreter .venv/bin/python does not exist"
    assert problem.where == "suite p1"
    assert "python3 -m venv .venv && .venv/bin/python -m pip install" in (problem.hint or "")


def test_an_interpreter_without_pytest_comes_with_the_command_that_installs_it(
    project: Project,
) -> None:
    made = [sys.executable, "-m", "venv", "--without-pip", str(project.root / ".venv")]
    subprocess.run(made, check=True)
    spec = replace(project.spec, python=".venv/bin/python")
    suite = project.suite

    (problem,) = suite.check(spec, Stop(60))
    end = suite.run(spec, project.context, project.cases.append, Stop(60))

    assert problem.message == ".venv/bin/python has no pytest"
    assert '.venv/bin/python -m pip install "pytest>=7"' in (problem.hint or "")
    assert "No module named pytest" in (end.usage_error or "")


def test_what_is_no_python_is_told(project: Project) -> None:
    project.write("python", "#!/bin/sh\necho dead >&2; exit 4\n")
    (project.root / "python").chmod(0o755)

    (problem,) = project.suite.check(replace(project.spec, python="./python"), Stop(60))

    assert problem.message.endswith("is no working Python (exit code 4): dead")


def test_a_good_interpreter_has_no_problems_and_a_missing_folder_has_one(project: Project) -> None:
    suite = project.suite
    assert suite.check(project.spec, Stop(60)) == []
    (problem,) = suite.check(replace(project.spec, cwd=project.root / "none"), Stop(60))
    assert "does not exist" in problem.message


def test_a_service_without_an_address_is_an_error_that_names_it(project: Project) -> None:
    spec = replace(project.spec, run="tests ${services.mail.url}")
    with pytest.raises(SuiteError, match=r"services\.mail"):
        project.run(spec)


def test_an_exit_that_no_test_explains_is_no_whole_end(project: Project) -> None:
    # As pytest-cov does it under its `--cov-fail-under`.
    limit = """
        import pytest

        @pytest.hookimpl(hookwrapper=True)
        def pytest_runtestloop(session):
            yield
            session.testsfailed += 1
        """
    project.write("conftest.py", limit)
    project.write("tests/test_x.py", "def test_a(): ...\n")

    end = project.run()

    assert (end.complete, end.exit_code) == (False, 1)
    assert end.detail == "pytest ended with exit code 1 although no test failed"
    assert project.statuses() == {"test_a": CaseStatus.PASSED}

    project.write("tests/test_x.py", "def test_a(): assert 0\n")
    assert project.run().complete, "the failing test explains it"
