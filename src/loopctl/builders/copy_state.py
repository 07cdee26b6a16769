"""What a stage of a Dockerfile has come to hold, and what a COPY can take from. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from loopctl.builders.copied_names import Names
from loopctl.builders.copy_step import Placed, Step
from loopctl.builders.dockerfile import Instruction
from loopctl.evidence.blobs import EXECUTABLE, LINK

#: The context's names, its files' modes, and where its links point.
Context = tuple[Names, Mapping[str, str], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class _Held:
    """A file in a stage, and how many steps the stage had when it came."""

    placed: Placed
    at: int


@dataclass(slots=True)
class StageMap:
    """What is known of a stage's file system; paths are relative to its root.

    `workdir` is None where only an unknown base image says it; `opaque`: there may be folders
    that are not known; `complete`: no variable comes from an unknown base; `env` is what the
    image's configuration has, `variables` what the next instruction sees, ARGs among it;
    `triggers`: what ONBUILD has for stages on top of it.
    """

    base: str | None
    workdir: str | None = None
    opaque: bool = False
    complete: bool = True
    env: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    files: dict[str, _Held] = field(default_factory=dict)
    folders: set[str] = field(default_factory=lambda: {""})
    links: dict[str, str] = field(default_factory=dict)
    copied_folders: set[str] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)
    triggers: list[Instruction] = field(default_factory=list)
    uncovered: list[str] = field(default_factory=list)

    def copy(self) -> StageMap:
        """The beginning of a stage on top of this one.

        It has this one's ARGs too, but what ENV says of a name comes first again: BuildKit's way.
        """
        return replace(
            self,
            env=dict(self.env),
            variables={**self.variables, **self.env},
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


class Tree:
    """What a COPY takes from: the context, or another stage as it has come to be."""

    def __init__(
        self, names: Names, placed: Mapping[str, Placed], links: Mapping[str, str]
    ) -> None:
        self.names = names
        self.placed = placed
        self.links = links

    @staticmethod
    def of_context(context: Context, step: Step) -> Tree:
        """The context, as the step places it that copies from it."""
        names, modes, links = context

        def at(path: str) -> Placed:
            mode = None if modes[path] == LINK else 0o755 if modes[path] == EXECUTABLE else 0o644
            return Placed("/" + path, path, mode, modes[path] == LINK, step)

        return Tree(names, _Lazily(at), links)

    @staticmethod
    def of_stage(stage: StageMap) -> Tree:
        """What is known of a stage when it has ended."""
        placed = {path[1:]: each for path, each in stage.settled().items()}
        inside = {p.inside[1:]: p for p in placed.values() if p.inside is not None}
        both = {**inside, **placed}
        return Tree(Names(both, stage.links), both, stage.links)


class _Lazily(dict[str, Placed]):
    """Made when asked for: a context has thousands of files, and a COPY may take one."""

    def __init__(self, make: Callable[[str], Placed]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, path: str) -> Placed:
        return self._make(path)
