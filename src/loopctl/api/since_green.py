"""What is given otherwise than in the last green run: names alone, never a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loopctl.api.given import SHARED_DIGITS, given_hashes
from loopctl.journal.history import changed_names, files_of, given_in

if TYPE_CHECKING:
    from loopctl.bootstrap.green_run import LastGreen
    from loopctl.journal.earlier_runs import EarlierRuns
    from loopctl.model.plan import Plan


@dataclass(frozen=True, slots=True)
class SinceGreen:
    """The plan as it is now beside that of the green run. `runs_dir` may have kept the latter."""

    plan: Plan
    runs_dir: Path
    earlier: EarlierRuns
    green: LastGreen

    def files(self) -> tuple[str, ...]:
        """The loop's files that differ."""
        here = files_of(self.runs_dir, self.green.run_id)
        record = self.green.record
        then = record.files if record is not None and record.files else here
        return changed_names(then, self.plan.files or {})

    def values(self, given: Mapping[str, str] | None) -> tuple[str, ...] | None:
        """The names of what it was given otherwise; None where that cannot be told.

        `given` is what the plan gives now, under this project's own key, None without one.
        """
        then = given_in(self.runs_dir, self.green.run_id)
        if then is not None and given is not None:
            return changed_names(then, given)
        record = self.green.record
        # A key is made when it is first asked for: who only looks asks for one that was used.
        if record is None or record.hashed_by is None:
            return None
        key = self.earlier.key()
        if key is None or record.hashed_by != self.earlier.hashed_by():
            return None
        return changed_names(record.configuration, given_hashes(self.plan, key, SHARED_DIGITS))
