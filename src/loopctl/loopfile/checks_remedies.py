"""Checks remedies: what goes with which, and where their globs lead."""

from __future__ import annotations

import os
from pathlib import Path

from loopctl.loopfile.chosen import Chosen
from loopctl.loopfile.nodes import Scalar, Table
from loopctl.loopfile.paths import glob_from_root
from loopctl.loopfile.problems import Problems

_WILD = frozenset("*?[")


def check_remedies(chosen: Chosen, problems: Problems) -> None:
    """Every rule and every glob of `remediate`."""
    for rule in chosen.document.items("remediate", "rules"):
        if isinstance(rule, Table):
            _check_rule(rule, problems)
    for glob in chosen.document.items("remediate", "may_edit"):
        if isinstance(glob, Scalar) and isinstance(glob.value, str):
            _check_glob(glob, chosen.root, problems)


def _check_rule(rule: Table, problems: Problems) -> None:
    runs = rule.text("do") == "run"
    if runs != (rule.get("command") is not None):
        problems.add(rule.mark, '"command" goes with `do: run`, and only with it')
    if not runs and rule.get("timeout") is not None:
        problems.add(rule.entries["timeout"].mark, '"timeout" goes with `do: run` only')
    if not runs and rule.get("branch") is not None:
        problems.add(rule.entries["branch"].mark, '"branch" goes with `do: run` only')


def _check_glob(glob: Scalar, root: Path, problems: Problems) -> None:
    """A glob that can match nothing would be noticed only when a remedy is refused for it."""
    from_root = glob_from_root(glob, root)
    if from_root == ".." or from_root.startswith("../"):
        problems.add(glob.mark, "this leads out of the project", "a remedy may not change that")
        return
    if glob.text.startswith("."):
        return
    written, meant = _fixed(glob.text), _fixed(from_root)
    if written and not os.path.lexists(root / meant) and os.path.lexists(root / written):
        here = os.path.relpath(root / glob.text, glob.mark.folder)
        problems.add(glob.mark, "a glob is relative to the file it is in", f"did you mean {here}?")


def _fixed(glob: str) -> str:
    """The folders before the first wildcard, or the whole name where there is none."""
    names = glob.split("/")
    wild = next((at for at, name in enumerate(names) if _WILD & set(name)), len(names))
    return "/".join(names[:wild])
