"""Making an artifact from source, and proving what is in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from loopctl.errors import PortError, Problem
from loopctl.model.artifact import Artifact, ArtifactKind, ContentProof, SourceTree
from loopctl.model.finding import Quote
from loopctl.model.plan import ServiceSpec
from loopctl.process import Stop


class BuildError(PortError):
    """A build failed. `step` is the step that did, `quotes` the end of what it printed."""

    def __init__(
        self,
        what: str,
        *,
        step: str | None = None,
        step_exit: int | None = None,
        quotes: tuple[Quote, ...] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(what, where=step, hint=hint)
        self.step = step
        self.step_exit = step_exit
        self.quotes = quotes


class BuildStorageError(BuildError):
    """The machine could not keep what a build makes: the source and its steps are not at fault."""


class NotAsNamedError(BuildError):
    """What came of an image is not what its digest names, or cannot be read: nothing is shown."""


class BuilderGoneError(BuildError):
    """What builds is not there, or went away meanwhile: the source and its steps are not at fault.

    An engine that does not answer, a registry without the base image.
    """


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of a build, as it ends. `cached`: its result came from a cache, and must not."""

    step: str
    seconds: float
    cached: bool = False


@dataclass(frozen=True, slots=True)
class Noticed:
    """What a person should know about a build while it goes on, in one line.

    A base image that only this engine has, a context that is very large.
    """

    text: str


class Builder(Protocol):
    """Builds without cache: every artifact is made from nothing but the source it is given.

    Or takes an image that was built elsewhere as it is, by its digest.
    """

    makes: ArtifactKind

    def check(self, specs: Sequence[ServiceSpec], stop: Stop) -> Sequence[Problem]:
        """What is missing to build these; empty when nothing is."""
        ...

    def build(
        self,
        spec: ServiceSpec,
        source: SourceTree | None,
        log: Path,
        on: Callable[[Progress | Noticed], None],
        stop: Stop,
    ) -> Artifact:
        """Build; everything the steps print goes, redacted, to `log`. Raises `BuildError`.

        Of an image built elsewhere the documents are read; only for such a one there may be no
        source.
        """
        ...

    def prove(
        self, artifact: Artifact, source: SourceTree | None, spec: ServiceSpec, stop: Stop
    ) -> ContentProof:
        """Read the artifact's content back and compare it with the source. Raises `BuildError`."""
        ...
