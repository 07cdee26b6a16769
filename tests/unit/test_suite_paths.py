"""What the words of `run` name, for all who ask: which are tests, and which are settings."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from loop_rig import a_suite

from loopctl.stages.suite_paths import (
    Named,
    named_by,
    places_of_tests,
    searched_for_settings,
    settings_of,
)


@pytest.mark.parametrize(
    ("run", "tests", "settings"),
    [
        ("tests", ("tests",), ()),
        ("tests/test_a.py::test_it 'with space'", ("tests/test_a.py", "with space"), ()),
        ("-m p1 --cov chat -k 'a or b' tests", ("tests",), ()),
        ("-v --tb=short", (), ()),
        ("-c conf/a.ini tests", ("tests",), ("conf/a.ini",)),
        ("-cconf/a.ini", (), ("conf/a.ini",)),
        ("--config-file=a.toml --cov-config b.cfg", (), ("a.toml", "b.cfg")),
        ("@args.txt", (), ("args.txt",)),
        (
            "-p no:cacheprovider -p strict.plugin",
            (),
            ("strict/plugin.py", "strict/plugin/__init__.py"),
        ),
        ("-pstrict", (), ("strict.py", "strict/__init__.py")),
        ("tests -c", ("tests",), ()),
        ("tests 'unclosed", ("tests", "'unclosed"), ()),
        ("", (), ()),
    ],
)
def test_a_word_of_run_names_tests_or_settings_or_nothing(
    run: str, tests: tuple[str, ...], settings: tuple[str, ...]
) -> None:
    assert named_by(run) == Named(tests, settings)


@pytest.mark.parametrize("run", ["", "-v", "-c a.ini", "--reruns 2"])
def test_a_suite_whose_run_names_no_file_has_its_tests_in_its_folder(
    tmp_path: Path, run: str
) -> None:
    assert tmp_path in places_of_tests(a_suite(run=run, cwd=tmp_path))


def test_a_suite_whose_run_names_tests_has_them_there_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    suite = a_suite(run="./tests ../other -c ../a.ini", cwd=tmp_path)
    assert places_of_tests(suite) == (tmp_path / "tests", tmp_path.parent / "other")
    assert settings_of(suite) == (tmp_path.parent / "a.ini",)


def test_settings_are_searched_for_from_the_tests_and_from_their_folder_upwards() -> None:
    places = [PurePosixPath("app"), PurePosixPath("app/tests/e2e"), PurePosixPath("../beside")]
    found = [str(folder) for folder in searched_for_settings(places)]
    assert found == ["app", ".", "app/tests/e2e", "app/tests", "../beside", ".."]
