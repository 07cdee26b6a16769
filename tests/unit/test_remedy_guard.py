"""A remedy may mend the services' sources, and nothing that decides about green."""

from __future__ import annotations

from pathlib import Path

import pytest
from loopfile_project import MINIMAL, SERVICE, plan_of, project

from loopctl.evidence.path_glob import covers
from loopctl.stages.remedy_guard import Guard, always_read, forbidden, guard_of, loads_from

LOOP = f"""\
{SERVICE}suites:
  - id: smoke
    run: tests/e2e/test_smoke.py::test_one -m p1 --cov chat -c conf/strict.ini
    cwd: ../app
    python: .venv/bin/python
signatures: [known.yaml]
"""


def guard(folder: Path, text: str = LOOP) -> Guard:
    (folder / "loops").mkdir(exist_ok=True)
    (folder / "loops" / "known.yaml").touch()
    return guard_of(plan_of(project(folder, text)))


@pytest.mark.parametrize(
    "path", ["app/app.py", "app/chat/answers.py", "app/Dockerfile", "app/requirements.txt"]
)
def test_a_services_source_may_be_mended(tmp_path: Path, path: str) -> None:
    assert forbidden([path], guard(tmp_path)) == ()


@pytest.mark.parametrize(
    "path",
    [
        "loops/demo.yaml",
        "loops/known.yaml",
        "README.md",
        ".gitignore",
        "application/app.py",
        "app/tests/e2e/test_smoke.py",
        "app/tests/e2e/client.py",
        "app/tests/client.py",
        "app/chat/test_units.py",
        "app/chat/units_test.py",
        "app/web/login.spec.ts",
        "app/web/__tests__/helpers.js",
        "app/chat/units_test.go",
        "app/loopctl_tcp.py",
        "app/chat/tests/factories.py",
        "app/conftest.py",
        "app/chat/conftest.py",
        "conftest.py",
        "app/pytest.ini",
        "app/.pytest.ini",
        "app/pyproject.toml",
        "app/tests/setup.cfg",
        "tox.ini",
        "app/.coveragerc",
        "app/conf/strict.ini",
        "app/sitecustomize.py",
        "app/chat/usercustomize.py",
        "app/chat/sitecustomize/__init__.py",
        "app/loopctl_evidence.pyc",
        "app/loopctl_select.cpython-311-x86_64-linux-gnu.so",
        "app/chat/pytest.py",
        "app/pytest/__init__.py",
        "app/pytest",
        "app/_pytest/runner.py",
        "app/pluggy.py",
        "app/json/__init__.py",
        ".git/info/exclude",
        "app/x.pth",
        "app/chat.egg-info/entry_points.txt",
        "app/.venv/bin/python",
        "../elsewhere/app.py",
    ],
)
def test_what_decides_about_green_may_not_be_changed(tmp_path: Path, path: str) -> None:
    assert forbidden(["app/app.py", path], guard(tmp_path)) == (path,)


@pytest.mark.parametrize(
    "path", ["app/chat/json.py", "app/secrets/prod.yaml", "app/pytest.md", "app/data.json"]
)
def test_a_name_that_replaces_no_module_of_the_tests_is_the_services_own(
    tmp_path: Path, path: str
) -> None:
    assert forbidden([path], guard(tmp_path)) == ()


def test_settings_that_no_suite_is_below_are_the_services_own(tmp_path: Path) -> None:
    assert forbidden(["app/chat/pyproject.toml"], guard(tmp_path)) == ()


def test_the_value_of_an_option_is_no_test(tmp_path: Path) -> None:
    assert forbidden(["app/chat/a.py", "app/p1/b.py"], guard(tmp_path)) == ()


@pytest.mark.parametrize("run", [".", "-m p1", "-v ./"])
def test_a_suite_in_the_source_itself_guards_its_tests_and_not_the_source(
    tmp_path: Path, run: str
) -> None:
    text = LOOP.replace("tests/e2e/test_smoke.py::test_one -m p1 --cov chat", f'"{run}" #')
    judged = guard(tmp_path, text)
    assert forbidden(["app/app.py", "app/chat/answers.py"], judged) == ()
    wrong = ("app/test_a.py", "app/tests/client.py")
    assert forbidden(wrong, judged) == wrong


COMMAND = f"""\
{SERVICE}suites:
  - id: ui
    kind: command
    run: RUN
    cwd: ../app
"""


@pytest.mark.parametrize(
    "path", ["package.json", "jest.config.js", "playwright.config.ts", "Makefile", "pom.xml"]
)
def test_what_says_what_a_command_runs_may_not_be_changed(tmp_path: Path, path: str) -> None:
    made = guard(tmp_path, COMMAND.replace("RUN", "npm run e2e -- --outputFile={junit}"))
    assert forbidden([f"app/{path}"], made) == (f"app/{path}",)
    assert forbidden(["app/web/index.js", f"app/web/{path}"], made) == ()
    assert forbidden([f"app/{path}"], guard(tmp_path)) == (), "pytest reads none of it"


@pytest.mark.parametrize(
    "run",
    [
        "./ci/e2e.sh {junit}",
        "bash -ec './ci/e2e.sh {junit}'",
        "if true; then ./ci/e2e.sh>{junit}; fi",
        "runner --script=ci/e2e.sh -o {junit}",
    ],
)
def test_a_script_that_a_shell_line_names_may_not_be_changed(tmp_path: Path, run: str) -> None:
    text = COMMAND.replace("RUN", f'"{run}"')
    assert forbidden(["app/ci/e2e.sh", "app/app.py"], guard(tmp_path, text)) == ("app/ci/e2e.sh",)


def test_a_word_that_is_a_whole_script_names_no_file(tmp_path: Path) -> None:
    script = "echo a; " * 100
    made = guard(
        tmp_path, COMMAND.replace("RUN", f"bash -c '{script} cat ci/made.xml > {{junit}}'")
    )
    assert forbidden(["app/ci/made.xml"], made) == ("app/ci/made.xml",)
    assert max(map(len, made.tests)) < 300


def test_a_suite_with_a_folder_of_its_own_guards_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "checks").mkdir()
    text = MINIMAL.replace("../app", "..").replace("run: tests", "run: -v\n    cwd: ../checks")
    assert forbidden(["checks/client.py"], guard(tmp_path, text)) == ("checks/client.py",)
    assert forbidden(["app/app.py"], guard(tmp_path, text)) == ()


def test_a_project_below_a_folder_called_tests_has_sources_all_the_same() -> None:
    judged = Guard(("tests/demo/app",), (), ("tests/demo/app/smoke",), ("tests/demo/app",), ())
    assert forbidden(["tests/demo/app/app.py"], judged) == ()
    assert forbidden(["tests/demo/app/smoke/x.py"], judged) == ("tests/demo/app/smoke/x.py",)


def test_what_may_be_edited_is_named_from_its_own_file_and_wins(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    globs = "['../docs/**', ../app/tests/e2e, ./*.yaml, '../app/conftest.py']"
    judged = guard(tmp_path, LOOP + f"remediate: {{may_edit: {globs}}}\n")
    assert judged.may_edit == ("docs/**", "app/tests/e2e", "loops/*.yaml", "app/conftest.py")
    allowed = ["docs/a/b.md", "app/tests/e2e/test_smoke.py", "loops/demo.yaml", "app/conftest.py"]
    assert forbidden(allowed, judged) == ()
    assert forbidden(["app/tests/client.py"], judged) == ("app/tests/client.py",)


def test_a_path_reached_through_a_link_counts_by_both_its_names(tmp_path: Path) -> None:
    (tmp_path / "real" / "tests").mkdir(parents=True)
    (tmp_path / "real" / "app.py").touch()
    (tmp_path / "linked").symlink_to("real")
    text = MINIMAL.replace("../app", "../linked").replace(
        "run: tests", "run: checks\n    cwd: ../linked"
    )
    judged = guard(tmp_path, text)
    assert forbidden(["real/app.py"], judged) == ()
    assert forbidden(["real/checks/a.py"], judged) == ("real/checks/a.py",)


def test_a_changed_link_counts_as_itself(tmp_path: Path) -> None:
    assert forbidden(["app/tests"], guard(tmp_path)) == ("app/tests",)


def test_what_git_ignores_is_compared_where_it_decides(tmp_path: Path) -> None:
    read = {str(path.relative_to(tmp_path)) for path in always_read(guard(tmp_path), tmp_path)}
    assert {"loops/demo.yaml", "loops/known.yaml", "app/tests", "app/conftest.py"} <= read
    assert {"pytest.ini", "app/pytest.ini", "app/tests/pytest.ini", ".git/info/exclude"} <= read
    assert {"conftest.py", "app/tests/conftest.py", "app/tests/e2e/conftest.py"} <= read
    assert not {"app", ".", ""} & read


def test_tests_load_from_where_they_run_and_where_they_are(tmp_path: Path) -> None:
    judged = guard(tmp_path)
    read = {str(path.relative_to(tmp_path)) for path in loads_from(judged, tmp_path)}
    assert {"app", "app/tests", "app/tests/e2e"} <= read
    assert not {".", "loops"} & read


@pytest.mark.parametrize(
    ("glob", "path", "expected"),
    [
        ("docs/*.md", "docs/a.md", True),
        ("docs/*.md", "docs/a/b.md", False),
        ("docs/**", "docs/a/b.md", True),
        ("docs/**/b.md", "docs/b.md", True),
        ("**/b.md", "docs/a/b.md", True),
        ("**/a/**/c", "x/a/y/a/c", True),
        ("docs", "docs/a/b.md", True),
        ("docs/", "docs/a.md", True),
        ("docs", "docs2/a.md", False),
        ("*", "docs/a.md", False),
        ("*", "a.md", True),
        ("[ab].md", "b.md", True),
        ("?.md", "bc.md", False),
        ("", "a", False),
        (".", "a", False),
        ("A.md", "a.md", False),
        ("**", "any/thing", True),
    ],
)
def test_a_glob_names_what_it_says(glob: str, path: str, expected: bool) -> None:
    assert covers(glob, path) is expected


def test_a_glob_of_many_stars_takes_no_time() -> None:
    assert not covers("/".join(["**", "*a*"] * 40), "/".join(["aaaaaaaaaaaaaaaaaaaa"] * 60 + ["b"]))
