"""The values of a copy map: steps of a build, files they put into an image, outside images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from loopctl.inert import one_line

_LONGEST: Final = 60


@dataclass(frozen=True, slots=True)
class Step:
    """A RUN, COPY, ADD or WORKDIR. `number` counts within its stage, FROM being 1, as BuildKit's
    own `[stage 3/7]` does; `line` is the Dockerfile's; `foreign`: it brings what is not the
    context's (RUN, archives, other images), `outside` that all of it is of another image.
    """

    number: int
    line: int
    keyword: str
    text: str
    stage: int
    label: str
    foreign: bool = False
    outside: bool = False

    def __str__(self) -> str:
        return f"step {self.number} ({one_line(self.text, limit=_LONGEST)})"

    @property
    def elsewhere(self) -> str:
        """As it is called where several stages are spoken of."""
        return f"step {self.number} of stage {self.label} ({one_line(self.text, limit=_LONGEST)})"


@dataclass(frozen=True, slots=True)
class Placed:
    """A file of the context in the image.

    `path` is absolute; `inside` the other path that it has if `path` is a folder of the base
    image, which only the image tells. `mode` are the permission bits it must have, None where
    that cannot be told; a link has none. `step` brought it into the target stage; `later` are the
    foreign steps behind that one in the image's own stages, `before` those in other stages that
    ran on it before it came here.
    """

    path: str
    source: str
    mode: int | None
    is_link: bool
    step: Step
    inside: str | None = None
    later: tuple[Step, ...] = ()
    before: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Base:
    """What an image from outside says of itself: what a Dockerfile on top of it goes on with."""

    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/"
    onbuild: tuple[str, ...] = ()
