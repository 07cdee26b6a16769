"""A remedy that is a command: what it is given, and what it may and may not have done."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from loopctl.errors import StorageError
from loopctl.files import ensure_private_dir, write_atomic
from loopctl.journal.store import Journal
from loopctl.model.events import Intent, NotChecked, RemedyEnded
from loopctl.model.state import StopReason
from loopctl.ports.remedy import CommandEnd, RemedyCommand, RemedyError, WorkTree, WorkTreeState
from loopctl.process import Stop
from loopctl.stages.remedy_choice import Choice
from loopctl.stages.remedy_guard import Guard, forbidden, in_sources, relaxable

NEEDS_A_PERSON = 75
"""The exit code by which a remedy's command hands over (EX_TEMPFAIL of sysexits.h)."""

_NAMED = 5
_MOST_JUDGING = 100


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of a remedy. `ends` is why the loop ends with it; None: it goes on.

    `output` is the file with what a command printed, below the run's folder. `on` tells the
    sources that it was done on, `mended` and `seen` what a look right after it has shown, `memory`
    in bytes what the `service` is given from now on. `unsafe`: git itself is not to be trusted any
    more there. The others are as in `RemedyDecided`.
    """

    result: Literal["done", "failed", "refused", "proposed"]
    detail: str
    changed_source: bool = False
    ends: StopReason | None = None
    output: str | None = None
    on: str = ""
    mended: bool | None = None
    seen: str = ""
    memory: int | None = None
    service: str | None = None
    unsafe: bool = False
    branch: str | None = None
    work_tree: str | None = None
    diff: str | None = None
    excerpt: str = ""
    printed: str = ""
    judging: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Workshop:
    """What a remedy's command is run with.

    `bundle` fills the folder that the command is given; `variables` are the contract's but for the
    bundle's and the cycle's; `protected`: what it changes is not deployed by this run.
    """

    command: RemedyCommand
    tree: WorkTree
    guard: Guard
    bundle: Callable[[Path, Journal], None]
    variables: Mapping[str, str]
    protected: bool


_HERE: Final[Mapping[str, str]] = {}


class RunCommand:
    """Runs a rule's command and looks at what it has changed."""

    def __init__(self, workshop: Workshop) -> None:
        self._shop = workshop

    def apply(
        self,
        choice: Choice,
        journal: Journal,
        stop: Stop,
        forbids: Callable[[str], str | None] = lambda _: None,
        place: Mapping[str, str] = _HERE,
    ) -> Applied:
        """Run it; every fault of the command is its own, never the run's.

        `forbids` tells by the digest of the work tree why it is not to be run on that, `place` is
        what its intent tells besides.
        """
        try:
            before = self._shop.tree.read(stop)
            if (why := forbids(before.digest)) is not None:
                return Applied("proposed", f"{choice.detail}; not done by itself: {why}")
            _keep(before, _kept(journal))
            bundle = journal.folder / "bundle" / str(journal.cycle)
            self._shop.bundle(bundle, journal)
            output = _next_output(choice, journal)
            end = self._run(choice, before, bundle, output, journal, stop, place)
        except (RemedyError, StorageError) as error:
            return Applied("failed", error.what)
        if end.output_lost:
            journal.append(NotChecked("what the remedy printed", end.output_lost))
        return self._judged(before, self._after(stop), end, choice)

    def take_up(
        self,
        choice: Choice,
        begun: Intent,
        ended: RemedyEnded | None,
        journal: Journal,
        stop: Stop,
    ) -> Applied | None:
        """A command that was begun by a process that was killed: what it did; None: do it again.

        Where nobody has seen its end, the work tree decides: one that has changed is its doing.
        """
        before = read_state(_kept(journal))
        after = self._after(stop)
        tree = begun.detail.get("tree")
        if before is None or before.digest != tree:
            detail = "what the work tree was before the remedy is not known any more"
            return Applied("failed", detail)
        if ended is not None:
            return self._judged(before, after, ended, choice)
        if isinstance(after, WorkTreeState) and after.digest == tree:
            return None
        return self._judged(before, after, _UNSEEN, choice)

    def _run(
        self,
        choice: Choice,
        before: WorkTreeState,
        bundle: Path,
        output: Path,
        journal: Journal,
        stop: Stop,
        place: Mapping[str, str],
    ) -> RemedyEnded:
        detail = {"rule": choice.rule, "action": choice.action, "tree": before.digest, **place}
        variables = {
            **self._shop.variables,
            "LOOPCTL_BUNDLE": str(bundle),
            "LOOPCTL_CYCLE": str(journal.cycle),
        }
        with journal.effect(Intent("remedy", f"{journal.cycle}/{choice.rule}", detail)):
            end = self._shop.command.run(choice.command, variables, output, choice.timeout_s, stop)
            ended = _as_event(end, str(output.relative_to(journal.folder)))
            journal.append(ended)
        return ended

    def _after(self, stop: Stop) -> WorkTreeState | RemedyError:
        try:
            self._shop.tree.forget_compiled(stop)
            return self._shop.tree.read(stop)
        except RemedyError as error:
            return error

    def _judged(
        self,
        before: WorkTreeState,
        after: WorkTreeState | RemedyError,
        end: RemedyEnded,
        choice: Choice,
    ) -> Applied:
        applied = self._allowed(before, after, end, choice)
        if isinstance(after, WorkTreeState):
            judging = relaxable(before.changed(after), self._shop.guard)
            applied = replace(applied, judging=judging[:_MOST_JUDGING])
        return replace(applied, output=end.output, on=before.digest)

    def _allowed(
        self,
        before: WorkTreeState,
        after: WorkTreeState | RemedyError,
        end: RemedyEnded,
        choice: Choice,
    ) -> Applied:
        refused = _refused(before, after, self._shop.guard)
        if refused is not None:
            detail = f"{refused}; what it did is still there"
            unsafe = _touches_git(before, after)
            return Applied("refused", detail, ends=StopReason.REMEDY_REFUSED, unsafe=unsafe)
        assert isinstance(after, WorkTreeState)
        changed = before.changed(after)
        source = bool(in_sources(changed, self._shop.guard))
        said = f", saying {end.last_line!r}" if end.last_line else ""
        said += f" ({end.output_lost})" if end.output_lost else ""
        name = shlex.join(choice.command)
        if end.late:
            detail = f"{name} was not finished within {choice.timeout_s:g} s"
            return Applied("failed", detail, source)
        if end.code == NEEDS_A_PERSON:
            detail = f"{name} hands over to a person (exit code {end.code}{said})"
            return Applied("done", detail, source, StopReason.NEEDS_HUMAN)
        if end.code != 0:
            return Applied("failed", f"{name} ended with {end.code}{said}", source)
        if source and self._shop.protected:
            detail = f"{files_said(changed)} changed; that never reaches a protected environment"
            return Applied("done", detail, changed_source=True, ends=StopReason.NEEDS_HUMAN)
        what = f"{name} changed {files_said(changed)}" if changed else f"{name} changed nothing"
        return Applied("done", what, source)


_UNSEEN = RemedyEnded(0, 0.0)


def _as_event(end: CommandEnd, output: str) -> RemedyEnded:
    return RemedyEnded(end.code, end.duration_s, end.late, end.last_line, end.output_lost, output)


def _refused(before: WorkTreeState, after: WorkTreeState | RemedyError, guard: Guard) -> str | None:
    """What the remedy did that it must not; None when all it did is allowed."""
    if isinstance(after, RemedyError):
        return f"the work tree cannot be read any more after it: {after.what}"
    if before.in_git and not after.in_git:
        return "it has removed or broken the git repository"
    wrong = forbidden(before.changed(after), guard)
    if not wrong:
        return None
    return f"it changed what it may not: {files_said(wrong)} (see remediate.may_edit)"


def _touches_git(before: WorkTreeState, after: WorkTreeState | RemedyError) -> bool:
    if isinstance(after, RemedyError) or (before.in_git and not after.in_git):
        return True
    return any(".git" in path.split("/") for path in before.changed(after))


def files_said(names: tuple[str, ...]) -> str:
    """Names in words, the first five of many."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def remedy_folder(journal: Journal) -> Path:
    """Where a run keeps what this cycle's remedy was given, printed and left."""
    return journal.folder / "remedies" / str(journal.cycle)


def _next_output(choice: Choice, journal: Journal) -> Path:
    folder = remedy_folder(journal)
    ensure_private_dir(folder)
    return folder / f"{journal.fold.remedies_begun(choice.rule) + 1}.txt"


def _kept(journal: Journal) -> Path:
    return remedy_folder(journal) / "tree-before.json"


def _keep(state: WorkTreeState, path: Path) -> None:
    ensure_private_dir(path.parent)
    write_atomic(path, json.dumps(asdict(state)))


def read_state(path: Path) -> WorkTreeState | None:
    """A state that was kept, None where it cannot be read any more."""
    try:
        return state_of(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def state_of(document: Mapping[str, Any]) -> WorkTreeState:  # Any: JSON, of our own
    """A state as it was kept; raises `ValueError`, `KeyError` or `TypeError` for anything else."""
    return WorkTreeState(dict(document["files"]), bool(document["in_git"]), document["digest"])
