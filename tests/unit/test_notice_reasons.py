"""When a notice tells: of a change, once, also of the one that it could not tell before."""

from __future__ import annotations

from dataclasses import replace

import pytest
from announced import after, ended

from loopctl.integrations.notice_reason import Reason, reason_of
from loopctl.model.notice import Every, NoticeKind, NoticeSpec
from loopctl.model.state import Verdict
from loopctl.ports.announcer import AnnounceError, Announcement, Before
from loopctl.redact import Secret

G, R, U, P = Verdict.GREEN, Verdict.RED, Verdict.UNDELIVERED, Verdict.PREFLIGHT
STOPPED = Verdict.INTERRUPTED
NOTICE = NoticeSpec(1, (R,), NoticeKind.SLACK, Secret("n", "https://hooks.slack.com/x"), "slack")


def was(verdict: Verdict, *causes: str, told: bool = True) -> Before:
    return Before("a-run", verdict.value, causes, (NOTICE.name,) if told else ())


@pytest.mark.parametrize(
    ("earlier", "run", "reason"),
    [
        ([], ended(R), Reason.FAILED),
        ([], ended(G), None),
        ([was(G)], ended(R, "a"), Reason.FAILED),
        ([was(G), was(R, "a")], ended(R, "a"), None),
        ([was(R, "a")], ended(R, "b"), Reason.ANOTHER),
        ([was(R, "a")], ended(R, "b", "a"), Reason.ANOTHER),
        ([was(R, "a", "b")], ended(R, "b"), None),
        ([was(R, "a")], ended(R), None),
        ([was(R)], ended(R, "a"), Reason.ANOTHER),
        # Causes that take turns are told once each, until all is green.
        ([was(R, "a"), was(R, "b")], ended(R, "a"), None),
        ([was(R, "a"), was(G), was(G)], ended(R, "a"), Reason.FAILED),
        ([was(R, "a")], ended(G), Reason.MENDED),
        ([was(R, "a"), was(G)], ended(G), None),
        # What it does not tell changes nothing for it.
        ([was(U, "a")], ended(G), None),
        ([was(G), was(U, "a")], ended(R, "a"), Reason.FAILED),
        ([was(R, "a"), was(U, "b")], ended(G), Reason.MENDED),
        ([was(R, "a"), was(U, "b")], ended(R, "a"), None),
        ([], ended(U), None),
        # What could not be told is told the next time, if there is still something to tell.
        ([was(R, "a", told=False)], ended(R, "a"), Reason.FAILED),
        ([was(R, "a", told=False)], ended(G), None),
        ([was(R, "a"), was(G, told=False)], ended(G), Reason.MENDED),
        ([was(R, "a"), was(G, told=False)], ended(R, "a"), None),
        ([was(R, "a"), was(R, "b", told=False)], ended(R, "b"), Reason.ANOTHER),
    ],
)
def test_only_a_change_is_told(
    earlier: list[Before], run: Announcement, reason: Reason | None
) -> None:
    assert reason_of(NOTICE, after(run, *earlier)) == reason


def test_green_is_told_when_it_was_not_and_of_every_run_only_where_that_is_asked_for() -> None:
    both = replace(NOTICE, on=(G, R))
    assert reason_of(both, after(ended(G))) is None
    assert reason_of(both, after(ended(G), was(U))) is Reason.MENDED
    assert reason_of(both, after(ended(G), was(G))) is None
    every = replace(both, every=Every.RUN)
    assert reason_of(every, after(ended(G), was(G))) is Reason.EVERY
    assert reason_of(every, after(ended(R, "a"), was(R, "a"))) is Reason.EVERY
    assert reason_of(every, after(ended(P), was(R, "a"))) is None


def test_a_part_of_the_loop_is_not_told_unless_somebody_asks() -> None:
    part = ended(R, partial=True)
    assert reason_of(replace(NOTICE, every=Every.RUN), after(part)) is None
    assert reason_of(NOTICE, replace(part, asked=True)) is Reason.ASKED


def test_an_interrupted_run_is_told_where_that_is_wanted_and_is_no_state() -> None:
    assert reason_of(NOTICE, after(ended(STOPPED))) is None
    assert (
        reason_of(replace(NOTICE, on=(R, STOPPED)), after(ended(STOPPED), was(R)))
        is Reason.INTERRUPTED
    )


def test_without_the_earlier_runs_a_failure_is_told_and_a_recovery_owed() -> None:
    assert reason_of(NOTICE, replace(ended(R), earlier=None)) is Reason.FAILED
    with pytest.raises(AnnounceError, match="could not be read"):
        reason_of(NOTICE, replace(ended(G), earlier=None))
    assert reason_of(replace(NOTICE, on=(STOPPED,)), replace(ended(G), earlier=None)) is None
