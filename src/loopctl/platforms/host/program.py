"""A command to be run in a copy of the artifact's folder: the workload `process`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loopctl.platforms.host.child import ProcessLaunch
from loopctl.platforms.host.control import Fields
from loopctl.platforms.host.runnable import Label, Surroundings
from loopctl.platforms.host.tcp_ports import LOOPBACK


@dataclass(frozen=True, slots=True)
class Program:
    """`environment` holds secret values: it never leaves memory."""

    artifact: Path
    command: tuple[str, ...]
    environment: dict[str, str] = field(repr=False)

    @staticmethod
    def of(args: Fields) -> Program:
        """Read one. Raises `ProtocolError`."""
        return Program(
            artifact=Path(args.text("artifact")),
            command=tuple(args.text_list("command")),
            environment=args.texts("environment"),
        )

    async def prepare(self, around: Surroundings) -> Sequence[str]:
        """Processes of this machine meet each other on its loopback interface."""
        return (LOOPBACK,)

    def launch(self, label: Label, around: Surroundings) -> ProcessLaunch:
        """In a folder of the revision's own."""
        return ProcessLaunch(
            service=label.service,
            revision=label.name,
            command=self.command,
            artifact=self.artifact,
            folder=around.place.state / "revisions" / label.name,
            environment=self.environment,
            guardian=around.guardian,
        )
