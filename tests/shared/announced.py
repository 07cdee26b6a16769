"""Announcements of runs, for tests of those who tell of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from loopctl.model.ci_job import CiJob, CiSystem
from loopctl.model.state import Verdict
from loopctl.ports.announcer import AnnouncedCause, Announcement, Before

ENDED = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
JOB = CiJob(CiSystem.GITHUB, "https://github.com/o/r/actions/runs/7", "o/r", "c" * 40, 12)
CAUSE = AnnouncedCause(
    "f1", "the database refuses connections", "db.refused", "chat", 0.9, "x", "y"
)

CODES = {Verdict.GREEN: 0, Verdict.RED: 1, Verdict.UNPROVEN: 3, Verdict.PREFLIGHT: 4}


def ended(verdict: Verdict = Verdict.RED, *causes: str, **facts: object) -> Announcement:
    """A run that ended so, for causes of these fingerprints."""
    made = Announcement(
        run_id="20260304-050000-shop-0a1b",
        loop="shop",
        environment="staging",
        verdict=verdict,
        exit_code=CODES.get(verdict, 5),
        started_at=ENDED,
        ended_at=ENDED,
        duration_s=61.5,
        folder=".loopctl/runs/20260304-050000-shop-0a1b",
        lines=(
            ("users", "chat-00001 100 %"),
            ("verdict", verdict.value),
            ("next", "curl http://h"),
        ),
        causes=tuple(replace(CAUSE, fingerprint=each) for each in causes),
    )
    return replace(made, **facts)  # type: ignore[arg-type]


def after(run: Announcement, *earlier: Before) -> Announcement:
    """The same run after these, the oldest first."""
    newest_first = tuple(reversed(earlier))
    return replace(run, earlier=newest_first, before=next(iter(newest_first), None))
