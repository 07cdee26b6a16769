"""The files that a suite is made of, told from other ones by a hash."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from loopctl.evidence.blobs import blob_of
from loopctl.model.plan import SuiteKind, SuiteSpec
from loopctl.stages.suite_paths import (
    CONFTEST,
    SETTINGS,
    places_of_tests,
    searched_for_settings,
    settings_of,
)

_TEST_FILES = (".py", ".ini", ".toml", ".cfg", ".json", ".yaml", ".yml")
_NOBODYS = frozenset({".git", ".loopctl", ".venv", "node_modules", "__pycache__"})
_MOST = 5000


def suite_digest(spec: SuiteSpec) -> str | None:
    """A hash over what the suite runs and is set up by, as it is now; None: it cannot be told.

    It covers what `run` names, the suite's folder where it names nothing, and the settings that
    pytest reads, by their content whatever links lead to it. Of more than 5,000 files nothing is
    said, nor of what another runner would read. A suite declared in the loop file is its keys.
    """
    if spec.probe is not None:
        declared = json.dumps(spec.probe, sort_keys=True, default=str)
        return f"sha256:{hashlib.sha256(declared.encode()).hexdigest()}"
    if spec.kind is not SuiteKind.PYTEST:
        return None
    found = hashlib.sha256()
    files = sorted(set(_files(spec)))
    if len(files) > _MOST:
        return None
    for path in files:
        try:
            blob, _ = blob_of(path.resolve())
        except OSError:
            return None
        found.update(f"{path}\0{blob}\n".encode("utf-8", "surrogateescape"))
    return f"sha256:{found.hexdigest()}"


def _files(spec: SuiteSpec) -> Iterator[Path]:
    tests = [path for path in places_of_tests(spec) if path.exists()] or [spec.cwd]
    for named in tests:
        yield from _below(named) if named.is_dir() else (named,)
    folders = searched_for_settings([spec.cwd, *tests])
    beside = (folder / name for folder in folders for name in (*SETTINGS, CONFTEST))
    yield from (path for path in (*settings_of(spec), *beside) if path.is_file())


def _below(folder: Path) -> Iterator[Path]:
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _NOBODYS]
        paths = (Path(here, name) for name in files if name.endswith(_TEST_FILES))
        yield from (path for path in paths if path.is_file())
