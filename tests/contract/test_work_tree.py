"""What a remedy changed is seen, with real git and real files."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from loopctl.builders.git_source import GitSources
from loopctl.ports.remedy import RemedyError
from loopctl.process import Stop
from loopctl.remedies.work_tree import GitWorkTree


def git(folder: Path, *arguments: str) -> None:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=20)


def write(root: Path, name: str, text: str = "1\n") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for name in ("app/app.py", "app/tests/test_a.py", "loops/shop.yaml"):
        write(root, name)
    write(root, ".gitignore", "*.log\nignored/\n")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "one")
    return root


def tree(root: Path, *always: str, **more: tuple[Path, ...]) -> GitWorkTree:
    return GitWorkTree(root, GitSources(), [root / name for name in always], **more)


def test_what_was_added_changed_removed_or_made_executable_is_named(root: Path) -> None:
    seen = tree(root)
    before = seen.read(Stop())
    write(root, "app/app.py", "2\n")
    write(root, "app/new.py")
    (root / "app/tests/test_a.py").unlink()
    (root / "loops/shop.yaml").chmod(0o755)
    after = seen.read(Stop())
    expected = ("app/app.py", "app/new.py", "app/tests/test_a.py", "loops/shop.yaml")
    assert before.changed(after) == expected
    assert before.in_git
    assert after.in_git
    assert before.digest != after.digest


def test_an_untouched_tree_is_the_same_tree(root: Path) -> None:
    before = tree(root).read(Stop())
    write(root, "debug.log")
    write(root, "app/__pycache__/app.cpython-311.pyc")
    write(root, ".loopctl/runs/1/journal.jsonl")
    write(root, "app/.pytest_cache/v/lastfailed")
    (root / "app/app.py").touch()
    git(root, "commit", "-q", "--allow-empty", "-m", "two")
    after = tree(root).read(Stop())
    assert before.changed(after) == ()
    assert before.digest == after.digest


def test_a_change_that_git_is_told_not_to_see_is_seen(root: Path) -> None:
    seen = tree(root, "app/tests", "app/conftest.py")
    before = seen.read(Stop())
    git(root, "update-index", "--assume-unchanged", "app/app.py")
    write(root, "app/app.py", "2\n")
    write(root, ".git/info/exclude", "conftest.py\nhelper.py\n")
    write(root, "app/conftest.py")
    write(root, "app/tests/helper.py")
    hidden = ("app/app.py", "app/conftest.py", "app/tests/helper.py")
    assert before.changed(seen.read(Stop())) == (".git/info/exclude", *hidden)


def test_ignored_files_of_tests_are_read_and_others_are_not(root: Path) -> None:
    write(root, "ignored/tests/test_b.py")
    write(root, "ignored/other.py")
    write(root, "ignored/tests/__pycache__/x.pyc")
    files = tree(root, "ignored/tests").read(Stop()).files
    assert "ignored/tests/test_b.py" in files
    assert not {"ignored/other.py", "ignored/tests/__pycache__/x.pyc"} & files.keys()


def test_a_submodules_source_is_read_too(root: Path) -> None:
    inner = root / "vendored"
    write(inner, "lib.py")
    git(inner, "init", "-q")
    git(inner, "add", ".")
    git(inner, "commit", "-qm", "one")
    seen = tree(root, sources=(inner,))
    before = seen.read(Stop())
    write(inner, "lib.py", "2\n")
    assert before.changed(seen.read(Stop())) == ("vendored/lib.py",)


def test_a_repository_that_was_broken_or_deleted_is_told_and_harms_no_reading(root: Path) -> None:
    write(root, "debug.log")
    before = tree(root).read(Stop())
    (root / ".git" / "HEAD").write_text("nonsense")
    write(root, "app/app.py", "2\n")
    broken = tree(root).read(Stop())
    assert not broken.in_git
    # What git ignored is not taken for something that was added.
    assert before.changed(broken) == ("app/app.py",)
    subprocess.run(["rm", "-rf", ".git"], cwd=root, check=True, timeout=10)
    assert not tree(root).read(Stop()).in_git


def test_a_repository_above_does_not_stand_in_for_one_that_was_deleted(root: Path) -> None:
    git(root.parent, "init", "-q")
    subprocess.run(["rm", "-rf", ".git"], cwd=root, check=True, timeout=10)
    assert not tree(root).read(Stop()).in_git


def test_without_git_all_files_count_but_for_what_is_nobodys(tmp_path: Path) -> None:
    for name in ("app.py", ".venv/lib/x.py", "runs/1/journal.jsonl", "node_modules/a.js"):
        write(tmp_path, name)
    seen = tree(tmp_path, leave_out=(tmp_path / "runs",)).read(Stop())
    assert list(seen.files) == ["app.py"]
    assert not seen.in_git


def test_links_count_by_what_they_say_and_pipes_are_not_read(root: Path) -> None:
    seen = tree(root, "app/tests")
    before = seen.read(Stop())
    (root / "app/tests/test_a.py").unlink()
    (root / "app/tests/test_a.py").symlink_to("/dev/zero")
    os.mkfifo(root / "app/tests/pipe")
    changed = before.changed(seen.read(Stop()))
    assert changed == ("app/tests/pipe", "app/tests/test_a.py")


def test_a_project_that_is_gone_is_an_error(root: Path) -> None:
    subprocess.run(["rm", "-rf", str(root)], check=True, timeout=10)
    with pytest.raises(RemedyError, match="does not exist"):
        tree(root).read(Stop())


def test_names_that_are_not_utf_8_are_compared_too(root: Path) -> None:
    seen = tree(root)
    before = seen.read(Stop())
    (Path(os.fsdecode(os.fsencode(root / "app") + b"/\xff.py"))).write_text("1\n")
    assert before.changed(seen.read(Stop())) == ("app/\udcff.py",)


@pytest.mark.parametrize(
    "name",
    [
        *("loopctl_evidence.pyc", "helper.py", "native.so", "pytest/__init__.py"),
        *("x.egg-info/entry_points.txt", "deep/below/conftest.py"),
    ],
)
def test_what_tests_load_by_themselves_is_seen_although_git_ignores_it(
    root: Path, name: str
) -> None:
    write(root, "app/.gitignore", "*\n")
    seen = tree(root, loads_from=(root / "app",))
    before = seen.read(Stop())
    write(root, f"app/{name}")
    assert before.changed(seen.read(Stop())) == (f"app/{name}",)


def test_a_link_to_a_package_is_seen_although_git_ignores_it(root: Path) -> None:
    write(root, "app/.gitignore", "*\n")
    seen = tree(root, loads_from=(root / "app",))
    before = seen.read(Stop())
    (root / "app/pytest").symlink_to("../ignored")
    assert before.changed(seen.read(Stop())) == ("app/pytest",)


@pytest.mark.parametrize(
    "name", ["notes.txt", "deep/helper.py", ".venv/conftest.py", "node_modules/conftest.py"]
)
def test_what_git_ignores_and_no_test_loads_is_not_read(root: Path, name: str) -> None:
    write(root, "app/.gitignore", "*\n")
    write(root, f"app/{name}")
    assert f"app/{name}" not in tree(root, loads_from=(root / "app",)).read(Stop()).files


def test_a_compiled_module_that_is_source_is_compared(root: Path) -> None:
    seen = tree(root)
    before = seen.read(Stop())
    write(root, "app/compiled.pyc")
    assert before.changed(seen.read(Stop())) == ("app/compiled.pyc",)


def test_what_is_compiled_is_forgotten_and_nothing_else(root: Path) -> None:
    gone = [
        write(root, "app/tests/__pycache__/test_a.cpython-311-pytest-8.pyc"),
        write(root, "__pycache__/conftest.cpython-311.pyc"),
        write(root, "../beside/tests/__pycache__/test_b.cpython-311.pyc"),
    ]
    (root / "app/__pycache__").symlink_to(root / "ignored")
    kept = [
        write(root, "ignored/linked.pyc"),
        write(root, "app/compiled.pyc"),
        write(root, "app/tests/__pycache__/notes.txt"),
        write(root, ".loopctl/images/1/__pycache__/app.pyc"),
        write(root, "runs/images/1/__pycache__/app.pyc"),
        write(root, ".venv/lib/__pycache__/x.pyc"),
        write(root, "../another/__pycache__/x.pyc"),
    ]
    seen = tree(root, "..", "../beside/tests", leave_out=(root / "runs",))
    before = seen.read(Stop())
    seen.forget_compiled(Stop())
    assert not [path for path in gone if path.exists()]
    assert all(path.exists() for path in kept)
    assert not (root / "app/__pycache__").is_symlink()
    assert before.changed(seen.read(Stop())) == ()
