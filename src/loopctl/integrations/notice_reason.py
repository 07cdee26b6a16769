"""Whether a notice has something to tell of a run: only what has changed. Pure.

How things stand with a notice is what it was told last. No file keeps that: it follows from the
earlier runs of the loop on the environment, each of which says who was told of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from loopctl.model.notice import Every, NoticeSpec
from loopctl.model.state import Verdict
from loopctl.ports.announcer import AnnounceError, Announcement, Before


class Reason(StrEnum):
    """Why a notice tells of a run.

    `failed`: nothing is known to be wrong before. `another`: it was not green before either, and
    now for another reason. `mended`: green, after what was told. `every`: the notice tells of every
    run. `interrupted`: somebody has stopped it. `asked`: somebody asked for it.
    """

    FAILED = "failed"
    ANOTHER = "another"
    MENDED = "mended"
    EVERY = "every"
    INTERRUPTED = "interrupted"
    ASKED = "asked"


@dataclass
class _Told:
    """What a notice was told since all was green: verdicts, and causes by their fingerprints."""

    verdicts: set[str] = field(default_factory=set)
    causes: set[str] = field(default_factory=set)


def reason_of(spec: NoticeSpec, run: Announcement) -> Reason | None:
    """Why the notice tells of this run; None: it does not.

    Raises `AnnounceError` where that cannot be known: a recovery, without the earlier runs.
    """
    if run.asked:
        return Reason.ASKED
    if run.partial:
        return None
    told, wanted = _told(spec, run.earlier or ()), run.verdict in spec.on
    match run.verdict:
        case Verdict.GREEN:
            return _of_green(spec, run, told, wanted)
        case Verdict.INTERRUPTED:
            return Reason.INTERRUPTED if wanted else None
        case _:
            return _of_failed(spec, run, told) if wanted else None


def _of_green(spec: NoticeSpec, run: Announcement, told: _Told, wanted: bool) -> Reason | None:
    newest = next(iter(run.earlier or ()), None)
    if told.verdicts or (wanted and newest is not None and newest.verdict != Verdict.GREEN):
        return Reason.MENDED
    if wanted and spec.every is Every.RUN:
        return Reason.EVERY
    if run.earlier is None and set(spec.on) - {Verdict.INTERRUPTED}:
        what = "it is not known whether something was mended: the history could not be read"
        raise AnnounceError(what)
    return None


def _of_failed(spec: NoticeSpec, run: Announcement, told: _Told) -> Reason | None:
    if not told.verdicts:
        return Reason.FAILED
    leading = next((cause.fingerprint for cause in run.causes), None)
    if run.verdict not in told.verdicts or (leading is not None and leading not in told.causes):
        return Reason.ANOTHER
    return Reason.EVERY if spec.every is Every.RUN else None


def _told(spec: NoticeSpec, earlier: Sequence[Before]) -> _Told:
    told = _Told()
    for run in reversed(earlier):
        # A run of which it could not be told is, to a notice, as if it had never been.
        if spec.name not in run.told:
            continue
        if run.verdict == Verdict.GREEN:
            told = _Told()
        elif run.verdict in spec.on:
            told.verdicts.add(run.verdict)
            told.causes.update(run.causes)
    return told
