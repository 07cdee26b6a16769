"""What is not as in the last green run: commits, edits, configuration. Evidence for the whys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from loopctl.errors import Stopped
from loopctl.journal.store import Journal
from loopctl.journal.wording import NO_COMMITS, count, short
from loopctl.journal.worklog import CycleRecord, ServiceRecord
from loopctl.model.events import ChangeSeen, CommitChanged, NotChecked, RunStarted
from loopctl.model.finding import Change
from loopctl.model.plan import ServiceSpec
from loopctl.ports.source import CommitLine, SourceError, Sources
from loopctl.process import Stop

_GIT_S = 10.0
_FILES_NAMED = 3
UNCOMMITTED = "edits"


@dataclass(frozen=True, slots=True)
class GreenSource:
    """The run that was green, and the commit it was made from."""

    run_id: str
    commit: str


def configured(run: RunStarted) -> tuple[Change, ...]:
    """The configuration that is not the green run's: names alone, never a value."""
    services = {service.name for service in run.services}
    return tuple(configured_by(name, services) for name in run.config_changed)


def configured_by(name: str, services: Set[str]) -> Change:
    """One name of those: `NAME of SERVICE`, `NAME of suite ID`, or a file."""
    text = f"{name} is not as it was"
    what, of, owner = name.rpartition(" of ")
    if of and owner in services:
        return Change("image" if what == "image" else "configuration", what, text, owner)
    return Change("configuration", what or name, text)


def note_changes(
    green: GreenSource,
    services: Sequence[ServiceSpec],
    sources: Sources,
    cycle: CycleRecord,
    journal: Journal,
    stop: Stop,
) -> tuple[Change, ...]:
    """Commits and edits since then that touch a service's source, written down as they are found.

    A history that cannot be read is told, and costs no diagnosis.
    """
    found: list[Change] = []
    for spec in services:
        record = cycle.services[spec.name]
        if spec.source is None or record.source is None or record.source.commit is None:
            continue
        try:
            with stop.child(_GIT_S) as limited:
                found += _noted(green, spec, sources, record, journal, limited)
        except (SourceError, Stopped) as error:
            why = "git took too long"
            if isinstance(error, SourceError):
                why = f"{error.what}; {error.hint}" if error.hint else error.what
            journal.append(NotChecked(NO_COMMITS, why))
    return tuple(found)


def _noted(
    green: GreenSource,
    spec: ServiceSpec,
    sources: Sources,
    record: ServiceRecord,
    journal: Journal,
    stop: Stop,
) -> Iterator[Change]:
    assert spec.source is not None
    assert record.source is not None
    assert record.source.commit is not None
    if record.source.dirty:
        files = sources.uncommitted(spec.source, stop)
        edits = Change("commit", UNCOMMITTED, _edits(files), spec.name, files)
        journal.append(ChangeSeen(edits, green.run_id), service=spec.name)
        yield edits
    commits = sources.commits_between(spec.source, green.commit, record.source.commit, stop)
    for line in commits:
        changed = CommitChanged(line.commit, line.subject, green.run_id, line.files)
        journal.append(changed, service=spec.name)
        yield commit_change(line, spec.name)


def commit_change(line: CommitLine, service: str) -> Change:
    """A commit that touches the service's source."""
    name = short(line.commit)
    return Change("commit", name, f"{name} {line.subject}", service, line.files)


def _edits(files: Sequence[str]) -> str:
    if not files:
        return "edits that no commit holds"
    named = ", ".join(files[:_FILES_NAMED])
    more = f" and {len(files) - _FILES_NAMED} more" if len(files) > _FILES_NAMED else ""
    return f"edits that no commit holds, in {count(len(files), 'file')}: {named}{more}"
