"""What git goes by in a repository besides its commits: settings, patterns of files, hooks.

Where it lies is read by hand (git-scm.com, "gitrepository-layout"): a repository that a remedy has
broken answers no question any more.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from loopctl.evidence.blobs import walk
from loopctl.ports.remedy import RemedyError
from loopctl.process import Stop, capture

EXCLUDES = "core.excludesFile"
"""The setting that names a file of patterns: what git ignores in all repositories of a user."""

_GIT_TIMEOUT_S = 60.0
_MOST = 1 << 20
_LEADS_HERE = b"gitdir:"
_FILES = ("config", "info/exclude", "info/attributes")

_ANOTHER_REPOSITORY = frozenset({"GIT_DIR", "GIT_COMMON_DIR"})
"""What git sets for a hook: the settings would be those of the hook's repository."""


def rule_files(top: Path) -> Iterator[Path]:
    """The files that the repository of the work tree `top` goes by; some may not exist.

    Of a linked work tree and of a submodule they lie elsewhere, and the file `.git` that leads
    there is one of them. A link counts as itself: what it leads to is a file like others.
    """
    marker = top / ".git"
    own = _own_folder(marker)
    if own != marker or marker.is_symlink():
        yield marker
    yield from (own / "commondir", own / "config.worktree")
    common = _common_folder(own)
    yield from (common / name for name in _FILES)
    hooks = common / "hooks"
    yield hooks
    if not hooks.is_symlink():
        yield from (hooks / name for name in walk(hooks))


def ignored_everywhere(top: Path, stop: Stop) -> str | None:
    """A hash of the patterns that `core.excludesFile` adds for that work tree, None without any.

    It does not matter where that is set: for the repository, the user or the machine. Raises
    `RemedyError` where git cannot be run.
    """
    file = _excludes_file(top, stop)
    if not file.is_file():
        return None
    try:
        size = file.stat().st_size
        with file.open("rb") as patterns:
            # No more than its size: a file of the kernel's may never end.
            said = patterns.read(min(size, _MOST))
    except OSError:
        return None  # git passes over what it cannot read
    return hashlib.sha256(b"%d\0%b" % (size, said)).hexdigest()


def _excludes_file(top: Path, stop: Stop) -> Path:
    """The file that is set, or git's own choice; it need not exist."""
    command = ["git", "config", "--type=path", "--get", EXCLUDES]
    environ = {k: v for k, v in os.environ.items() if k not in _ANOTHER_REPOSITORY}
    try:
        with stop.child(_GIT_TIMEOUT_S) as limited:
            end, out, _ = capture(command, cwd=top, env=environ, stop=limited)
    except OSError as error:
        raise RemedyError(f"git cannot be run: {error}", hint="install git") from error
    stop.remaining(0)
    if end.code == 0:
        return top / os.fsdecode(out.removesuffix(b"\n"))
    home = os.environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()
    return Path(home, "git", "ignore")


def _own_folder(marker: Path) -> Path:
    """The repository's folder, as far as it can be told: `.git` itself, or where it leads."""
    said = _said(marker)
    if not said.startswith(_LEADS_HERE):
        return marker
    return marker.parent / os.fsdecode(said.removeprefix(_LEADS_HERE).strip())


def _common_folder(own: Path) -> Path:
    """What the work trees of one repository share."""
    return own / os.fsdecode(_said(own / "commondir").strip())


def _said(path: Path) -> bytes:
    """What a small file says; nothing where there is none, or only a link."""
    if path.is_symlink() or not path.is_file():
        return b""
    try:
        with path.open("rb") as file:
            return file.read(_MOST).partition(b"\0")[0]
    except OSError:
        return b""
