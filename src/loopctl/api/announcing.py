"""Telling others how a run ended. It never changes how the run ended."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from loopctl.errors import LoopctlError, Stopped
from loopctl.inert import one_line
from loopctl.journal.worklog import Worklog
from loopctl.process import Stop, in_time
from loopctl.redact import Redactor

if TYPE_CHECKING:
    from loopctl.bootstrap import Composition
    from loopctl.ports.announcer import Announcement, Announcer, Before
    from loopctl.ports.history import RunRecord

ANNOUNCING_S: Final = 20.0
"""How long a run that has ended waits for those whom it tells, all at once."""

INTERRUPTED_S: Final = 3.0
"""… and one that somebody has stopped."""

_NO_STATE: Final = frozenset({"interrupted", "locked", "internal", "usage"})


def announce(
    composition: Composition, worklog: Worklog, folder: Path, redactor: Redactor
) -> Sequence[str]:
    """Tell everyone whom the plan names; what could not be told, in words."""
    from loopctl.bootstrap import announcers_of
    from loopctl.model.ci_job import ci_job
    from loopctl.reports.announcement import announcement_of

    job = ci_job(os.environ)
    announcers = announcers_of(composition.plan, job)
    if not announcers:
        return ()
    told = announcement_of(worklog, folder, before(composition.past.records), job)
    if told is None:
        return ()
    within = INTERRUPTED_S if told.verdict.value == "interrupted" else ANNOUNCING_S
    return [redactor.text(each) for each in _troubles(announcers, told, within)]


def before(records: Sequence[RunRecord]) -> Before | None:
    """The newest run before this one that tells how things stand; `records` newest first."""
    from loopctl.ports.announcer import Before

    for record in records:
        if record.verdict is not None and not record.partial and record.verdict not in _NO_STATE:
            causes = tuple(found.fingerprint for found in record.findings)
            return Before(record.run_id, record.verdict, causes)
    return None


def _troubles(announcers: Sequence[Announcer], told: Announcement, within: float) -> Sequence[str]:
    """Each in a thread of its own: one that hangs keeps nobody else from being told."""

    def tell(announcer: Announcer, stop: Stop) -> str:
        try:
            announcer.announce(told, stop)
        except LoopctlError as error:
            return one_line(f"{announcer.name} was not made: {error.what}", 400)
        except Stopped:
            return _late(announcer, within)
        return ""

    tasks = {
        f"announce {number}": functools.partial(tell, announcer)
        for number, announcer in enumerate(announcers)
    }
    with Stop().child(within) as stop:
        ended = in_time(stop, tasks)
    troubles = [
        ended.get(f"announce {number}", _late(announcer, within))
        for number, announcer in enumerate(announcers)
    ]
    return [trouble for trouble in troubles if trouble]


def _late(announcer: Announcer, within: float) -> str:
    return f"{announcer.name} was not made: no answer within {within:g} s"
