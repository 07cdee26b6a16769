"""Tells loops from the files beside them that are only parts of loops."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from loopctl.errors import UsageError
from loopctl.loopfile.extends import Files, read_extended
from loopctl.loopfile.find import project_root
from loopctl.loopfile.nodes import Scalar
from loopctl.loopfile.paths import written_path
from loopctl.loopfile.problems import Problems
from loopctl.loopfile.variables import Filler


def parts_of_others(paths: Sequence[Path], variables: Mapping[str, str]) -> frozenset[Path]:
    """Those of `paths` that a loop among them extends, or names as a file of signatures.

    Only what a loop reads that no other one extends is a part: of files that extend each other in
    a ring, or themselves, none is, so that somebody is told. Raises nothing: a file that cannot be
    read is told by whoever loads it.
    """
    real = {path: os.path.realpath(path) for path in paths}
    named = {real[path]: _named(path, variables) - {real[path]} for path in paths}
    within: frozenset[str] = frozenset().union(*named.values())
    parts = frozenset().union(*(files for path, files in named.items() if path not in within))
    return frozenset(path for path in paths if real[path] in parts)


def _named(path: Path, variables: Mapping[str, str]) -> frozenset[str]:
    """The real paths of all that a loop file is made of, and of its signatures."""
    problems = Problems()
    files = Files(project_root(path), variables, problems)
    filler = Filler(variables, problems)
    signatures: list[Path] = []
    try:
        whole = read_extended(path, files)
        written = [node for node in whole.items("signatures") if isinstance(node, Scalar)]
        signatures += [written_path(filler.scalar(node, needed=True)) for node in written]
    except UsageError:
        # What was read until then is known all the same.
        pass
    read = (files.root / name for name in files.digests)
    return frozenset(os.path.realpath(part) for part in (*read, *signatures))
