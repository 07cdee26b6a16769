"""Where an image is read from: an engine that has it, or the registry's own layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from loopctl.engine.entries import Entry, Facts
from loopctl.engine.layer_tar import Layers
from loopctl.process import Stop


class Files(Protocol):
    """The files of one image, as a container of it would begin with them."""

    def read(self, path: str, wanted: Callable[[str], bool]) -> Mapping[str, Entry]:
        """All that is at and below an absolute path, by absolute path; empty when nothing is.

        The path itself is followed where it is a link; what lies below it is not. Files for which
        `wanted` is true are hashed.
        """
        ...


class ImageReader(Protocol):
    """Reads images. `without` says in words why it knows nothing of an image that it has not."""

    without: str

    def facts(self, image: str, stop: Stop) -> Facts | None:
        """What the configuration of an image says, None where there is none of that name."""
        ...

    def contents(self, image: str, stop: Stop) -> AbstractContextManager[Files]:
        """Its files."""
        ...

    def layers(self, image: str, names: frozenset[str], stop: Stop) -> Layers:
        """Its layers; entries whose last name is one of `names` are among them, hashed."""
        ...
