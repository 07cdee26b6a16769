"""Whether a suite is still the one whose cases have passed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from loop_rig import a_suite

from loopctl.model.plan import SuiteKind
from loopctl.stages.suite_files import suite_digest
from loopctl.stages.suite_paths import CONFTEST, SETTINGS

RUN = "tests/e2e -c conf/strict.cfg -p helpers.judge"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("app/tests/e2e/test_a.py", "app/conf/strict.cfg", "app/helpers/judge.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1\n")
    return tmp_path


def digest(project: Path, run: str = RUN) -> str | None:
    return suite_digest(a_suite(run=run, cwd=project / "app"))


@pytest.mark.parametrize("folder", ["", "app", "app/tests", "app/tests/e2e"])
@pytest.mark.parametrize("name", [*SETTINGS, CONFTEST])
def test_new_settings_from_the_tests_upwards_make_it_another(
    project: Path, folder: str, name: str
) -> None:
    before = digest(project)
    (project / folder / name).write_text("[pytest]\n")
    assert before is not None
    assert digest(project) not in (before, None)


@pytest.mark.parametrize(
    "name", ["app/tests/e2e/test_a.py", "app/conf/strict.cfg", "app/helpers/judge.py"]
)
def test_what_run_names_makes_it_another_when_it_is_edited(project: Path, name: str) -> None:
    before = digest(project)
    (project / name).write_text("2\n")
    assert digest(project) != before


def test_a_test_behind_a_link_is_known_by_what_it_says(project: Path) -> None:
    (project / "shared.py").write_text("1\n")
    (project / "app/tests/e2e/test_b.py").symlink_to(project / "shared.py")
    before = digest(project)
    (project / "shared.py").write_text("2\n")
    assert digest(project) != before


@pytest.mark.parametrize(
    "name", ["app/main.py", "app/tests/.venv/x.py", "app/tests/e2e/notes.txt", "app/conf/x.ini"]
)
def test_what_no_test_is_set_up_by_leaves_it_the_same(project: Path, name: str) -> None:
    before = digest(project)
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text("1\n")
    assert digest(project) == before


def test_where_run_names_nothing_the_folder_counts(project: Path) -> None:
    before = digest(project, "-v")
    (project / "app/helper.py").write_text("1\n")
    assert digest(project, "-v") != before


def test_of_a_folder_that_is_not_there_nothing_is_said(project: Path) -> None:
    assert suite_digest(a_suite(run="tests", cwd=project / "nowhere")) is None


def test_of_what_another_runner_reads_nothing_is_said(project: Path) -> None:
    suite = a_suite(kind=SuiteKind.COMMAND, run="npx jest > {junit}", cwd=project / "app")
    assert suite_digest(suite) is None


def test_a_declared_suite_is_its_keys_and_no_file(project: Path) -> None:
    suite = a_suite(kind=SuiteKind.HTTP, run="", cwd=project, probe={"requests": [{"get": "/a"}]})
    before = suite_digest(suite)
    (project / "app/tests/e2e/test_a.py").write_text("2\n")
    assert suite_digest(suite) == before
    assert suite_digest(replace(suite, probe={"requests": [{"get": "/b"}]})) not in (before, None)
