"""The live log of a service whose environment is still there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from loopctl.api.loading import load
from loopctl.api.looking_back import kept_logs, worklog_of
from loopctl.errors import NotFoundError, Problem, UsageError
from loopctl.journal.worklog import Worklog
from loopctl.process import Stop

if TYPE_CHECKING:
    from loopctl.model.logs import LogEntry
    from loopctl.ports.platform import Platform

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class LiveLog:
    """Which revision is followed, and its lines: `documents` as a run keeps them."""

    service: str
    revision: str
    entries: Iterator[LogEntry]

    def documents(self) -> Iterator[Mapping[str, object]]:
        """Each line as soon as it is there, until the `stop` it was asked with stops."""
        from loopctl.stages.keep_logs import log_document

        return map(log_document, self.entries)


def live_log(folder: Path, service: str | None = None, *, stop: Stop) -> LiveLog:
    """Follow the run's candidate while it is there, else who serves; ends when `stop` stops.

    It goes on behind what the run has kept of that revision. `service` may be left out where the
    run deployed only one. Raises `NotFoundError` where nothing is there any more, `UsageError`,
    `PlatformError`; its entries raise `LogError`.
    """
    from loopctl.bootstrap import world_of
    from loopctl.model.logs import LogWindow

    worklog = worklog_of(folder)
    run = worklog.run
    name = _service(worklog, service)
    plan = load(run.loop_file, environment=run.environment, cwd=Path(run.root))
    world = world_of(plan, folder.parent.parent)
    revision = _revision(worklog, name, world.platform, stop)
    since = _kept_until(folder, name, revision) or worklog.started_at
    window = LogWindow(name, since, revision=revision)
    return LiveLog(name, revision, world.logs.follow(window, stop))


def _service(worklog: Worklog, service: str | None) -> str:
    names = [facts.name for facts in worklog.run.services if facts.deployed]
    if service in names:
        return str(service)
    if service is None and len(names) == 1:
        return names[0]
    what = "no service was named" if service is None else f"the run deploys no service {service}"
    hint = f"name one: {', '.join(names)}"
    raise UsageError("nothing to follow", [Problem(what, where=worklog.run.run_id, hint=hint)])


def _revision(worklog: Worklog, name: str, platform: Platform, stop: Stop) -> str:
    """The last cycle's own revision if it is still there, else the one with the most traffic."""
    from loopctl.ports.platform import Absent

    state = platform.observe(name, stop)
    if not isinstance(state, Absent):
        record = worklog.last.services.get(name) if worklog.last else None
        own = record.revision.name if record and record.revision else None
        if own is not None and state.revision(own) is not None:
            return own
        serving = [revision for revision, percent in state.traffic.items() if percent]
        if serving:
            return max(serving, key=lambda revision: state.traffic[revision])
    raise NotFoundError(
        f"{name} is not there any more: there is no log to follow",
        where=worklog.run.environment,
        hint="without --follow the logs that the run kept are shown",
    )


def _kept_until(folder: Path, service: str, revision: str) -> datetime | None:
    """Just after the last line that the run has kept of the revision."""
    last: datetime | None = None
    for path in kept_logs(folder, service=service):
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                entry = json.loads(line)
                if entry["revision"] == revision:
                    at = datetime.fromisoformat(entry["at"])
                    last = at if last is None else max(last, at)
    return None if last is None else last + _TICK
