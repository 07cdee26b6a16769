"""The files that a suite is made of, told from other ones by a hash."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator
from pathlib import Path

from loopctl.evidence.blobs import blob_of
from loopctl.model.plan import SuiteSpec

_TEST_FILES = ("*.py", "*.ini", "*.toml", "*.cfg", "*.json", "*.yaml", "*.yml")
_NOBODYS = frozenset({".git", ".loopctl", ".venv", "node_modules", "__pycache__"})
_SETTINGS = ("conftest.py", "pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
_MOST = 5000


def suite_digest(spec: SuiteSpec) -> str | None:
    """A hash over what the suite runs and is set up by, as it is now; None: it cannot be told.

    It covers what `run` names below the suite's folder, the folder itself where it names nothing,
    and the settings beside them. Of more than 5,000 files nothing is said.
    """
    found = hashlib.sha256()
    files = sorted(set(_files(spec)))
    if len(files) > _MOST:
        return None
    for path in files:
        try:
            blob, _ = blob_of(path)
        except OSError:
            return None
        found.update(f"{path}\0{blob}\n".encode("utf-8", "surrogateescape"))
    return f"sha256:{found.hexdigest()}"


def _files(spec: SuiteSpec) -> Iterator[Path]:
    for named in _named(spec):
        yield from _below(named) if named.is_dir() else (named,)
        for folder in (named, *named.parents):
            yield from (p for name in _SETTINGS if (p := folder / name).is_file())
            if folder == spec.cwd:
                break


def _named(spec: SuiteSpec) -> list[Path]:
    try:
        words = shlex.split(spec.run)
    except ValueError:
        words = []
    paths = [spec.cwd / word.partition("::")[0] for word in words if not word.startswith("-")]
    return [path for path in paths if path.exists()] or [spec.cwd]


def _below(folder: Path) -> Iterator[Path]:
    for pattern in _TEST_FILES:
        for path in folder.rglob(pattern):
            inside = path.relative_to(folder).parts
            if path.is_file() and not _NOBODYS.intersection(inside):
                yield path
