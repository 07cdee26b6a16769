"""Objects of a bucket as loopctl sees them, and what may go wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from loopctl.errors import PortError

ABSENT: Final = 0
"""The generation of an object that does not exist: a write on it makes the object."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One state of an object: `generation` names it, `updated` is when the server wrote it."""

    generation: int
    updated: datetime


@dataclass(frozen=True, slots=True)
class Content:
    """An object as it was read; `data` is None where there is more than was asked for."""

    stored: Stored
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Listed:
    """An object's name in its folder, and its bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Page:
    """Objects, sorted by name; `token` asks for those after them, None where there are none."""

    objects: tuple[Listed, ...]
    token: str | None


class BucketError(PortError):
    """A call that came to no good end. `status` is HTTP's, 0 where no answer came.

    `passing`: another try may mend it. Of a write without an answer it says nothing: it may have
    been done.
    """

    def __init__(
        self, what: str, *, where: str, hint: str | None, status: int = 0, passing: bool = False
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.status = status
        self.passing = passing
