"""What a remedy changes in a repository besides its commits is seen, with real git."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from loopctl.builders.git_source import GitSources
from loopctl.ports.remedy import WorkTreeState
from loopctl.process import Stop
from loopctl.remedies.work_tree import GitWorkTree


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def write(folder: Path, name: str, text: str = "1\n") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder without a setting in it."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_DIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


@pytest.fixture
def root(tmp_path: Path, home: Path) -> Path:
    root = tmp_path / "project"
    write(root, "app/app.py")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-qm", "one")
    return root


def read(root: Path, *sources: Path) -> WorkTreeState:
    return GitWorkTree(root, GitSources(), [], sources).read(Stop())


def changed(root: Path, remedy: Callable[[], object], *sources: Path) -> tuple[str, ...]:
    before = read(root, *sources)
    remedy()
    after = read(root, *sources)
    assert before.in_git
    assert after.in_git
    assert (before.digest == after.digest) is (before.files == after.files)
    return before.changed(after)


RULES = ("config", "config.worktree", "info/exclude", "info/attributes", "hooks/pre-commit")


@pytest.mark.parametrize("name", [*RULES, "hooks/post-commit.d/one"])
def test_what_git_goes_by_is_compared_by_content(root: Path, name: str) -> None:
    path = root / ".git" / name
    text = path.read_text() if path.exists() else ""
    assert changed(root, lambda: write(root, f".git/{name}", f"{text}# more\n")) == (
        f".git/{name}",
    )


def test_a_hook_that_is_made_executable_is_another(root: Path) -> None:
    hook = write(root, ".git/hooks/pre-push")
    assert changed(root, lambda: hook.chmod(0o755)) == (".git/hooks/pre-push",)


def test_a_setting_that_hides_new_files_is_seen_twice(root: Path) -> None:
    def hide() -> None:
        git(root, "config", "core.excludesFile", str(write(root, "app/hide", "*\n")))
        write(root, "deploy.sh")

    assert changed(root, hide) == (".git/config", ".git/core.excludesFile")


def test_patterns_of_the_users_own_that_hide_new_files_are_seen(root: Path, home: Path) -> None:
    def hide() -> None:
        write(home, ".config/git/ignore", "deploy.sh\n")
        write(root, "deploy.sh")

    assert changed(root, hide) == (".git/core.excludesFile",)


def test_a_setting_of_the_users_own_that_hides_new_files_is_seen(root: Path, home: Path) -> None:
    def hide() -> None:
        write(home, ".gitconfig", f"[core]\nexcludesFile = {write(root, 'app/hide', '*')}\n")
        write(root, "deploy.sh")

    assert changed(root, hide) == (".git/core.excludesFile",)


def test_other_settings_of_the_users_own_are_nobodys_business(root: Path, home: Path) -> None:
    write(home, ".config/git/ignore", ".venv/\n")
    write(root, ".venv/lib/x.py")

    def name_the_user() -> None:
        git(root, "config", "--global", "user.name", "somebody")
        # The same patterns by another name hide the same files.
        same = write(home, "patterns", ".venv/\n")
        git(root, "config", "--global", "core.excludesFile", str(same))

    assert changed(root, name_the_user) == ()
    assert not [path for path in read(root).files if path.startswith(".venv")]


@pytest.mark.parametrize("file", ["/proc/kmsg", "/dev/zero", "/", "nowhere", ""])
def test_patterns_that_never_end_harm_no_reading(root: Path, home: Path, file: str) -> None:
    write(home, ".gitconfig", f'[core]\nexcludesFile = "{file}"\n')
    assert "app/app.py" in read(root).files


def everyday_work(folder: Path) -> None:
    git(folder, "switch", "-q", "-c", "mended")
    write(folder, "app/app.py", "2\n")
    git(folder, "commit", "-qam", "mend it")
    git(folder, "tag", "mended-it")
    write(folder, "app/app.py", "3\n")
    git(folder, "stash", "-q")
    git(folder, "stash", "pop", "-q")
    git(folder, "add", ".")
    git(folder, "gc", "-q")
    git(folder, "branch", "-D", "main")


def test_a_commit_a_branch_and_the_index_are_a_remedys_to_change(root: Path) -> None:
    assert changed(root, lambda: everyday_work(root)) == ("app/app.py",)


@pytest.fixture
def linked(root: Path, tmp_path: Path) -> Path:
    """A linked work tree of the project's repository."""
    git(root, "worktree", "add", "-q", str(tmp_path / "linked"), "-b", "linked")
    return tmp_path / "linked"


@pytest.mark.parametrize("name", [name for name in RULES if name != "config.worktree"])
def test_a_linked_work_tree_goes_by_what_its_repository_says(
    root: Path, linked: Path, name: str
) -> None:
    text = (root / ".git/config").read_text() if name == "config" else ""
    where = f"../project/.git/{name}"
    assert changed(linked, lambda: write(root, f".git/{name}", f"{text}# more\n")) == (where,)


def test_a_linked_work_tree_that_is_led_to_another_repository_is_seen(
    root: Path, linked: Path, tmp_path: Path
) -> None:
    git(root, "clone", "-q", str(root), str(tmp_path / "another"))
    lead = f"gitdir: {tmp_path / 'another/.git'}\n"
    seen = changed(linked, lambda: write(linked, ".git", lead))
    assert ".git" in seen
    assert "../another/.git/config" in seen


def test_a_commit_in_a_linked_work_tree_is_a_remedys_to_make(linked: Path) -> None:
    def commit() -> None:
        write(linked, "app/app.py", "2\n")
        git(linked, "commit", "-qam", "mend it")

    assert changed(linked, commit) == ("app/app.py",)


def test_a_submodule_goes_by_what_its_own_repository_says(root: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(root), "library")
    git(root, "submodule", "--quiet", "add", "../library", "vendored/library")
    inner = root / "vendored/library"

    def settle() -> None:
        git(inner, "config", "core.hooksPath", "/tmp")
        write(root, ".git/modules/vendored/library/info/exclude", "*.py\n")

    modules = ".git/modules/vendored/library"
    expected = (f"{modules}/config", f"{modules}/info/exclude")
    assert changed(root, settle, inner / "app") == expected


def test_a_repository_that_was_made_around_a_source_is_seen(root: Path) -> None:
    seen = changed(root, lambda: git(root / "app", "init", "-q"), root / "app")
    assert "app/.git/config" in seen


@pytest.mark.parametrize("lead", ["gitdir: \0", "gitdir:", "gitdir: /nowhere", "nonsense", ""])
def test_a_link_to_a_repository_that_says_nonsense_is_told(root: Path, lead: str) -> None:
    before = read(root)
    (root / ".git").rename(root.parent / "elsewhere")
    write(root, ".git", lead)
    after = read(root)
    assert not after.in_git
    assert ".git/config" in before.changed(after)


@pytest.mark.parametrize("name", [".git/hooks", "app/tests"])
def test_a_link_that_may_lead_to_the_whole_machine_is_not_followed(root: Path, name: str) -> None:
    write(root, "../machine/conftest.py")
    tests = root / "app/tests"
    seen = GitWorkTree(root, GitSources(), [tests], loads_from=[tests])
    before = seen.read(Stop())
    if (root / name).exists():
        (root / name).rename(root.parent / "moved")
    (root / name).symlink_to(root.parent / "machine")
    after = seen.read(Stop())
    assert name in before.changed(after)
    assert not [path for path in after.files if path.startswith(f"{name}/")]


def test_the_hook_of_another_repository_does_not_lead_astray(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    git(tmp_path, "init", "-q", "other")
    git(other, "config", "core.excludesFile", str(write(tmp_path, "patterns", "*\n")))
    monkeypatch.setenv("GIT_DIR", os.fspath(other / ".git"))
    assert ".git/core.excludesFile" not in read(root).files
