"""One stage of a Dockerfile, instruction by instruction: what its file system comes to hold."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from loopctl.builders.copied_names import followed, has_wildcard, rooted
from loopctl.builders.copy_state import Context, StageMap, Tree
from loopctl.builders.copy_step import Placed, Step
from loopctl.builders.dockerfile import Instruction, Stage, assignments, parse
from loopctl.builders.dockerfile_words import NotUnderstoodError, expand
from loopctl.builders.ignore_rules import BadPatternError
from loopctl.inert import one_line

_UNDERSTOOD: Final = frozenset({"from", "chown", "chmod", "link", "checksum", "keep-git-dir"})
_FAR: Final = ("http://", "https://", "git://", "git@", "ssh://")


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
        # As BuildKit has it, the later of an ARG and an ENV wins, and an ARG without a value
        # leaves what is there.
        for name, value in values.items():
            if value is not None:
                self._state.unknown.discard(name)
                self._state.variables[name] = value
                if each.keyword == "ENV":
                    self._state.env[name] = value

    def _value(self, keyword: str, name: str, default: str | None) -> str | None:
        if keyword == "ARG" and name in self._given:
            return self._given[name]
        if default is not None:
            return self._expanded(default)
        return self._globals.get(name) if keyword == "ARG" else ""

    def _copy(self, each: Instruction) -> None:
        origin = _origin(each)
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

    def _tree(self, each: Instruction, origin: str | None, step: Step) -> Tree | None:
        if origin is None:
            return Tree.of_context(self._context, step)
        stage = self._from_stage(origin, self._stage.index)
        if stage is None:
            self._state.steps[-1] = replace(step, outside=True)
            self._not_covered(each, f"what it brings is of the image {origin}")
            return None
        return Tree.of_stage(stage)

    def _source(
        self,
        each: Instruction,
        source: str,
        tree: Tree,
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
        if step.foreign and has_wildcard(source):
            self._by_pattern(each, source, to, step)

    def _by_pattern(self, each: Instruction, source: str, to: _Destination, step: Step) -> None:
        """A pattern finds files in a stage that only the stage itself could tell."""
        what = f"what else step {step.number} copies by the pattern {one_line(source)}"
        self._state.uncovered.append(f"{what} from stage {_origin(each)}")
        target = self._followed(to.path)
        self._state.know_folder(target)
        self._state.copied_folders.add(target)
        self._foreign()

    def _matched(
        self,
        each: Instruction,
        match: str,
        tree: Tree,
        to: _Destination,
        step: Step,
        chmod: int | str | None,
    ) -> None:
        real = tree.names.follow(match)
        is_file = real is not None and tree.names.is_file(real)
        is_folder = real is not None and tree.names.is_folder(real)
        if real is None or is_file is is_folder:
            origin = _origin(each)
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
        tree: Tree,
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
            what = f"what else step {step.number} copies from stage {_origin(each)}"
            self._state.uncovered.append(f"{what}, made by that stage's steps or of its base image")

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
        known = _Known(state.variables, frozenset(state.unknown), state.complete)
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


def _origin(each: Instruction) -> str | None:
    """The stage or image that a COPY takes from, None for the context."""
    return dict(each.flags).get("from")


def _octal(text: str | None) -> int | str | None:
    """Permission bits; None where nothing was asked for, the text itself where it is no number."""
    if text is None:
        return None
    try:
        return int(text, 8)
    except ValueError:
        return text
