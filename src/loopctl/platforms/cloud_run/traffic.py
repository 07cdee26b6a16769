"""Who is sent what share, as Cloud Run has it. Pure.

A target names a revision by its short name or the newest ready one (`LATEST`), with a percentage,
a tag, or both; no target at all is everything to the newest: facts/cloud-run.md section 1.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from google.cloud.run_v2 import Service, TrafficTarget, TrafficTargetAllocationType

from loopctl.platforms.cloud_run.names import is_own_tag, short

LATEST: Final = TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
REVISION: Final = TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION


def serving(service: Service) -> dict[str, int]:
    """Percent by short name of the revisions that take traffic, as the service reports it.

    Where it reports nothing, what it was told counts: while it reconciles, and once any revision
    has come to be ready. A service whose first revision has failed serves nobody.
    """
    latest = short(service.latest_ready_revision)
    if service.reconciling and not latest:
        # A new service: what is to serve it is coming up.
        latest = short(service.latest_created_revision or service.template.revision)
    told = service.traffic if service.reconciling or latest else ()
    rows = service.traffic_statuses or told
    if not rows:
        return {latest: 100} if latest and not service.traffic else {}
    shares: dict[str, int] = {}
    for row in rows:
        name = short(row.revision) or latest
        if row.percent and name:
            shares[name] = shares.get(name, 0) + row.percent
    return shares


def tagged(service: Service, tag: str) -> tuple[str, str] | None:
    """The revision that a tag leads to and its URL, None while the service does not report it."""
    latest = short(service.latest_ready_revision)
    for row in service.traffic_statuses:
        if row.tag == tag and row.uri:
            return short(row.revision) or latest, row.uri
    return None


def tags_of(service: Service, revision: str) -> frozenset[str]:
    """The tags that lead to a revision by its name, as the service was told."""
    return frozenset(r.tag for r in service.traffic if r.tag and short(r.revision) == revision)


def same(rows: Iterable[TrafficTarget], others: Iterable[TrafficTarget]) -> bool:
    """Whether both say the same, in whatever order and with names in short or in full."""
    return _meaning(rows) == _meaning(others)


def _meaning(rows: Iterable[TrafficTarget]) -> tuple[dict[str, int], dict[str, str]]:
    """Percent and tags, by the revision's short name; the newest ready one has none."""
    shares: dict[str, int] = {}
    tags: dict[str, str] = {}
    for row in rows:
        name = "" if _type(row) == LATEST else short(row.revision)
        if row.percent:
            shares[name] = shares.get(name, 0) + row.percent
        if row.tag:
            tags[row.tag] = name
    return shares, tags


def targets(shares: Mapping[str, int]) -> list[TrafficTarget]:
    """Rows for percentages by short name."""
    return [
        TrafficTarget(type_=REVISION, revision=name, percent=percent)
        for name, percent in shares.items()
        if percent
    ]


def to_latest() -> list[TrafficTarget]:
    """Everything to whatever is newest and ready."""
    return [TrafficTarget(type_=LATEST, percent=100)]


def tag_row(revision: str, tag: str) -> TrafficTarget:
    """A tag on a revision, which gives it an address and no traffic."""
    return TrafficTarget(type_=REVISION, revision=revision, tag=tag)


def kept_tags(
    service: Service, *, ours_too: bool = False, without: Sequence[str] = ()
) -> list[TrafficTarget]:
    """The tags that others gave, without their percentages; `ours_too`: loopctl's as well.

    Rows of the revisions in `without` are left out whoever gave them: a tag on a revision that is
    gone keeps every later change from being taken.
    """
    rows = []
    for row in service.traffic:
        if not row.tag or short(row.revision) in without:
            continue
        if ours_too or not is_own_tag(row.tag):
            kept = TrafficTarget()
            TrafficTarget.pb(kept).CopyFrom(TrafficTarget.pb(row))
            kept.percent = 0
            rows.append(kept)
    return rows


def _type(row: TrafficTarget) -> int:
    """As a number: one that is newer than the client would make it warn."""
    return int(TrafficTarget.pb(row).type_)
