"""The images that loopctl has made in an engine: found by their labels, the old ones removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from loopctl.engine.connection import Engine
from loopctl.engine.images import labelled_images, remove_image, tag_image
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
#: What the tag of a pushed image begins with.
PUSHED_TAG: Final = "tree-"
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

    def name(self, image: str, service: str, source: SourceTree, stop: Stop) -> None:
        """Give an image a name by which a person finds it in `docker images`.

        It names the source, so only what was proven to hold that gets it. Raises `EngineError`.
        """
        tag = source.digest.partition(":")[2][:_TAG_DIGITS]
        tag_image(self.engine, image, f"loopctl-{self.project}/{service}", tag, stop)

    def prune(self, service: str, stop: Stop, *, but: str | None = None) -> None:
        """Remove all but the newest; what a container uses, or bears a name of somebody else's,
        stays. Raises `EngineError`.

        The image of id `but` is kept whatever its age: one whose steps came from a cache, or from
        another image, is as old as that.
        """
        whose = {_PROJECT_LABEL: self.project, _SERVICE_LABEL: service}
        for image in labelled_images(self.engine, whose, stop)[KEPT_IMAGES:]:
            if image.id != but:
                ours = [name for name in image.tags if self._is_ours(name, service)]
                remove_image(self.engine, image, ours, stop)

    def _is_ours(self, name: str, service: str) -> bool:
        """Whether loopctl gave that name: `name` here, or the publisher for its push."""
        repository, _, tag = name.rpartition(":")
        pushed = repository.rpartition("/")[2] == service and tag.startswith(PUSHED_TAG)
        return pushed or repository == f"loopctl-{self.project}/{service}"
