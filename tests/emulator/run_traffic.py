"""Traffic: which revision gets how much, and at which URLs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from emulator.run_messages import (
    LATEST,
    RevisionPb,
    ServicePb,
    TrafficTarget,
    TrafficTargetStatus,
)
from emulator.run_names import short


@dataclass(frozen=True, slots=True)
class Share:
    """A revision by its full name, and its part of the requests."""

    revision: str
    percent: int


@dataclass(frozen=True, slots=True)
class Routing:
    """Where the requests of a service go: those at its own URL, and those at a tag's."""

    shares: tuple[Share, ...] = ()
    tags: Mapping[str, str] | None = None

    def revision_of(self, tag: str) -> str | None:
        """The full name of the revision that a tag stands for."""
        return (self.tags or {}).get(tag)


def set_default(service: ServicePb) -> None:
    """No traffic at all means: everything to the latest ready revision."""
    if not service.traffic:
        service.traffic.append(TrafficTarget(type_=LATEST, percent=100))


def missing(service: ServicePb, revisions: Mapping[str, RevisionPb]) -> str | None:
    """The short name of a revision that gets traffic or a tag and does not exist."""
    for target in service.traffic:
        if target.type_ != LATEST and _full(service, target.revision) not in revisions:
            return str(target.revision)
    return None


def named(service: ServicePb) -> set[str]:
    """The full names of all revisions that traffic names, LATEST resolved."""
    return {_resolved(service, target) for target in service.traffic}


def routing(service: ServicePb) -> Routing:
    """The routing that the service's traffic means just now."""
    rows = [(_resolved(service, target), target) for target in service.traffic]
    shares = tuple(Share(revision, row.percent) for revision, row in rows if row.percent)
    return Routing(shares, {row.tag: revision for revision, row in rows if row.tag})


def apply_statuses(service: ServicePb, url_of_tag: Callable[[str], str]) -> None:
    """Write traffic_statuses: what was asked, and the URLs of the tags."""
    del service.traffic_statuses[:]
    for target in service.traffic:
        service.traffic_statuses.append(
            TrafficTargetStatus(
                type_=target.type_,
                revision=short(target.revision),
                percent=target.percent,
                tag=target.tag,
                uri=url_of_tag(target.tag) if target.tag else "",
            )
        )


def _resolved(service: ServicePb, target: TrafficTarget) -> str:
    if target.type_ == LATEST:
        return str(service.latest_ready_revision)
    return _full(service, target.revision)


def _full(service: ServicePb, revision: str) -> str:
    return f"{service.name}/revisions/{short(revision)}"
