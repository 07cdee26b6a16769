"""What a deployment asks to be run, before there is a revision of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from loopctl.platforms.host.control import Document
from loopctl.platforms.host.guardian import Guardian
from loopctl.platforms.host.rendezvous import Rendezvous
from loopctl.platforms.host.workload import Launch


@dataclass(frozen=True, slots=True)
class Label:
    """What a revision is known by; `created_at` is ISO 8601 in UTC, `key` the deployment's."""

    service: str
    name: str
    number: int
    digest: str
    key: str
    created_at: str

    def document(self) -> Document:
        """As it goes over the socket."""
        return {
            "service": self.service,
            "name": self.name,
            "digest": self.digest,
            "key": self.key,
            "created_at": self.created_at,
        }


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a host runs things, and who ends them should it be killed."""

    place: Rendezvous
    guardian: Guardian


class Runnable(Protocol):
    """A command in a folder, or an image."""

    async def prepare(self, around: Surroundings) -> Sequence[str]:
        """See that it can be run here at all, and return the addresses for its front doors.

        The first of these is for people, all are for services that call it. Raises `PlatformError`.
        """
        ...

    def launch(self, label: Label, around: Surroundings) -> Launch:
        """All that is needed to start it as that revision."""
        ...
