"""Names of modules that a test process imports before, or instead of, what was meant.

`python -m pytest` puts the folder it runs in before `PYTHONPATH` and before Python's own modules
(docs.python.org, "sys.path"), so a module there replaces one of the same name anywhere else.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from loopctl import evidence

MODULE_SUFFIXES = frozenset({".py", ".pyc", ".so", ".pyd"})

_OUR_PLUGINS = frozenset(
    path.stem for path in (Path(evidence.__file__).parent / "plugin").glob("*.py")
)
_JUDGES = _OUR_PLUGINS | {"pytest", "_pytest", "sitecustomize", "usercustomize"}
"""Refused anywhere: no service has a module of that name, and `PYTHONPATH` may lead to it."""

_LOADED_BY_PYTEST = frozenset(
    {"pluggy", "iniconfig", "packaging", "pygments", "exceptiongroup", "tomli", "coverage"}
)
_SHADOWED = sys.stdlib_module_names | _LOADED_BY_PYTEST


def replaces_a_module(path: str, run_in: Iterable[str]) -> bool:
    """Whether a module at `path` is taken for one that judges; `run_in`: where suites run.

    All paths are relative to the project root, which is `""`.
    """
    *folders, name = path.split("/")
    if not _JUDGES.isdisjoint([*folders, _module(name)]):
        return True
    return any(_directly_in(path, folder) in _SHADOWED for folder in run_in)


def _directly_in(path: str, folder: str) -> str:
    """The module or package that the path makes importable from the folder, or nothing."""
    if folder and not path.startswith(f"{folder}/"):
        return ""
    parts = path[len(folder) :].strip("/").split("/")
    if len(parts) == 1:
        return _module(parts[0])
    # Without an `__init__` a folder comes after every module of its name, wherever that is.
    return parts[0] if len(parts) == 2 and _module(parts[1]) == "__init__" else ""


def _module(name: str) -> str:
    """The module that a file is; a name without a suffix may be a link to a package."""
    suffix = PurePosixPath(name).suffix
    return name.partition(".")[0] if not suffix or suffix in MODULE_SUFFIXES else ""
