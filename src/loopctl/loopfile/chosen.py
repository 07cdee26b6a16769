"""A loop file for one environment: everything merged and filled in, still with its places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from loopctl.loopfile.nodes import Table

PROVIDED_BY = {"local": "value", "docker": "value", "cloud-run": "secret"}


@dataclass(frozen=True, slots=True)
class Chosen:
    """`document` has the environment's `services` merged over its own.

    `variables` are the process's environment over the `env_file`, `unused` the keys at the top
    that this environment has no use for: they stand there as they are written.
    """

    path: Path
    root: Path
    document: Table
    environment: str
    variables: Mapping[str, str]
    unused: frozenset[str] = frozenset()

    @property
    def place(self) -> Table:
        """The chosen environment; empty when the file names no environments at all."""
        return self.document.table("environments", self.environment)

    @property
    def platform(self) -> str:
        """The chosen platform."""
        return self.place.text("platform") or "local"

    @property
    def services(self) -> Table:
        """All services, by name."""
        return self.document.table("services")

    @property
    def service_names(self) -> tuple[str, ...]:
        """The names of all services."""
        return tuple(entry.key for entry in self.services.named())

    @property
    def suites(self) -> tuple[Table, ...]:
        """All suites that are maps."""
        return tuple(s for s in self.document.items("suites") if isinstance(s, Table))
