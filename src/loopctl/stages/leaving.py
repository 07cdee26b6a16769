"""What a run leaves behind: who serves each service when it is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from loopctl.errors import Stopped
from loopctl.journal.store import Journal
from loopctl.journal.worklog import ServiceRecord
from loopctl.model.artifact import ServiceState
from loopctl.model.events import Left, NotChecked, ServiceObserved
from loopctl.model.plan import ServiceSpec
from loopctl.ports.platform import Absent, Dead, Platform, PlatformError
from loopctl.process import Stop
from loopctl.stages.traffic import GONE, shares


def look_around(
    services: Sequence[ServiceSpec],
    platform: Platform,
    verified: Mapping[str, frozenset[str]],
    green: bool,
    journal: Journal,
    stop: Stop,
) -> tuple[Left, ...]:
    """Observe every service once more and write it down.

    `verified` are the revisions that earlier runs verified, by service; `green`: this run verified
    its own too. A service that cannot be observed is left out, with a note in the journal.
    """
    left = []
    for spec in services:
        try:
            state = platform.observe(spec.name, stop)
        except PlatformError as error:
            journal.append(NotChecked(f"who serves {spec.name} now", error.what))
            continue
        except Stopped:
            journal.append(NotChecked(f"who serves {spec.name} now", "the platform did not answer"))
            continue
        found = None if isinstance(state, Absent) else state
        journal.append(ServiceObserved("end", found), service=spec.name)
        records = [c.services[spec.name] for c in journal.fold.snapshot().cycles]
        if found is not None:
            seen = _left(found, records, verified.get(spec.name, frozenset()), green)
            left.append(replace(seen, dead=_death(found, platform, stop)))
        elif any(record.before or record.revision for record in records):
            left.append(Left(spec.name, {}, verified=False, changed_by_run=False, dead=GONE))
    return tuple(left)


def _death(state: ServiceState, platform: Platform, stop: Stop) -> str | None:
    """How a revision that takes traffic has died; None while all of them live."""
    for name in shares(state):
        revision = state.revision(name)
        if revision is None:
            return f"{name} is gone"
        try:
            status = platform.status(revision, stop)
        except (PlatformError, Stopped):
            continue
        if isinstance(status, Dead):
            return status.fault.summary
    return None


def _is_ours(serving: Mapping[str, int], records: Sequence[ServiceRecord]) -> bool:
    """Whether this run has sent the traffic there, or asked for it."""
    asked = [shares(record.routed) for record in records if record.routed]
    asked += [dict(record.wanted) for record in records if record.wanted]
    asked += [{record.revision.name: 100} for record in records if record.revision]
    return serving in asked


def _left(
    state: ServiceState, records: Sequence[ServiceRecord], verified: frozenset[str], green: bool
) -> Left:
    serving = shares(state)
    ours = records[-1].revision.name if records[-1].revision and green else None
    trusted = verified | ({ours} if ours else frozenset())
    created = [r.created_at for r in state.revisions if r.name in serving]
    # The first cycle that looked saw it as it was before the run.
    began = next((record for record in records if record.observed_before), None)
    changed = began is not None and shares(began.before) != serving and _is_ours(serving, records)
    return Left(
        service=state.service,
        traffic=serving,
        verified=bool(serving) and serving.keys() <= trusted,
        changed_by_run=changed,
        since=max(created, default=None),
        url=state.url,
    )
