"""What is not as in the last green run: commits, edits, configuration. Evidence for the whys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Literal

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
_RESOURCES = frozenset(
    {"cpu", "memory", "min_instances", "max_instances", "concurrency", "timeout", "port"}
)
UNCOMMITTED = "edits"


@dataclass(frozen=True, slots=True)
class GreenSource:
    """The run that was green, and what it was made from: a commit, and an image by service.

    An image is the hash of its source tree, else its digest.
    """

    run_id: str
    commit: str | None
    images: Mapping[str, str] = field(default_factory=dict)


def configured(run: RunStarted) -> tuple[Change, ...]:
    """The configuration that is not the green run's: names alone, never a value."""
    services = {service.name for service in run.services}
    return tuple(configured_by(name, services) for name in run.config_changed)


def configured_by(name: str, services: Set[str]) -> Change:
    """One name of those: `NAME of SERVICE`, `NAME of suite ID`, or a file."""
    text = f"{name} is not as it was"
    what, of, owner = name.rpartition(" of ")
    if of and owner in services:
        return Change(_kind(what), what, text, owner)
    return Change("configuration", what or name, text)


def _kind(what: str) -> Literal["image", "resources", "configuration"]:
    if what == "image":
        return "image"
    return "resources" if what in _RESOURCES else "configuration"


def note_changes(
    green: GreenSource,
    services: Sequence[ServiceSpec],
    sources: Sources,
    cycle: CycleRecord,
    journal: Journal,
    stop: Stop,
) -> tuple[Change, ...]:
    """Commits, edits and other images since then, written down as they are found.

    A history that cannot be read is told, and costs no diagnosis.
    """
    found: list[Change] = []
    for spec in services:
        record, mine = cycle.services[spec.name], list[Change]()
        try:
            with stop.child(_GIT_S) as limited:
                mine += _noted(green, spec, sources, record, journal, limited)
        except (SourceError, Stopped) as error:
            why = "git took too long"
            if isinstance(error, SourceError):
                why = f"{error.what}; {error.hint}" if error.hint else error.what
            journal.append(NotChecked(NO_COMMITS, why))
        found += mine or _image(green, record, journal)
    return tuple(found)


def _image(green: GreenSource, record: ServiceRecord, journal: Journal) -> Iterator[Change]:
    """Where no commit tells of it: that the service is made from something else than then."""
    then, artifact = green.images.get(record.name), record.artifact
    if then is None or artifact is None or then == (artifact.source_tree or artifact.digest):
        return
    what = "source" if artifact.source_tree else "image"
    change = Change("image", "image", f"{record.name} is made from another {what}", record.name)
    journal.append(ChangeSeen(change, green.run_id), service=record.name)
    yield change


def _noted(
    green: GreenSource,
    spec: ServiceSpec,
    sources: Sources,
    record: ServiceRecord,
    journal: Journal,
    stop: Stop,
) -> Iterator[Change]:
    read = record.source
    if spec.source is None or read is None or read.commit is None or green.commit is None:
        return
    if read.dirty:
        files = sources.uncommitted(spec.source, stop)
        edits = Change("commit", UNCOMMITTED, _edits(files), spec.name, files)
        journal.append(ChangeSeen(edits, green.run_id), service=spec.name)
        yield edits
    commits = sources.commits_between(spec.source, green.commit, read.commit, stop)
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
