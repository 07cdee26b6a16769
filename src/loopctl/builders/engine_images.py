"""Reading images that an engine has."""

from __future__ import annotations

from contextlib import AbstractContextManager

from loopctl.builders.image_reader import ImageReader
from loopctl.engine.connection import Engine
from loopctl.engine.contents import Contents, contents_of, image_facts
from loopctl.engine.entries import Facts
from loopctl.engine.layer_tar import Layers
from loopctl.engine.layers import layers_of
from loopctl.process import Stop


class EngineImages(ImageReader):
    """Images that an engine has. Everything raises `EngineError`, `Stopped`; nothing is left."""

    without = "which is not in the engine any more"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def facts(self, image: str, stop: Stop) -> Facts | None:
        """As the engine inspects it."""
        return image_facts(self._engine, image, stop)

    def contents(self, image: str, stop: Stop) -> AbstractContextManager[Contents]:
        """Through a container that is made, never started, and removed."""
        return contents_of(self._engine, image, stop)

    def layers(self, image: str, names: frozenset[str], stop: Stop) -> Layers:
        """From the engine's export of the image."""
        return layers_of(self._engine, image, names, stop)
