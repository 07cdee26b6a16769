"""Files of an image that are run in the place of those copied, and who put them there."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loopctl.builders.copy_map import CopyMap
from loopctl.builders.image_files import SHARED, Found, is_within, roots
from loopctl.builders.image_layers import ImageLayers
from loopctl.builders.image_reader import Files
from loopctl.engine.entries import Entry
from loopctl.evidence.shadows import as_package, in_front_of, is_package
from loopctl.inert import one_line

#: What can stand in front of `x.py`, behind the `x`, where the folder is too large to be read.
_GUESSED: Final = ("/__init__.py", "/__init__.pyc", ".so", ".abi3.so", ".pyc")
_MODULE: Final = ".py"


@dataclass(frozen=True, slots=True)
class Hiding:
    """Shadows by their paths, and the layers of the image where they were read."""

    shadows: Mapping[str, Found]
    layers: ImageLayers | None

    def refused(self) -> Iterator[str]:
        """Those that nothing in this build has made: they are of another time, or of elsewhere."""
        for path, found in sorted(self.shadows.items()):
            if self._maker(path) is None:
                yield _named(path, found)

    def made(self) -> Iterator[str]:
        """Those that a step of this build may well have made of the source, with the step."""
        for path, found in sorted(self.shadows.items()):
            if (maker := self._maker(path)) is not None:
                yield f"{_named(path, found)}, made by {maker}"

    def _maker(self, path: str) -> str | None:
        layer = None if self.layers is None else self.layers.origin(path)
        if self.layers is None or layer is None or self._is_of_base(layer):
            return None
        step = self.layers.step(layer)
        if step is None or not step.foreign or step.outside:
            return None
        return str(step)

    def _is_of_base(self, layer: int) -> bool:
        own = None if self.layers is None else self.layers.own
        return own is None or layer < own


def shadows_of(
    contents: Files, made: CopyMap, found: Sequence[Found], extra: Mapping[str, Entry]
) -> Mapping[str, Found]:
    """The files and links, by path, that are run in the place of one that was copied.

    `extra` are those known of already; beside files that were copied one by one it looks itself.
    Raises `EngineError`, `Stopped`.
    """
    modules = {each.path: each for each in found if each.path.endswith(_MODULE)}
    there = {**_around(contents, _alone(modules, made)), **extra}
    copied = {each.path for each in found}
    shadows: dict[str, Found] = {}
    for path, entry in there.items():
        if path in copied or entry.kind == "folder":
            continue
        hidden = [modules[other] for other in in_front_of(path) if other in modules]
        module = as_package(path) if entry.kind == "link" else None
        if module in modules and _leads_to_package(contents, path):
            hidden.append(modules[module])
        if hidden:
            shadows[path] = hidden[0]
    return shadows


def _alone(modules: Iterable[str], made: CopyMap) -> Sequence[str]:
    """Those that were copied by no folder that is read whole."""
    single = set(roots(made))
    return [m for m in modules if m in single or not is_within(m, made.folders)]


def _around(contents: Files, modules: Iterable[str]) -> Mapping[str, Entry]:
    there: dict[str, Entry] = {}
    folders = set[str]()
    for module in modules:
        folder = posixpath.dirname(module)
        if folder not in SHARED:
            folders.add(folder)
            continue
        stem = module.removesuffix(_MODULE)
        for ending in _GUESSED:
            there.update(contents.read(stem + ending, lambda _: False))
    for folder in folders:
        there.update(contents.read(folder, lambda _: False))
    return there


def _leads_to_package(contents: Files, link: str) -> bool:
    behind = contents.read(link, lambda _: False)
    return is_package([path[len(link) + 1 :] for path in behind])


def _named(path: str, found: Found) -> str:
    return f"{one_line(path)}, which stands in front of {one_line(found.placed.source)}"
