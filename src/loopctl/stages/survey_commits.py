"""The commits between the last green run and the work tree, by service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from loopctl.errors import Stopped
from loopctl.model.plan import ServiceSpec
from loopctl.ports.source import CommitLine, SourceError, Sources
from loopctl.process import Stop, in_time

_HEAD = "HEAD"


def commits_since(
    services: Sequence[ServiceSpec], commit: str | None, sources: Sources, stop: Stop
) -> Mapping[str, tuple[CommitLine, ...]]:
    """Those that touch a service's source, newest first; none where git does not tell in time."""
    folders = {spec.name: spec.source for spec in services if spec.source is not None}
    if commit is None or not folders:
        return {}

    def look(folder: Path) -> tuple[CommitLine, ...]:
        try:
            return sources.commits_between(folder, commit, _HEAD, stop)
        except (SourceError, Stopped):
            return ()

    tasks = {name: lambda _stop, folder=folder: look(folder) for name, folder in folders.items()}
    return in_time(stop, tasks)
