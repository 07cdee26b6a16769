"""What is not as the last green run has left it, by names: no value is ever told. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from loopctl.inert import one_line
from loopctl.journal.history import changed_names
from loopctl.journal.wording import short
from loopctl.model.artifact import ServiceState
from loopctl.model.baseline import Baseline
from loopctl.model.finding import Change
from loopctl.ports.source import CommitLine
from loopctl.stages.traffic import said, shares

_COMMIT = 10


@dataclass(frozen=True, slots=True)
class LastGreen:
    """The last green run of the loop on the environment, as far as it is known here.

    `ended_at` is when it was over. `configuration` is what it gave to services and suites, names
    with keyed hashes, None where that is not told, under the key whose id is `hashed_by`; `files`
    are the loop's files with theirs.
    """

    run_id: str
    ended_at: datetime
    commit: str | None = None
    verified: Mapping[str, str] = field(default_factory=dict)
    configuration: Mapping[str, str] | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    baseline: Baseline | None = None
    hashed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Now:
    """The same as it is now. `states` is who serves, `commits` those since, both by service."""

    states: Mapping[str, ServiceState]
    commits: Mapping[str, tuple[CommitLine, ...]]
    configuration: Mapping[str, str] | None
    files: Mapping[str, str]


def changes_since(green: LastGreen, now: Now) -> tuple[Change, ...]:
    """What serves, then what is given, then the commits."""
    return (
        *(c for state in now.states.values() for c in _serving(green, state)),
        *_given(green, now),
        *(c for service, lines in now.commits.items() for c in _commits(service, lines)),
    )


def _serving(green: LastGreen, state: ServiceState) -> Iterator[Change]:
    good, serving = green.verified.get(state.service), shares(state)
    if good is None or serving == {good: 100}:
        return
    text = f"{said(serving)}; run {green.run_id} had verified {good}"
    yield Change("traffic", good, text, state.service)
    left = state.revision(good)
    for name in serving:
        found = state.revision(name)
        if found is None or left is None or found.digest == left.digest:
            continue
        image = f"{name} has {short(found.digest)}, {good} had {short(left.digest)}"
        yield Change("image", name, image, state.service)


def _given(green: LastGreen, now: Now) -> Iterator[Change]:
    for name in changed_names(green.files, now.files) if green.files else ():
        yield Change("configuration", name, f"{name} {_how(name, green.files, now.files)}")
    if green.configuration is None or now.configuration is None:
        return
    for given in changed_names(green.configuration, now.configuration):
        name, _, service = given.partition(" of ")
        if service.startswith("suite "):
            continue
        text = f"{name} {_how(given, green.configuration, now.configuration)}"
        yield Change("configuration", name, text, service or None)


def _how(name: str, then: Mapping[str, str], now: Mapping[str, str]) -> str:
    if name not in then:
        return "is new in the loop file"
    return "is not in the loop file any more" if name not in now else "has changed"


def _commits(service: str, lines: tuple[CommitLine, ...]) -> Iterator[Change]:
    for line in lines:
        commit = line.commit[:_COMMIT]
        yield Change("commit", commit, f"{commit} {one_line(line.subject, 120)}", service)
