"""What a notice says, before it takes the form of a service. Pure; not inert yet."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC
from enum import StrEnum
from typing import Final

from loopctl.inert import one_line
from loopctl.integrations.notice_reason import Reason
from loopctl.journal.wording import count, seconds, short, utc
from loopctl.model.ci_job import CiJob
from loopctl.model.state import Verdict
from loopctl.ports.announcer import Announcement

_URL: Final = re.compile(r"https?://[\w.:-]+/[\w./~%?=&+-]*", re.ASCII)
# What is of use to somebody who reads it elsewhere: commands and paths are for the machine.
_SHOWN: Final = frozenset(
    {"mend", "users", "verdict", "failed", "not counted", "likely cause", "quote", "where"}
    | {"changed since green", "restore", "tried", "owner"}
)
_OF_GREEN: Final = frozenset({"users", "verdict", "where", "tried", "owner"})


class Mood(StrEnum):
    """How good the news are."""

    GOOD = "good"
    DOUBT = "doubt"
    BAD = "bad"


_MARKS: Final = {Mood.GOOD: "\U0001f7e2", Mood.DOUBT: "\U0001f7e1", Mood.BAD: "\U0001f534"}


@dataclass(frozen=True, slots=True)
class Message:
    """A title, lines with their labels, a last line of facts, and the page of the CI job."""

    title: str
    mood: Mood
    lines: tuple[tuple[str, str], ...]
    facts: str
    link: str | None = None


def message_of(run: Announcement, reason: Reason) -> Message:
    """What is told of a run."""
    mood = _mood(run.verdict)
    shown = _OF_GREEN if run.verdict is Verdict.GREEN else _SHOWN
    lines = tuple((label.upper(), text) for label, text in run.lines if label in shown)
    return Message(
        title=f"{_MARKS[mood]} {run.loop} on {run.environment}: {_what(run, reason)}",
        mood=mood,
        lines=lines,
        facts=" · ".join(_facts(run)),
        link=link_of(run.job),
    )


def link_of(job: CiJob | None) -> str | None:
    """The page of the job, if it is an address that needs no escaping anywhere."""
    return job.url if job is not None and job.url and _URL.fullmatch(job.url) else None


def _mood(verdict: Verdict) -> Mood:
    match verdict:
        case Verdict.GREEN:
            return Mood.GOOD
        case Verdict.UNPROVEN | Verdict.INTERRUPTED | Verdict.LOCKED:
            return Mood.DOUBT
        case Verdict.RED | Verdict.PREFLIGHT | Verdict.UNDELIVERED | Verdict.INTERNAL:
            return Mood.BAD


def _what(run: Announcement, reason: Reason) -> str:
    verdict, before = run.verdict.value, run.before
    match reason:
        case Reason.MENDED:
            return "green again"
        case Reason.ANOTHER if before is not None and before.verdict == verdict:
            return f"still {verdict}, now by another cause"
        case Reason.ANOTHER if before is not None:
            return f"{verdict}, after {before.verdict}"
        case _:
            return verdict


def _facts(run: Announcement) -> list[str]:
    facts = [run.run_id, utc(run.ended_at.astimezone(UTC)), seconds(run.duration_s)]
    if run.partial:
        facts.append("a part of the loop")
    if run.commit:
        facts.append(f"commit {short(run.commit)}{' with changes' if run.dirty else ''}")
    if len(run.causes) > 1:
        facts.append(count(len(run.causes), "cause"))
    if run.before is not None:
        facts.append(f"before: {one_line(run.before.verdict, 20)}")
    return facts
