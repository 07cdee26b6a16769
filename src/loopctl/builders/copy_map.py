"""Where in an image a Dockerfile's COPY and ADD put the files of its context. Pure.

The image that is built and this map must say the same, for whatever Dockerfile: what is not
understood is listed, not guessed. The rules are BuildKit's (`dockerfile2llb`, `fsutil/copy`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from loopctl.builders.copied_names import Names
from loopctl.builders.copy_stage import StageReader
from loopctl.builders.copy_state import StageMap
from loopctl.builders.copy_step import Base, Placed, Step
from loopctl.builders.dockerfile import (
    Dockerfile,
    Instruction,
    Stage,
    global_arguments,
    parse,
    platform_arguments,
)
from loopctl.builders.dockerfile_words import NotUnderstoodError, expand
from loopctl.model.artifact import SourceFile


@dataclass(frozen=True, slots=True)
class CopyMap:
    """What an image holds of its context, and what cannot be told.

    `placed` by absolute path; `folders` are the absolute paths that whole folders were copied to;
    `steps` those that made the image's layers, in their order, the bases' own left out; `base` is
    the outside image they stand on, None for `scratch`; `uncovered` are sentences.
    """

    placed: Mapping[str, Placed]
    folders: tuple[str, ...]
    steps: tuple[Step, ...]
    base: str | None
    uncovered: tuple[str, ...]

    @property
    def sources(self) -> frozenset[str]:
        """The context's files that reach the image."""
        return frozenset(each.source for each in self.placed.values())


def copy_map(
    dockerfile: Dockerfile | str,
    files: Sequence[SourceFile],
    *,
    target: str | None = None,
    args: Mapping[str, str] | None = None,
    links: Mapping[str, str] | None = None,
    bases: Mapping[str, Base] | None = None,
    platform: str | None = None,
    is_archive: Callable[[str], bool] = lambda _: False,
) -> CopyMap:
    """The map of the target stage.

    `files` are those that a COPY can take (no ignored ones), `links` where the links among them
    point; `bases` tells of outside images what their own configuration says; `is_archive`
    whether ADD would unpack a file of the context.
    """
    parsed = parse(dockerfile) if isinstance(dockerfile, str) else dockerfile
    goal = parsed.target(target)
    if goal is None:
        wanted = "no stage" if target is None else f"no stage {target}"
        return CopyMap({}, (), (), None, (f"the Dockerfile has {wanted}: nothing is understood",))
    context = {file.path: file.mode for file in files}
    made = _Maps(
        parsed,
        {**platform_arguments(platform), **(args or {})},
        Names(context, links or {}),
        context,
        links or {},
        bases or {},
        is_archive,
    ).of(goal)
    return CopyMap(
        placed=made.settled(),
        folders=tuple("/" + folder for folder in sorted(made.copied_folders)),
        steps=tuple(made.steps),
        base=made.base,
        uncovered=tuple(dict.fromkeys([*_frontend(parsed), *made.uncovered])),
    )


def _frontend(parsed: Dockerfile) -> Sequence[str]:
    name = parsed.syntax
    if name is None or name.removeprefix("docker.io/").startswith("docker/dockerfile"):
        return []
    return [f"the Dockerfile asks for the frontend {name}: what that makes of it is not known"]


class _Maps:
    """The maps of stages, each made once."""

    def __init__(
        self,
        parsed: Dockerfile,
        args: Mapping[str, str],
        names: Names,
        modes: Mapping[str, str],
        links: Mapping[str, str],
        bases: Mapping[str, Base],
        is_archive: Callable[[str], bool],
    ) -> None:
        self._parsed = parsed
        self._args = args
        self._globals = {**args, **global_arguments(parsed, args)}
        self._names = names
        self._modes = modes
        self._links = links
        self._bases = bases
        self._is_archive = is_archive
        self._made: dict[int, StageMap] = {}

    def of(self, stage: Stage) -> StageMap:
        if stage.index not in self._made:
            start = self._start(stage)
            reader = StageReader(
                stage=stage,
                escape=self._parsed.escape,
                state=start,
                args=self._args,
                globals_=self._globals,
                context=(self._names, self._modes, self._links),
                from_stage=self._taken_from,
                is_archive=self._is_archive,
            )
            self._made[stage.index] = reader.read()
        return self._made[stage.index]

    def _start(self, stage: Stage) -> StageMap:
        try:
            name = expand(stage.base, self._globals, self._parsed.escape)
        except NotUnderstoodError as error:
            state = StageMap(base=stage.base, opaque=True)
            state.uncovered.append(
                f"line {stage.line}: FROM {stage.base} is not understood: {error}"
            )
            return state
        inner = self._parsed.stage(name, stage.index)
        if inner is not None:
            return self.of(inner).copy()
        if name.lower() == "scratch":
            return StageMap(base=None, workdir="/")
        known = self._bases.get(name)
        if known is None:
            return StageMap(base=name, opaque=True, complete=False)
        return StageMap(
            base=name,
            workdir=known.workdir or "/",
            opaque=True,
            env=dict(known.env),
            variables=dict(known.env),
            triggers=[each for text in known.onbuild for each in _triggers(text, stage.line)],
        )

    def _taken_from(self, name: str, index: int) -> StageMap | None:
        inner = self._parsed.stage(name, index)
        return None if inner is None else self.of(inner)


def _triggers(text: str, line: int) -> Sequence[Instruction]:
    """An ONBUILD of an image is the text of one instruction."""
    return [
        replace(each, line=line) for each in parse(f"FROM scratch\n{text}\n").stages[0].instructions
    ]
