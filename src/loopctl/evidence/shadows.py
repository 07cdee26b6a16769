"""Which file stands in front of another: Python takes the one, and the other is never run. Pure.

In one folder Python looks for a name as a package, then as an extension, then as a module; what
stands in front of a file makes an image run other code than the file that was proven.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import Final

_PACKAGE: Final = "__init__"
_CACHE: Final = "__pycache__"


def in_front_of(path: str) -> Sequence[str]:
    """The source files that are not run any more if there is a file or link at `path`.

    Whether they are there is for the caller to say. A `.pyc` counts too where no cache keeps it:
    it outlives its source.
    """
    folder, name = posixpath.split(path)
    stem, dot, rest = name.partition(".")
    if posixpath.basename(folder) == _CACHE or not stem:
        return ()
    beside = posixpath.join(folder, f"{stem}.py")
    is_module = bool(dot) and (rest in ("py", "pyc", "so") or rest.endswith(".so"))
    if stem == _PACKAGE and is_module:
        return (f"{folder}.py",) if rest == "py" else (f"{folder}.py", beside)
    return (beside,) if is_module and rest != "py" else ()


def as_package(path: str) -> str | None:
    """The source file that is not run any more if `path` is a folder, or a link to one, that
    holds a package; None where no package can have that name.
    """
    return f"{path}.py" if posixpath.basename(path).isidentifier() else None


def is_package(names: Sequence[str]) -> bool:
    """Whether a folder that holds these names is a package."""
    return any(
        stem == _PACKAGE and (rest in ("py", "pyc", "so") or rest.endswith(".so"))
        for stem, _, rest in (name.partition(".") for name in names)
    )
