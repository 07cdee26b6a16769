"""What a run that has ended leaves to later ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from loopctl.api.given import SHARED_DIGITS, given_hashes
from loopctl.journal.earlier_runs import MERGED
from loopctl.journal.run_record import is_of_a_commit, record_of
from loopctl.journal.worklog import Worklog
from loopctl.model.baseline import Baseline
from loopctl.ports.history import RunRecord
from loopctl.process import Stop

if TYPE_CHECKING:
    from loopctl.bootstrap import Composition

_LEARNING_S: Final = 10.0
"""How long the logs of a green run are read: a million lines and more."""


def left_by(composition: Composition, worklog: Worklog, folder: Path) -> RunRecord:
    """The record of a run, with what its kept logs and its plan tell.

    Only a green run of the whole loop leaves a baseline, and, where others see the services, only
    one of a commit.
    """
    record = record_of(worklog)
    earlier = tuple(green.run_id for green in composition.past.greens)
    known = (record.run_id, *earlier) if record.is_whole_green else earlier
    record = replace(record, greens=known[:MERGED])
    if record.is_whole_green and is_of_a_commit(worklog):
        record = replace(record, green=_green(composition, worklog, folder))
    key, name = composition.earlier.key(), composition.earlier.hashed_by()
    if key is None or name is None:
        return record
    given = given_hashes(composition.full, key, SHARED_DIGITS)
    return replace(record, configuration=given, hashed_by=name)


def _green(composition: Composition, worklog: Worklog, folder: Path) -> Baseline:
    from loopctl.bootstrap.green_run import learned, left_of, shapes_left

    services = worklog.last.services if worklog.last else {}
    logs = {name: folder / s.logs.path for name, s in services.items() if s.logs is not None}
    latencies = {name: s.health.latency_s for name, s in services.items() if s.health is not None}
    return replace(
        learned(logs, Stop(_LEARNING_S)),
        health_ms={name: (each * 1000,) for name, each in latencies.items() if each is not None},
        traffic=_traffic(worklog),
        shapes=shapes_left(left_of(composition.plan.suites, folder)),
    )


def _traffic(worklog: Worklog) -> Mapping[str, Mapping[str, int]]:
    left = worklog.ended.left if worklog.ended is not None else ()
    return {each.service: each.traffic for each in left}
