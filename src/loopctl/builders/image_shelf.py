"""The images that loopctl has made in an engine: found by their labels, the old ones removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from loopctl.engine.connection import Engine
from loopctl.engine.images import labelled_images, remove_image
from loopctl.model.artifact import SourceTree
from loopctl.process import Stop

#: What the image's label says it was made from; its content alone shows it.
TREE_LABEL: Final = "dev.loopctl.source-tree"
_PROJECT_LABEL: Final = "dev.loopctl.project"
_SERVICE_LABEL: Final = "dev.loopctl.service"
# https://specs.opencontainers.org/image-spec/annotations/
_COMMIT_LABEL: Final = "org.opencontainers.image.revision"
#: Images of a service that are kept; revisions that can still serve hold on to theirs.
KEPT_IMAGES: Final = 5
_TAG_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class ImageShelf:
    """One project's images; `project` tells it from others that use the same engine."""

    engine: Engine
    project: str

    def labels(self, service: str, source: SourceTree) -> Mapping[str, str]:
        """What an image is labelled with: whose it is, and what it is said to be made from."""
        commit = source.commit or "unknown"
        return {
            _PROJECT_LABEL: self.project,
            _SERVICE_LABEL: service,
            TREE_LABEL: source.digest,
            _COMMIT_LABEL: f"{commit}-dirty" if source.dirty else commit,
        }

    def tag(self, service: str, source: SourceTree) -> str:
        """A name by which a person finds it in `docker images`."""
        return f"loopctl-{self.project}/{service}:{source.digest.partition(':')[2][:_TAG_DIGITS]}"

    def prune(self, service: str, stop: Stop) -> None:
        """Remove all but the newest that no container uses. Raises `EngineError`."""
        whose = {_PROJECT_LABEL: self.project, _SERVICE_LABEL: service}
        for image in labelled_images(self.engine, whose, stop)[KEPT_IMAGES:]:
            remove_image(self.engine, image, stop)
