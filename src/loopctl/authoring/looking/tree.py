"""The files of a repository that may be read: bounded in number, depth and size, no links."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

LIMIT_FILES: Final = 20_000
LIMIT_DEPTH: Final = 12
LIMIT_BYTES: Final = 256 * 1024
LIMIT_READ: Final = 64 * 1024 * 1024
_LINE: Final = 2_000
# What is made or brought by tools: nobody's source, and often huge.
_PASSED: Final = frozenset(
    {".git", ".hg", ".svn", "node_modules", ".venv", "venv", "env", "__pycache__", "site-packages"}
    | {".tox", ".nox", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".loopctl", ".idea"}
    | {"vendor", "third_party", "bower_components", ".next", ".nuxt", ".terraform", ".gradle"}
    | {"dist", "coverage", ".cache", ".eggs", "testdata"}
)


class Tree:
    """A folder's regular files by their POSIX paths from it, in the order of the alphabet.

    Links, special files and names that are not UTF-8 are left out; `passed_over` says what a
    limit has cut off.
    """

    def __init__(self, root: Path) -> None:
        self.root: Final = root
        self._why: dict[str, None] = {}
        self.files: Final = tuple(sorted(self._walk()))
        self._known: Final = frozenset(self.files)
        self._texts: dict[str, str] = {}
        self._room = LIMIT_READ

    @property
    def passed_over(self) -> tuple[str, ...]:
        """What was not looked at, and why."""
        return tuple(self._why)

    def pass_over(self, path: str, why: str) -> None:
        """Note that a file was not understood."""
        self._why[f"{path}: {why}"] = None

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        return path in self._known

    def has_folder(self, folder: str) -> bool:
        """Whether any file is in or below that folder; "." is the tree itself."""
        return any(True for _ in self.below(folder))

    def below(self, folder: str, *names: str) -> Iterator[str]:
        """The files in or below a folder whose names fit one of the patterns, all for none."""
        start = "" if folder in ("", ".") else f"{folder}/"
        for path in self.files:
            name = path.rpartition("/")[2]
            if path.startswith(start) and (not names or any(fnmatch(name, n) for n in names)):
                yield path

    def directly(self, folder: str, name: str) -> str | None:
        """That file right in a folder, None when there is none."""
        path = joined(folder, name)
        return path if self.has(path) else None

    def exists(self, folder: str, name: str) -> bool:
        """Whether anything is there, read or not: an interpreter in `.venv`, which is a link."""
        return (self.root / folder / name).exists()

    def text(self, path: str) -> str:
        """The text of a file, empty where it cannot be read; U+FFFD where it is not UTF-8."""
        if path not in self._texts:
            self._texts[path] = self._read(path) if self.has(path) else ""
        return self._texts[path]

    def lines(self, path: str) -> Sequence[str]:
        """Its lines, each cut at 2,000 characters."""
        return [line[:_LINE] for line in self.text(path).split("\n")]

    def _read(self, path: str) -> str:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(self.root / path, flags)
        except (OSError, ValueError):
            self._why[f"{path}: cannot be read"] = None
            return ""
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return ""
            if status.st_size > LIMIT_BYTES or self._room <= 0:
                self._why[f"{path}: too large ({status.st_size:,} bytes)"] = None
                return ""
            data = file.read(LIMIT_BYTES)
        self._room -= len(data)
        if b"\0" in data:
            return ""
        text = data.decode("utf-8-sig", "replace")
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def _walk(self) -> Iterator[str]:
        found, waiting = 0, [("", 0)]
        while waiting:
            folder, depth = waiting.pop()
            try:
                entries = sorted(os.scandir(self.root / folder), key=lambda entry: entry.name)
            except OSError:
                self._why[f"{folder or '.'}: cannot be read"] = None
                continue
            for entry in entries:
                if not _is_text(entry.name):
                    self._why[f"{folder or '.'}: a name in it is not UTF-8"] = None
                elif entry.is_dir(follow_symlinks=False):
                    if entry.name in _PASSED:
                        continue
                    if depth + 1 >= LIMIT_DEPTH:
                        self._why[f"{joined(folder, entry.name)}: too deep"] = None
                    else:
                        waiting.append((joined(folder, entry.name), depth + 1))
                elif entry.is_file(follow_symlinks=False):
                    found += 1
                    if found > LIMIT_FILES:
                        self._why[f"more than {LIMIT_FILES:,} files: the rest"] = None
                        return
                    yield joined(folder, entry.name)


def _is_text(name: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in name)


def joined(folder: str, name: str) -> str:
    """A path below a folder of the tree, without `.` and `..`; `..` beyond the tree stays."""
    return os.path.normpath(f"{folder or '.'}/{name}")


def folder_of(path: str) -> str:
    """The folder that a file is in; "." is the tree itself."""
    return path.rpartition("/")[0] or "."


def is_within(path: str, folder: str) -> bool:
    """Whether a path is the folder, or below it."""
    return folder in (".", path) or path.startswith(f"{folder}/")


def distance(path: str, folder: str) -> int:
    """How many folders a file is below one; more than there can be where it is not below it."""
    if not is_within(path, folder):
        return LIMIT_DEPTH + 1
    depth = 0 if folder == "." else folder.count("/") + 1
    return path.count("/") - depth
