"""The command that would answer an open question of the diagnosis: one that can be typed."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

from loopctl.inert import for_terminal
from loopctl.journal.commands import Commands, path_word
from loopctl.journal.worklog import CycleRecord
from loopctl.model.plan import ServiceSpec
from loopctl.stages.changes import UNCOMMITTED
from loopctl.triage.unknown import Unknown

ByHand = Callable[[str, str | None], str | None]
"""The command that shows a service's log without loopctl, of one revision where it is known."""


def _nowhere(_service: str, _revision: str | None) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class FindingOut:
    """What is known of where a run's evidence is. `folder` is the run's own, as people type it."""

    commands: Commands
    run_id: str
    folder: Path
    services: Sequence[ServiceSpec] = ()
    by_hand: ByHand = field(default=_nowhere)

    def command(self, asked: Unknown, cycle: CycleRecord) -> str | None:
        """The command, inert; None where none would tell."""
        match asked.look:
            case "log":
                return self._log(asked, cycle)
            case "suite":
                return self._suite(asked)
            case "commit":
                return self._commit(asked)
            case "green":
                return self.commands.run()
            case None:
                return None
            case _:
                assert_never(asked.look)

    def _log(self, asked: Unknown, cycle: CycleRecord) -> str | None:
        record = cycle.services.get(asked.service or "")
        if record is not None and record.logs is not None:
            return self.commands.logs(self.run_id, record.name)
        if asked.place is not None:
            return f"less {path_word(self.folder / asked.place)}"
        if record is None:
            return self.by_hand(asked.service, None) if asked.service else None
        return self.by_hand(record.name, record.revision.name if record.revision else None)

    def _suite(self, asked: Unknown) -> str:
        said = self.folder / (asked.place or "") / "stdout.txt"
        # A suite that loopctl itself asks runs no process.
        return f"less {path_word(said if said.is_file() else self.folder / 'worklog.md')}"

    def _commit(self, asked: Unknown) -> str | None:
        source = self._sources.get(asked.service or "")
        if source is None or asked.commit is None:
            return None
        commit = shlex.quote(for_terminal(asked.commit))
        what = "diff HEAD" if commit == UNCOMMITTED else f"show {commit}"
        file = for_terminal(asked.file) if asked.file is not None else "."
        return f"git -C {path_word(source)} {what} -- {shlex.quote(file)}"

    @property
    def _sources(self) -> Mapping[str, Path]:
        root = self.commands.root
        return {spec.name: below(root, spec.source) for spec in self.services if spec.source}


def below(root: Path, path: Path) -> Path:
    """A path as it would be typed in the project's root."""
    return path.relative_to(root) if path.is_relative_to(root) else path
