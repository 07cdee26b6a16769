"""What is asked of an engine's builder, what it tells meanwhile, and how it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from loopctl.engine.errors import EngineError

#: The context as a tar file in pieces of any size, made anew at each call.
Context = Callable[[], Iterator[bytes]]


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """One image to be built with no cache.

    `dockerfile`: its path in the context. `pull`: ask the registry for the base images, also for
    those that the engine has; one that only the engine has then counts as absent. `session`: the
    Dockerfile mounts secrets or ssh keys (see `dockerfile_mounts`), which only a command line
    client can hand over; `secrets` are the values by id, `ssh` the agent of `SSH_AUTH_SOCK`.
    """

    dockerfile: str = "Dockerfile"
    target: str | None = None
    args: Mapping[str, str] = field(default_factory=_nothing)
    labels: Mapping[str, str] = field(default_factory=_nothing)
    tag: str | None = None
    pull: bool = False
    secrets: Mapping[str, str] = field(default_factory=_nothing, repr=False)
    ssh: bool = False
    session: bool = False

    @property
    def needs_cli(self) -> bool:
        """Whether the HTTP API cannot build this."""
        return self.session or self.ssh or bool(self.secrets)


@dataclass(frozen=True, slots=True)
class BuildStepEnded:
    """One step went well. `cached`: it came from the build cache, although none should."""

    name: str
    seconds: float
    cached: bool


OnStep = Callable[[BuildStepEnded], None]
OnOutput = Callable[[bytes], None]


class BuildFailedError(EngineError):
    """The engine was there and the build failed.

    `step`: the step that failed, as its builder calls it; `step_exit`: the exit code of its
    command; `line`: the line of the Dockerfile that cannot be understood, from 1; `mark`: what the
    lines begin with that the step printed (`#7 `), None where steps do not mix.
    """

    def __init__(
        self,
        what: str,
        *,
        step: str | None = None,
        step_exit: int | None = None,
        line: int | None = None,
        mark: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, where=step, hint=hint)
        self.step = step
        self.step_exit = step_exit
        self.line = line
        self.mark = mark


class BaseImageAbsentError(BuildFailedError):
    """An image that the Dockerfile starts from, or copies from, cannot be had.

    `image` is its name as the builder completes it: `docker.io/library/python:3.12`.
    """

    def __init__(self, what: str, image: str, *, step: str | None = None) -> None:
        hint = "check its name and tag, the registry and your login there (`docker login`)"
        super().__init__(what, step=step, hint=hint)
        self.image = image


class BuildClientAbsentError(EngineError):
    """The Dockerfile mounts secrets or ssh keys, and no `docker` here can hand them over."""
