"""One stage of a Dockerfile, instruction by instruction: what its file system comes to hold."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from loopctl.builders.copied_names import Names, followed, rooted
from loopctl.builders.copy_step import Placed, Step
from loopctl.builders.dockerfile import Instruction, Stage, assignments, parse
from loopctl.builders.dockerfile_words import NotUnderstoodError, expand
from loopctl.builders.ignore_rules import BadPatternError
from loopctl.evidence.blobs import EXECUTABLE, LINK
from loopctl.inert import one_line

_UNDERSTOOD: Final = frozenset({"from", "chown", "chmod", "link", "checksum", "keep-git-dir"})
_FAR: Final = ("http://", "https://", "git://", "git@", "ssh://")

Context = tuple[Names, Mapping[str, str], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class _Held:
    """A file in a stage, and how many steps the stage had when it came."""

    placed: Placed
    at: int


class _Known(dict[str, str]):
    """Variables; asking for one whose value cannot be told is not understood."""

    def __init__(self, values: Mapping[str, str], unknown: frozenset[str], complete: bool) -> None:
        super().__init__(values)
        self._unknown = unknown
        self._complete = complete

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        if name in self._unknown or (name not in self and not self._complete):
            raise NotUnderstoodError(f"what {name} is cannot be told")
        return super().get(name, default)


@dataclass(slots=True)
class StageMap:
    """What is known of a stage's file system; paths are relative to its root.

    `workdir` is None where only an unknown base image says it; `opaque`: there may be folders
    that are not known; `complete`: no variable comes from an unknown base; `triggers`: what
    ONBUILD has for stages on top of it.
    """

    base: str | None
    workdir: str | None = None
    opaque: bool = False
    complete: bool = True
    env: dict[str, str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    files: dict[str, _Held] = field(default_factory=dict)
    folders: set[str] = field(default_factory=lambda: {""})
    links: dict[str, str] = field(default_factory=dict)
    copied_folders: set[str] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)
    triggers: list[Instruction] = field(default_factory=list)
    uncovered: list[str] = field(default_factory=list)

    def copy(self) -> StageMap:
        """The beginning of a stage on top of this one."""
        return replace(
            self,
            env=dict(self.env),
            unknown=set(self.unknown),
            files=dict(self.files),
            folders=set(self.folders),
            links=dict(self.links),
            copied_folders=set(self.copied_folders),
            steps=list(self.steps),
            triggers=list(self.triggers),
            uncovered=list(self.uncovered),
        )

    def settled(self) -> Mapping[str, Placed]:
        """The files by absolute path, with the foreign steps that came behind them."""
        return {
            "/" + path: replace(
                held.placed, later=tuple(s for s in self.steps[held.at :] if s.foreign)
            )
            for path, held in sorted(self.files.items())
        }

    def put(self, placed: Placed, link: str | None) -> None:
        """A file has come; it replaces what was there."""
        path = placed.path[1:]
        self.files[path] = _Held(placed, len(self.steps))
        self.links.pop(path, None)
        if link is not None:
            self.links[path] = link
        self.know_folder(posixpath.dirname(path))

    def know_folder(self, folder: str) -> None:
        """A folder is there, and so are those above it."""
        while folder not in self.folders:
            self.folders.add(folder)
            folder = posixpath.dirname(folder)


class _Tree:
    """What a COPY takes from: the context, or another stage as it has come to be."""

    def __init__(
        self, names: Names, placed: Mapping[str, Placed], links: Mapping[str, str]
    ) -> None:
        self.names = names
        self.placed = placed
        self.links = links

    @staticmethod
    def of_context(context: Context, step: Step) -> _Tree:
        names, modes, links = context

        def at(path: str) -> Placed:
            mode = None if modes[path] == LINK else 0o755 if modes[path] == EXECUTABLE else 0o644
            return Placed("/" + path, path, mode, modes[path] == LINK, step)

        return _Tree(names, _Lazily(at), links)

    @staticmethod
    def of_stage(stage: StageMap) -> _Tree:
        placed = {path[1:]: each for path, each in stage.settled().items()}
        inside = {p.inside[1:]: p for p in placed.values() if p.inside is not None}
        both = {**inside, **placed}
        return _Tree(Names(both, stage.links), both, stage.links)


class _Lazily(dict[str, Placed]):
    """Made when asked for: a context has thousands of files, and a COPY may take one."""

    def __init__(self, make: Callable[[str], Placed]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, path: str) -> Placed:
        return self._make(path)


@dataclass(frozen=True, slots=True)
class _Destination:
    """Where a COPY goes: a path, and whether it is written as a folder."""

    path: str
    is_folder: bool


class StageReader:
    """Reads one stage; `read` gives what it comes to."""

    def __init__(
        self,
        stage: Stage,
        escape: str,
        state: StageMap,
        args: Mapping[str, str],
        globals_: Mapping[str, str],
        context: Context,
        from_stage: Callable[[str, int], StageMap | None],
        is_archive: Callable[[str], bool],
    ) -> None:
        self._stage = stage
        self._escape = escape
        self._state = state
        self._given = args
        self._globals = globals_
        self._context = context
        self._from_stage = from_stage
        self._is_archive = is_archive
        self._args: dict[str, str] = {}
        self._number = 1

    def read(self) -> StageMap:
        """All of its instructions, those that its base brings along first."""
        triggers, self._state.triggers = self._state.triggers, []
        for each in (*triggers, *self._stage.instructions):
            try:
                self._instruction(each)
            except (NotUnderstoodError, BadPatternError) as error:
                self._not_covered(each, f"not understood: {error}")
        return self._state

    def _instruction(self, each: Instruction) -> None:
        match each.keyword:
            case "ARG" | "ENV":
                self._variables(each)
            case "ONBUILD":
                inner = parse(f"FROM scratch\n{each.rest}\n").stages[0].instructions
                self._state.triggers.extend(replace(one, line=each.line) for one in inner)
            case "WORKDIR":
                step = self._step(each)
                self._state.workdir = self._absolute(self._expanded(each.rest))
                self._state.know_folder(rooted(self._state.workdir))
                self._state.steps.append(step)
            case "RUN":
                self._state.steps.append(self._step(each, foreign=True))
                self._state.opaque = True
            case "COPY" | "ADD":
                self._copy(each)
            case _:
                pass

    def _variables(self, each: Instruction) -> None:
        values: dict[str, str | None] = {}
        for raw, default in assignments(each, self._escape):
            name = raw
            try:
                name = self._expanded(raw)
                values[name] = self._value(each.keyword, name, default)
            except NotUnderstoodError:
                self._state.unknown.add(name)
        known = self._args if each.keyword == "ARG" else self._state.env
        for name, value in values.items():
            self._state.unknown.discard(name)
            if value is not None:
                known[name] = value

    def _value(self, keyword: str, name: str, default: str | None) -> str | None:
        if keyword == "ARG" and name in self._given:
            return self._given[name]
        if default is not None:
            return self._expanded(default)
        return self._globals.get(name) if keyword == "ARG" else ""

    def _copy(self, each: Instruction) -> None:
        origin = dict(each.flags).get("from")
        # Whatever goes wrong from here on, the step is one, and its layer is in the image.
        step = self._step(each, foreign=True)
        self._state.steps.append(step)
        if strange := sorted({flag for flag, _ in each.flags} - _UNDERSTOOD):
            raise NotUnderstoodError(f"what --{strange[0]} makes of it is not known")
        words = [self._expanded(word) for word in each.words]
        if len(words) < 2:
            raise NotUnderstoodError("it names no source or no destination")
        *sources, last = words
        to = self._destination(last)
        taken = self._tree(each, origin, step)
        if taken is None:
            return
        step = replace(step, foreign=origin is not None)
        self._state.steps[-1] = step
        chmod = _octal(dict(each.flags).get("chmod"))
        for source in sources:
            self._source(each, source, taken, to, step, chmod)

    def _tree(self, each: Instruction, origin: str | None, step: Step) -> _Tree | None:
        if origin is None:
            return _Tree.of_context(self._context, step)
        stage = self._from_stage(origin, self._stage.index)
        if stage is None:
            self._not_covered(each, f"what it brings is of the image {origin}")
            return None
        return _Tree.of_stage(stage)

    def _source(
        self,
        each: Instruction,
        source: str,
        tree: _Tree,
        to: _Destination,
        step: Step,
        chmod: int | str | None,
    ) -> None:
        if each.heredocs and source.startswith("<<"):
            self._not_covered(each, "a file that is written in the Dockerfile itself")
            self._foreign()
            return
        if each.keyword == "ADD" and (source.startswith(_FAR) or source.endswith(".git")):
            self._not_covered(each, f"{one_line(source)} is fetched from elsewhere")
            self._foreign()
            return
        for match in tree.names.matched(source):
            self._matched(each, match, tree, to, step, chmod)

    def _matched(
        self,
        each: Instruction,
        match: str,
        tree: _Tree,
        to: _Destination,
        step: Step,
        chmod: int | str | None,
    ) -> None:
        real = tree.names.follow(match)
        is_file = real is not None and tree.names.is_file(real)
        is_folder = real is not None and tree.names.is_folder(real)
        if real is None or is_file is is_folder:
            origin = dict(each.flags).get("from")
            made = f"made by the steps of stage {origin}" if origin else "not found in the context"
            why = "a file or a folder, which cannot be told" if is_file else made
            self._not_covered(each, f"{match or '/'} is {why}")
            self._foreign()
            return
        if is_folder:
            self._folder(each, real, tree, to, step, chmod)
            return
        if each.keyword == "ADD" and self._is_archive(tree.placed[real].source):
            self._not_covered(each, f"{match} is unpacked, and its content not looked into")
            self._foreign()
            return
        self._file(posixpath.basename(match), tree.placed[real], to, step, chmod)

    def _folder(
        self,
        each: Instruction,
        folder: str,
        tree: _Tree,
        to: _Destination,
        step: Step,
        chmod: int | str | None,
    ) -> None:
        target = self._followed(to.path)
        self._state.know_folder(target)
        self._state.copied_folders.add(target)
        for path in list(tree.names.below(folder)):
            name = path[len(folder) + 1 :] if folder else path
            origin = tree.placed[path]
            where = posixpath.join(target, name)
            self._put(where, origin, step, chmod, tree.links.get(path))
        if step.foreign:
            self._not_covered(each, "what else it brings, made by the steps of that stage")

    def _file(
        self, name: str, origin: Placed, to: _Destination, step: Step, chmod: int | str | None
    ) -> None:
        target = self._followed(to.path)
        inside = posixpath.join(target, name)
        if to.is_folder or target in self._state.folders:
            self._put(inside, origin, step, chmod, None)
            return
        before = self._state.files.get(target)
        certain = not self._state.opaque or (before is not None and before.placed.inside is None)
        self._put(target, origin, step, chmod, None, inside=None if certain else inside)

    def _put(
        self,
        path: str,
        origin: Placed,
        step: Step,
        chmod: int | str | None,
        link: str | None,
        *,
        inside: str | None = None,
    ) -> None:
        mode = origin.mode if chmod is None or origin.is_link else chmod
        placed = Placed(
            path="/" + path,
            source=origin.source,
            mode=mode if isinstance(mode, int) else None,
            is_link=origin.is_link,
            step=step,
            inside=None if inside is None else "/" + inside,
            before=(*origin.before, *origin.later),
        )
        self._state.put(placed, link)

    def _destination(self, word: str) -> _Destination:
        is_folder = word in ("", ".") or word.endswith("/")
        return _Destination(rooted(self._absolute(word)), is_folder)

    def _absolute(self, path: str) -> str:
        if path.startswith("/"):
            return posixpath.normpath(path)
        if self._state.workdir is None:
            raise NotUnderstoodError("where it goes depends on a base image that is not here")
        return posixpath.normpath(posixpath.join(self._state.workdir, path))

    def _followed(self, path: str) -> str:
        real = followed(path, self._state.links)
        if real is None:
            raise NotUnderstoodError(f"/{path} goes through links in a circle")
        return real

    def _expanded(self, word: str) -> str:
        state = self._state
        known = _Known({**self._args, **state.env}, frozenset(state.unknown), state.complete)
        return expand(word, known, self._escape)

    def _step(self, each: Instruction, *, foreign: bool = False) -> Step:
        self._number += 1
        return Step(
            self._number,
            each.line,
            each.keyword,
            each.text,
            self._stage.index,
            self._stage.label,
            foreign,
        )

    def _foreign(self) -> None:
        self._state.opaque = True
        self._state.steps[-1] = replace(self._state.steps[-1], foreign=True)

    def _not_covered(self, each: Instruction, why: str) -> None:
        self._state.uncovered.append(f"line {each.line}, {one_line(each.text, limit=80)}: {why}")


def _octal(text: str | None) -> int | str | None:
    """Permission bits; None where nothing was asked for, the text itself where it is no number."""
    if text is None:
        return None
    try:
        return int(text, 8)
    except ValueError:
        return text
