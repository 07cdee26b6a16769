"""One builder of two: images that are built here, and such as were built elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from loopctl.errors import Problem
from loopctl.model.artifact import Artifact, ArtifactKind, ContentProof, SourceTree
from loopctl.model.plan import ServiceSpec
from loopctl.ports.builder import Builder, Noticed, Progress
from loopctl.process import Stop


class BuilderByOrigin(Builder):
    """Hands each service to `here`, or to `elsewhere` where the loop file names its image.

    Neither is asked anything where there is no service of its kind.
    """

    makes = ArtifactKind.IMAGE

    def __init__(self, here: Builder, elsewhere: Builder) -> None:
        self._here = here
        self._elsewhere = elsewhere

    def check(self, specs: Sequence[ServiceSpec], stop: Stop) -> Sequence[Problem]:
        """What each of the two lacks for its own."""
        of_here = [spec for spec in specs if spec.image is None]
        of_elsewhere = [spec for spec in specs if spec.image is not None]
        found = list(self._here.check(of_here, stop)) if of_here else []
        return [*found, *(self._elsewhere.check(of_elsewhere, stop) if of_elsewhere else ())]

    def build(
        self,
        spec: ServiceSpec,
        source: SourceTree | None,
        log: Path,
        on: Callable[[Progress | Noticed], None],
        stop: Stop,
    ) -> Artifact:
        """By the one whose it is."""
        return self._of(spec).build(spec, source, log, on, stop)

    def prove(
        self, artifact: Artifact, source: SourceTree | None, spec: ServiceSpec, stop: Stop
    ) -> ContentProof:
        """By the one whose it is."""
        return self._of(spec).prove(artifact, source, spec, stop)

    def _of(self, spec: ServiceSpec) -> Builder:
        return self._here if spec.image is None else self._elsewhere
