"""Which step of a build put a path into an image, or took it away: by its layers. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loopctl.builders.copied_names import followed
from loopctl.builders.copy_step import Step
from loopctl.engine.entries import Entry
from loopctl.engine.layer_tar import Layer, Layers
from loopctl.inert import one_line

_KNOWN: Final = frozenset({"COPY", "ADD", "RUN", "WORKDIR"})
_LONGEST: Final = 60


@dataclass(frozen=True, slots=True)
class Touch:
    """A layer that has a path, or removes it (`entry` None)."""

    layer: int
    entry: Entry | None


class ImageLayers:
    """The layers of an image beside the steps of the Dockerfile that is said to have made it.

    `own` is the first layer above the base image, None where that cannot be told.
    """

    def __init__(self, image: Layers, steps: Sequence[Step], base: int | None = None) -> None:
        self._layers = image.layers
        self._lines = {number: line for line, number in image.history if number is not None}
        self._links = _links(image.layers)
        self._steps = _aligned(image, steps, base)
        self.own = min(self._steps, default=None) if base is None else base

    def touches(self, path: str) -> Sequence[Touch]:
        """What the layers do to an absolute path, the lowest first."""
        where = self._place(path)
        above = [where]
        while above[-1] != "/":
            above.append(posixpath.dirname(above[-1]))
        found = []
        for number, layer in enumerate(self._layers):
            entry = layer.entries.get(where)
            gone = any(each in layer.removed or each in layer.emptied for each in above)
            # A link in place of a folder takes away all that was in it.
            if entry is not None or gone or any(each in layer.links for each in above[1:]):
                found.append(Touch(number, entry))
        return found

    def _place(self, path: str) -> str:
        """Where a path is in the layers: as it is written, or where the links above it lead."""
        if any(path in layer.entries for layer in self._layers):
            return path
        real = followed(path, self._links, last=False)
        return path if real is None else "/" + real

    def origin(self, path: str) -> int | None:
        """The layer in which a path first came to be what is there in the end.

        Later layers may have it again: a step that changes the owner of a folder has all of it.
        """
        origin = None
        for touch in self.touches(path):
            if touch.entry is None:
                origin = None
            elif origin is None:
                origin = touch.layer
        return origin

    def step(self, layer: int) -> Step | None:
        """The Dockerfile's step that made a layer, None where the two do not go together."""
        return self._steps.get(layer)

    def named(self, layer: int) -> str:
        """The step that made a layer, in words."""
        step = self._steps.get(layer)
        if step is not None:
            return str(step)
        line = one_line(_plain(self._lines.get(layer, "")), limit=_LONGEST)
        return f"layer {layer + 1} ({line or 'of unknown making'})"

    def is_copied(self, layer: int) -> bool:
        """Whether a layer was made by COPY or ADD, by its own history."""
        return _keyword(self._lines.get(layer, "")) in {"COPY", "ADD"}


def _links(layers: Sequence[Layer]) -> Mapping[str, str]:
    """Where links point in the end, by path without the leading slash."""
    links: dict[str, str] = {}
    for layer in layers:
        for path in [*layer.removed, *layer.entries]:
            links.pop(path[1:], None)
        links.update({path[1:]: target for path, target in layer.links.items()})
    return links


def _aligned(image: Layers, steps: Sequence[Step], base: int | None) -> Mapping[int, Step]:
    """Steps by layer: above the base, the history must name the same instructions in order."""
    lines = [(_keyword(line), number) for line, number in image.history]
    lines = [line for line in lines if line[0] in _KNOWN]
    below, above = lines[: len(lines) - len(steps)], lines[len(lines) - len(steps) :]
    if [word for word, _ in above] != [step.keyword for step in steps]:
        return {}
    if base is not None and any(number is not None and number >= base for _, number in below):
        return {}
    named = zip(above, steps, strict=True)
    return {number: step for (_, number), step in named if number is not None}


def _keyword(created_by: str) -> str:
    word = _plain(created_by).partition(" ")[0]
    # The old builder writes a RUN down as the command alone.
    return word if word.isupper() and word.isalpha() else "RUN"


def _plain(created_by: str) -> str:
    """The instruction: both builders write it down, each in words of its own."""
    legacy = created_by.partition("#(nop)")[2].strip()
    return legacy or created_by.removesuffix("# buildkit").strip()
