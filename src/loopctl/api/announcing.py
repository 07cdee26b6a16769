"""Telling others that a run begins, and how it ended. It never changes how the run ended."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from loopctl.api.showing import as_typed
from loopctl.errors import LoopctlError, Stopped
from loopctl.inert import one_line
from loopctl.journal.worklog import Worklog
from loopctl.process import Stop, in_time
from loopctl.redact import Redactor

if TYPE_CHECKING:
    from loopctl.bootstrap import Composition
    from loopctl.model.ci_job import CiJob
    from loopctl.ports.announcer import Announcement, Announcer, Before, Beginning
    from loopctl.ports.history import RunRecord

T = TypeVar("T")

ANNOUNCING_S: Final = 20.0
"""How long a run that has ended waits for those whom it tells, all at once."""

INTERRUPTED_S: Final = 3.0
"""… and one that somebody has stopped."""

BEGINNING_S: Final = 5.0
"""How long a run waits with its first step for those who are told that it begins."""

_NO_STATE: Final = frozenset({"interrupted", "locked", "internal", "usage"})


@dataclass(frozen=True, slots=True)
class Told:
    """What came of telling one: what it did, and what kept it from that; both may be empty."""

    name: str
    done: tuple[str, ...] = ()
    trouble: str | None = None


def announce_beginning(composition: Composition, redactor: Redactor, stop: Stop) -> Sequence[str]:
    """Tell that the run begins; what could not be told, in words."""
    from loopctl.bootstrap import heralds_of
    from loopctl.model.ci_job import ci_job

    job = ci_job(os.environ)
    heralds = heralds_of(composition.plan, job)
    if not heralds:
        return ()

    def tell(within: Stop) -> Sequence[str]:
        try:
            begins = _beginning_of(composition, job, within)
        except Stopped:
            return [_ended(each.name, BEGINNING_S, within) for each in heralds]
        told = (_told(each.name, each.begin, begins, within) for each in heralds)
        return [each.trouble or "" for each in told]

    with stop.child(BEGINNING_S) as within:
        ended = in_time(within, {"announce the beginning": tell})
        late = [_ended(each.name, BEGINNING_S, within) for each in heralds]
    return [redactor.text(each) for each in ended.get("announce the beginning", late) if each]


def _beginning_of(composition: Composition, job: CiJob | None, stop: Stop) -> Beginning:
    """The run as it begins: of the source as it is now, as far as it can be read."""
    from loopctl.ports.announcer import Beginning

    commits: set[str | None] = set()
    dirty = False
    for folder in {spec.source for spec in composition.plan.deployed if spec.source is not None}:
        try:
            tree = composition.world.sources.read(folder, stop)
        except LoopctlError:
            commits.add(None)
        else:
            commits.add(tree.commit)
            dirty |= tree.dirty
    return Beginning(
        run_id=composition.run_id,
        loop=composition.plan.loop,
        environment=composition.plan.environment.name,
        partial=composition.options.partial(composition.full) is not None,
        commit=commits.pop() if len(commits) == 1 else None,
        dirty=dirty,
        job=job,
    )


def whom(composition: Composition) -> Sequence[Announcer]:
    """Everyone whom the plan names."""
    from loopctl.bootstrap import announcers_of
    from loopctl.model.ci_job import ci_job

    return announcers_of(composition.plan, ci_job(os.environ))


def announce(
    composition: Composition,
    announcers: Sequence[Announcer],
    worklog: Worklog,
    folder: Path,
    redactor: Redactor,
    stop: Stop,
) -> Sequence[Told]:
    """Tell these how the run ended; a failure of theirs is part of what is returned.

    `stop` is the run's own: a signal ends the telling at once. One that has ended the run before
    does not keep it from being told.
    """
    from loopctl.bootstrap import heralds_of
    from loopctl.model.ci_job import ci_job
    from loopctl.reports.announcement import announcement_of

    job, past = ci_job(os.environ), composition.past
    if not announcers:
        return ()
    stop = Stop() if stop.reason is not None else stop
    told = announcement_of(worklog, as_typed(folder), before(past.records), job)
    if told is None:
        return ()
    if told.commit is None and heralds_of(composition.plan, job):
        told = _of_the_source_here(told, composition, job, stop)
    known = None if past.unread is not None else earlier(past.records)
    return tell(announcers, replace(told, earlier=known), redactor, stop)


def within_of(told: Announcement) -> float:
    """How long those who are told of it may take, in seconds."""
    return INTERRUPTED_S if told.verdict.value == "interrupted" else ANNOUNCING_S


def tell(
    announcers: Sequence[Announcer], told: Announcement, redactor: Redactor, stop: Stop
) -> Sequence[Told]:
    """Tell these, in their order, and within seconds; what they say of it is redacted."""
    return [
        Told(
            each.name,
            tuple(map(redactor.text, each.done)),
            None if each.trouble is None else redactor.text(each.trouble),
        )
        for each in _in_time(announcers, told, stop)
    ]


def _of_the_source_here(
    told: Announcement, composition: Composition, job: CiJob | None, stop: Stop
) -> Announcement:
    """A run that ended before it read its source is about what its beginning was told of."""
    try:
        with stop.child(min(within_of(told), BEGINNING_S)) as within:
            here = _beginning_of(composition, job, within)
    except Stopped:
        return told
    return replace(told, commit=here.commit, dirty=here.dirty)


def before(records: Sequence[RunRecord]) -> Before | None:
    """The newest run before this one that tells how things stand; `records` newest first."""
    return next(iter(earlier(records)), None)


def earlier(records: Sequence[RunRecord]) -> tuple[Before, ...]:
    """Those of the runs that tell how things stood; `records` newest first."""
    from loopctl.ports.announcer import Before

    return tuple(
        Before(
            record.run_id,
            record.verdict,
            tuple(found.fingerprint for found in record.findings),
            record.told,
        )
        for record in records
        if record.verdict is not None and not record.partial and record.verdict not in _NO_STATE
    )


def tells_state(worklog: Worklog) -> bool:
    """Whether a run tells how things stand with the whole loop."""
    ended = worklog.ended
    whole = ended is not None and worklog.run.partial is None
    return whole and ended is not None and ended.verdict.value not in _NO_STATE


def _in_time(announcers: Sequence[Announcer], told: Announcement, stop: Stop) -> Sequence[Told]:
    """Each in a thread of its own: one that hangs keeps nobody else from being told."""
    tasks = {
        f"announce {number}": functools.partial(_told, each.name, each.announce, told)
        for number, each in enumerate(announcers)
    }
    seconds = within_of(told)
    with stop.child(seconds) as within:
        ended = in_time(within, tasks)
        return [
            ended.get(f"announce {number}")
            or Told(each.name, trouble=_ended(each.name, seconds, within))
            for number, each in enumerate(announcers)
        ]


def _told(name: str, tell: Callable[[T, Stop], Sequence[str] | None], what: T, stop: Stop) -> Told:
    """Tell one; no error of it, or of ours, gets beyond this."""
    began = time.monotonic()
    try:
        return Told(name, tuple(tell(what, stop) or ()))
    except LoopctlError as error:
        return Told(name, trouble=one_line(f"{name} was not made: {error.what}", 400))
    except Stopped:
        return Told(name, trouble=_ended(name, round(time.monotonic() - began), stop))
    except Exception as error:  # noqa: BLE001 - the run has ended, and that is what counts
        fault = f"a fault of loopctl itself: {type(error).__name__}: {error}"
        return Told(name, trouble=one_line(f"{name} was not made: {fault}", 400))


def _ended(name: str, seconds: float, stop: Stop) -> str:
    """That the telling was ended: after so many seconds, or by a signal."""
    by_time = stop.reason in (None, "deadline")
    why = f"no answer within {seconds:g} s" if by_time else f"stopped by {stop.reason}"
    return f"{name} was not made: {why}"
