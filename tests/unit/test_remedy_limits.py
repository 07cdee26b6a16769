"""Remedies are bounded by the cause, the run and the day, over all runs; what fails is left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes import HEALTHY, DeafHistory, serving
from remedy_rig import AGAIN, Failure, found

from loopctl.journal.mending import remedy_records
from loopctl.model.finding import ProposedRemedy
from loopctl.model.plan import HealthSpec, RemediationMode, RemedyRule
from loopctl.model.state import OutcomeKind, State, StopReason
from loopctl.ports.history import HistoryError, RemedyRecord, RunRecord
from loopctl.ports.probe import Answer
from loopctl.process import Stop, utc_now
from loopctl.stages import remedy_limits

RED = {"verdict": "red"}
STALE = found(ProposedRemedy("rebuild", "rebuild without the cache"))
RULE = RemedyRule(RED, "retry", per_day=2)


def earlier(*remedies: RemedyRecord, run: int = 0) -> RunRecord:
    name = f"2025090{run}-100000-golden-path-0000"
    return RunRecord(name, "golden-path", "local", utc_now(), remedies=remedies)


def done(cause: str, action: str = "retry", hours: float = 1.0, **facts: object) -> RemedyRecord:
    at = utc_now() - timedelta(hours=hours)
    return RemedyRecord(cause, action, "done", at, mended=True, **facts)  # type: ignore[arg-type]


def test_a_rule_is_done_as_often_in_a_day_as_it_says_whichever_run_does_it(tmp_path: Path) -> None:
    failure = Failure(tmp_path)
    failure.history.records = [earlier(done("remediate.rules[0]"))]
    assert failure.remediate(RULE).kind is OutcomeKind.GO_DEPLOY


def test_one_that_is_spent_for_the_day_is_proposed_with_the_number(tmp_path: Path) -> None:
    failure = Failure(tmp_path)
    failure.history.records = [
        earlier(done("remediate.rules[0]"), run=1),
        earlier(done("remediate.rules[0]"), run=2),
    ]
    assert failure.remediate(RULE).kind is OutcomeKind.FAILED
    assert (failure.decided.result, failure.decided.command) == ("proposed", AGAIN)
    said = "remediate.rules[0] was done 2 times in 24 hours, 2 are allowed"
    assert said in failure.decided.detail


def test_what_was_done_more_than_a_day_ago_does_not_count(tmp_path: Path) -> None:
    failure = Failure(tmp_path)
    failure.history.records = [earlier(*(done("remediate.rules[0]", hours=25) for _ in range(9)))]
    assert failure.remediate(RULE).kind is OutcomeKind.GO_DEPLOY


def test_all_remedies_of_a_day_are_bounded_together(tmp_path: Path) -> None:
    failure = Failure(tmp_path, STALE)
    failure.history.records = [earlier(*(done(f"cause.{n}") for n in range(3)))]
    assert failure.remediate(per_day=4).kind is OutcomeKind.GO_BUILD
    failure = Failure(tmp_path / "more", STALE)
    failure.history.records = [earlier(*(done(f"cause.{n}") for n in range(4)))]
    assert failure.remediate(per_day=4).kind is OutcomeKind.FAILED
    assert "4 remedies were done in 24 hours, remediate.per_day allows 4" in failure.decided.detail


def test_a_known_cause_is_acted_upon_twelve_times_a_day(tmp_path: Path) -> None:
    failure = Failure(tmp_path, STALE)
    records = [done("deploy.stale-image", "rebuild") for _ in range(12)]
    failure.history.records = [earlier(*records)]
    assert failure.remediate().kind is OutcomeKind.FAILED
    assert "12 times in 24 hours" in failure.decided.detail


def test_this_runs_own_record_is_not_counted_twice(tmp_path: Path) -> None:
    failure = Failure(tmp_path)
    own = RunRecord("20250910-203000-golden-path-1a2b", "golden-path", "local", utc_now())
    failure.history.records = [
        RunRecord(own.run_id, own.loop, own.environment, own.started_at, remedies=(done("x"),) * 30)
    ]
    assert failure.remediate(RULE).kind is OutcomeKind.GO_DEPLOY


def test_where_the_history_cannot_be_read_nothing_is_done_blindly(tmp_path: Path) -> None:
    failure = Failure(tmp_path, STALE)
    failure.history.fails["recent"] = HistoryError("the bucket does not answer")
    assert failure.remediate().kind is OutcomeKind.FAILED
    assert (failure.decided.action, failure.decided.result) == ("rebuild", "proposed")
    assert "the history cannot be read: the bucket does not answer" in failure.decided.detail


def test_a_history_that_hears_nothing_keeps_no_remedy_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remedy_limits, "_READ_S", 0.05)
    history = DeafHistory()
    ledger = remedy_limits.read_ledger(history, "golden-path", "local", "run-1", Stop(10))
    history.let_go.set()
    assert ledger.unreadable == "it was not read within 0.05 s"


def test_in_propose_nobody_asks_the_history(tmp_path: Path) -> None:
    failure = Failure(tmp_path, STALE)
    failure.remediate(mode=RemediationMode.PROPOSE)
    assert not failure.history.calls


@pytest.mark.parametrize("facts", [{"result": "failed"}, {"mended": False}])
def test_what_failed_today_on_the_same_sources_is_not_begun_again_by_another_run(
    tmp_path: Path, facts: dict[str, object]
) -> None:
    first = Failure(tmp_path / "first", STALE)
    first.remediate()
    failure = Failure(tmp_path, STALE)
    at = utc_now() - timedelta(hours=2)
    told = {"result": "done", "mended": None, **facts}
    failed = RemedyRecord(
        "deploy.stale-image",
        "rebuild",
        at=at,
        service="chat",
        on=first.decided.on,
        **told,  # type: ignore[arg-type]
    )
    failure.history.records = [earlier(failed)]
    assert failure.remediate().kind is OutcomeKind.FAILED
    assert "a second remedy of a kind that just failed" in failure.decided.detail
    later = Failure(tmp_path / "later", STALE)
    later.history.records = [earlier(failed)]
    later.again(later.remediate(RemedyRule(RED, "retry")), tree="tree-2")
    assert later.remediate().kind is OutcomeKind.GO_BUILD, "the source is another"


def test_what_a_remedy_came_to_is_kept_for_other_runs(tmp_path: Path) -> None:
    failure = Failure(tmp_path, STALE)
    failure.again(failure.remediate())
    (record,) = remedy_records(failure.journal.fold.snapshot())
    assert (record.cause, record.action, record.result) == ("deploy.stale-image", "rebuild", "done")
    assert record.mended is False, "the image is stale again"
    assert record.service == "chat"
    assert record.on.startswith("sha256:")


def test_a_rollback_is_looked_at_where_it_went(tmp_path: Path) -> None:
    for answer, mended in ((HEALTHY, True), (Answer(503, 0.01, "no"), False)):
        failure = a_rollback(tmp_path / str(mended), answer)
        assert failure.remediate(RemedyRule(RED, "rollback")).kind is OutcomeKind.FAILED
        assert failure.decided.ends is StopReason.ROLLED_BACK
        assert failure.decided.mended is mended
        assert "chat-older" in failure.decided.seen


def a_rollback(folder: Path, answer: Answer) -> Failure:
    failure = Failure(folder)
    failure.services = [replace(s, health=HealthSpec(timeout_s=0.2)) for s in failure.services]
    failure.platform.states["chat"] = serving("chat", {"chat-old": 100, "chat-older": 0})
    failure.verified = {"chat": ("chat-older",), "worker": ("worker-old",)}
    failure.prober.answers = {"http://127.0.0.1/chat/health": [answer]}
    return failure


OOM = found(ProposedRemedy("raise-memory", "one step up"), "deploy.out-of-memory")
RAISE = RemedyRule({"stage": "health"}, "raise-memory", limit=9)
MI = 1 << 20


def test_memory_goes_up_by_one_step_for_this_run_alone_and_a_person_is_told(
    tmp_path: Path,
) -> None:
    failure = Failure(tmp_path, OOM, stage=State.HEALTH, memory=256 * MI)
    rule = RemedyRule({"signature": "deploy.out-of-memory"}, "raise-memory")
    assert failure.remediate(rule).kind is OutcomeKind.GO_DEPLOY
    assert failure.decided.memory == 512 * MI
    assert failure.decided.detail == (
        "chat is given 512Mi of memory in place of 256Mi for this run; "
        "write run.memory: 512Mi into the loop file"
    )
    assert failure.journal.fold.raised_memory == {"chat": 512 * MI}


def steps(failure: Failure) -> Iterator[int | None]:
    rule = RemedyRule({"signature": "deploy.out-of-memory"}, "raise-memory", limit=9)
    for number in range(4):
        outcome = failure.remediate(rule, max_cycles=9, no_progress=9)
        yield failure.decided.memory
        if outcome.kind is OutcomeKind.FAILED:
            return
        failure.again(outcome, tree=f"tree-{number}")


def test_it_goes_no_further_than_the_cap(tmp_path: Path) -> None:
    failure = Failure(tmp_path, OOM, stage=State.HEALTH, memory=768 * MI)
    assert list(steps(failure)) == [1536 * MI, 2048 * MI, None]
    assert "it has 2Gi, and 2Gi is the most" in failure.decided.detail
    assert failure.decided.result == "proposed"


@pytest.mark.parametrize(
    ("facts", "bounds", "why"),
    [
        ({"memory": None}, {}, "the loop file names no run.memory"),
        ({"memory": 256 * MI}, {"limits_memory": False}, "no process is kept to run.memory here"),
        ({"memory": 4096 * MI}, {}, "it has 4Gi, and 2Gi is the most"),
    ],
)
def test_where_it_cannot_be_raised_a_person_is_told_why(
    tmp_path: Path, facts: dict[str, Any], bounds: dict[str, Any], why: str
) -> None:
    failure = Failure(tmp_path, OOM, stage=State.HEALTH, **facts)
    rule = RemedyRule({"signature": "deploy.out-of-memory"}, "raise-memory")
    assert failure.remediate(rule, **bounds).kind is OutcomeKind.FAILED
    assert failure.decided.result == "proposed"
    assert why in failure.decided.detail


def test_it_is_proposed_as_what_to_write(tmp_path: Path) -> None:
    failure = Failure(tmp_path, OOM, stage=State.HEALTH, memory=256 * MI)
    rule = RemedyRule({"signature": "deploy.out-of-memory"}, "raise-memory")
    failure.remediate(rule, mode=RemediationMode.PROPOSE)
    assert failure.decided.detail == (
        "raise-memory: write run.memory: 512Mi for chat into the loop file (it has 256Mi) "
        "and run again"
    )


def test_on_a_protected_environment_it_is_a_persons(tmp_path: Path) -> None:
    failure = Failure(tmp_path, OOM, stage=State.HEALTH, memory=256 * MI)
    failure.protected = True
    rule = RemedyRule({"signature": "deploy.out-of-memory"}, "raise-memory")
    failure.remediate(rule)
    assert failure.decided.result == "proposed"
    assert "is never automatic" in failure.decided.detail
