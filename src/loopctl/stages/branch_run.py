"""A remedy's command in a clean work tree on a branch of its own; the user's is left alone."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from loopctl.errors import StorageError
from loopctl.files import ensure_private_dir, write_atomic
from loopctl.inert import decode
from loopctl.journal.store import Journal
from loopctl.model.events import Intent, RemedyEnded
from loopctl.model.state import StopReason
from loopctl.ports.remedy import Branches, RemedyCommand, RemedyError, WorkTree, WorkTreeState
from loopctl.process import Stop
from loopctl.stages.remedy_choice import Choice
from loopctl.stages.remedy_run import (
    Applied,
    RunCommand,
    Workshop,
    files_said,
    remedy_folder,
    state_of,
)

TREES: Final = "trees"
"""The folder of a run in which such work trees are, by cycle."""

_PRINTED_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Yard:
    """Where such work trees come from. `at` gives what runs a command in one, and what reads it."""

    run_id: str
    branches: Branches
    at: Callable[[Path], tuple[RemedyCommand, WorkTree]]


@dataclass(frozen=True, slots=True)
class _Place:
    branch: str
    folder: str
    tree: Path
    base: str


@dataclass(frozen=True, slots=True)
class _Own:
    """What the command must leave alone: the user's own work tree, and all other branches."""

    state: WorkTreeState
    refs: Mapping[str, str]


class RunOnBranch:
    """Runs a rule's command on a branch, and keeps there what it did."""

    def __init__(self, shop: Workshop, yard: Yard) -> None:
        self._shop = shop
        self._yard = yard

    def apply(
        self,
        choice: Choice,
        journal: Journal,
        stop: Stop,
        forbids: Callable[[str], str | None] = lambda _: None,
    ) -> Applied:
        """Run it; every fault of the command is its own, never the run's."""
        try:
            place = self._begun(journal, stop)
            own = _Own(self._shop.tree.read(stop), self._yard.branches.refs(stop))
            _keep(own, _kept(journal))
        except (RemedyError, StorageError) as error:
            return Applied("failed", _with_hint(error))
        detail = {"branch": place.branch, "work_tree": place.folder, "base": place.base}
        applied = self._inside(place).apply(choice, journal, stop, forbids, detail)
        return self._kept(applied, place, own, choice, journal, stop)

    def take_up(
        self,
        choice: Choice,
        begun: Intent,
        ended: RemedyEnded | None,
        journal: Journal,
        stop: Stop,
    ) -> Applied | None:
        """What a command did that a killed process had begun; None: do it again from the start."""
        told = begun.detail
        folder = str(told.get("work_tree", ""))
        place = _Place(str(told.get("branch")), folder, journal.folder / folder, str(told["base"]))
        own = _read(_kept(journal))
        if own is None:
            return Applied("failed", "what the project was before the remedy is not known any more")
        if not (place.tree / ".git").exists():
            if ended is None:
                return None
            try:
                self._yard.branches.again(place.tree, place.branch, stop)
            except RemedyError:
                return None
        applied = self._inside(place).take_up(choice, begun, ended, journal, stop)
        if applied is None:
            wrong = self._escaped(own, place, stop)
            return Applied("refused", wrong, ends=StopReason.REMEDY_REFUSED) if wrong else None
        return self._kept(applied, place, own, choice, journal, stop)

    def _begun(self, journal: Journal, stop: Stop) -> _Place:
        prior = journal.fold.branch_tree
        branches = self._yard.branches
        start = None
        if prior is not None:
            start = branches.refs(stop).get(f"refs/heads/{prior.branch}")
        cycle = journal.fold.cycle()
        commits = {s.source.commit for s in cycle.services.values() if s.source is not None}
        commit = commits.pop() if len(commits) == 1 else None
        branch = f"loopctl/{self._yard.run_id}/{journal.cycle}"
        folder = f"{TREES}/{journal.cycle}"
        tree = journal.folder / folder
        return _Place(branch, folder, tree, branches.begin(tree, branch, start, commit, stop))

    def _inside(self, place: _Place) -> RunCommand:
        command, tree = self._yard.at(place.tree)
        return RunCommand(replace(self._shop, command=command, tree=tree))

    def _kept(
        self,
        applied: Applied,
        place: _Place,
        own: _Own,
        choice: Choice,
        journal: Journal,
        stop: Stop,
    ) -> Applied:
        """What it did is on the branch; the work tree stays only where the next cycle builds it."""
        branches = self._yard.branches
        try:
            if applied.result == "proposed":
                branches.end(place.tree, stop)
                branches.forget(place.branch, stop)
                return applied
            wrong = self._escaped(own, place, stop)
            if wrong is not None:
                applied = replace(
                    applied, result="refused", detail=wrong, ends=StopReason.REMEDY_REFUSED
                )
            applied = replace(applied, printed=_printed(applied.output, journal))
            if applied.unsafe or wrong is not None:
                branches.end(place.tree, stop)
                return applied
            return self._on_branch(applied, place, choice, journal, stop)
        except RemedyError as error:
            return replace(applied, result="failed", detail=f"{applied.detail}; {error.what}")

    def _on_branch(
        self, applied: Applied, place: _Place, choice: Choice, journal: Journal, stop: Stop
    ) -> Applied:
        branches = self._yard.branches
        diff = remedy_folder(journal) / "branch.diff"
        said = f"{shlex.join(choice.command)}\n\nBy loopctl run {self._yard.run_id}"
        kept = branches.keep(
            place.tree, place.branch, place.base, diff, f"{said}, cycle {journal.cycle}", stop
        )
        goes_on = applied.result == "done" and applied.ends is None and kept.changed
        if not goes_on:
            branches.end(place.tree, stop)
        if not kept.changed:
            branches.forget(place.branch, stop)
            return applied
        return replace(
            applied,
            detail=f"{applied.detail}, on branch {place.branch}",
            branch=place.branch,
            work_tree=place.folder if goes_on else None,
            diff=str(diff.relative_to(journal.folder)),
            excerpt=kept.excerpt,
        )

    def _escaped(self, own: _Own, place: _Place, stop: Stop) -> str | None:
        """What it changed outside of its work tree and its branch, in words."""
        try:
            after = self._shop.tree.read(stop)
            refs = self._yard.branches.refs(stop)
        except RemedyError as error:
            return f"the project cannot be read any more after it: {error.what}"
        if own.state.in_git and not after.in_git:
            return "it has removed or broken the git repository; what it did is still there"
        if changed := own.state.changed(after):
            where = "outside of its branch, in the project itself"
            return f"it changed {files_said(changed)} {where}; what it did is still there"
        mine = f"refs/heads/{place.branch}"
        moved = [n for n, at in own.refs.items() if n != mine and refs.get(n) != at]
        if moved:
            return f"it moved or removed {files_said(tuple(moved))}; what it did is still there"
        return None


def _with_hint(error: RemedyError | StorageError) -> str:
    return f"{error.what} ({error.hint})" if error.hint else error.what


def _printed(output: str | None, journal: Journal) -> str:
    """The last of what it printed, which is redacted in its file."""
    if output is None:
        return ""
    try:
        with (journal.folder / output).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _PRINTED_BYTES))
            return decode(file.read(_PRINTED_BYTES)).strip()
    except OSError:
        return ""


def _kept(journal: Journal) -> Path:
    return remedy_folder(journal) / "project-before.json"


def _keep(own: _Own, path: Path) -> None:
    ensure_private_dir(path.parent)
    write_atomic(path, json.dumps(asdict(own)))


def _read(path: Path) -> _Own | None:
    try:
        document = json.loads(path.read_text("utf-8"))
        return _Own(state_of(document["state"]), dict(document["refs"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
