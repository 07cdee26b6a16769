"""What the records of earlier runs say together, and what a run leaves to be said by it."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import worklogs
from fakes import DeafHistory, FakeHistory
from loop_rig import a_plan, a_service, a_suite

from loopctl.api.given import SHARED_DIGITS, given_hashes
from loopctl.journal.earlier_runs import MERGED, RECORDS, EarlierRuns, Past
from loopctl.journal.history_files import keep_record
from loopctl.journal.run_record import record_of
from loopctl.model.baseline import Baseline, Seen
from loopctl.model.plan import RunSpec, SecretSpec
from loopctl.ports.history import FindingRecord, RunRecord
from loopctl.process import Stop
from loopctl.redact import Secret

BEGAN = datetime(2025, 9, 10, tzinfo=UTC)
LOOP, ENV = "golden-path", "local"


def a_run(number: int, verdict: str = "red", **facts: object) -> RunRecord:
    at = BEGAN + timedelta(minutes=number)
    record = RunRecord(f"{at:%Y%m%d-%H%M%S}-{LOOP}-{number:04x}", LOOP, ENV, at, verdict)
    return replace(record, **facts)  # type: ignore[arg-type]


def a_green(number: int, *templates: str, version: int = 1) -> RunRecord:
    seen = {template: Seen(1, f"chat-{number}") for template in templates}
    baseline = Baseline({"chat": seen}, {"chat": len(seen)}, version=version)
    return a_run(number, "green", green=baseline, verified={"chat": f"chat-{number}"})


def history_of(*records: RunRecord) -> FakeHistory:
    history = FakeHistory()
    for record in records:
        history.put(record, Stop())
    return history


def test_a_green_run_is_found_behind_any_number_of_red_ones() -> None:
    green = a_green(0, "started")
    reds = [a_run(n, greens=(green.run_id,)) for n in range(1, 3 * RECORDS)]
    past = EarlierRuns(history_of(green, *reds), LOOP, ENV).past()
    assert past.last_green == green
    assert past.verified() == {"chat": ("chat-0",)}
    assert len(past.records) == RECORDS + 1


def test_the_newest_greens_are_merged_and_each_template_keeps_where_it_was_first_seen() -> None:
    greens = [a_green(n, "started", f"only {n}") for n in range(MERGED + 2)]
    baseline = EarlierRuns(history_of(*greens), LOOP, ENV).past().baseline(1)
    assert baseline is not None
    assert baseline.templates["chat"]["started"] == Seen(MERGED, "chat-2")
    assert "only 1" not in baseline.templates["chat"]
    assert baseline.lines == {"chat": MERGED * 2}


def test_neither_partial_runs_nor_templates_of_another_version_are_compared_with() -> None:
    partial = replace(a_green(3, "started"), partial=True)
    past = Past((partial, a_green(2, "begun", version=2), a_green(1, "started")))
    baseline = past.baseline(2)
    assert baseline is not None
    assert set(baseline.templates["chat"]) == {"begun"}
    assert past.baseline(3) is None
    assert past.last_green == past.records[1]


def test_a_run_does_not_meet_itself_when_it_is_gone_on_with() -> None:
    own = a_run(2, findings=(FindingRecord("v1|x", None, "TypeError"),))
    past = EarlierRuns(history_of(a_run(1), own), LOOP, ENV, own.run_id).past()
    assert past.records == (a_run(1),)
    assert past.sightings("v1|x") is None


def test_a_history_that_hears_nothing_is_left_when_the_time_is_up() -> None:
    deaf = DeafHistory()
    began = time.monotonic()
    assert EarlierRuns(deaf, LOOP, ENV).past(Stop(0.1)).unread == "no answer within 5 s"
    (told,) = keep_record(deaf, a_run(1, findings=(FindingRecord("v1|x", None, "X"),)), Stop(0.1))
    assert told.endswith("ended by its deadline")
    assert time.monotonic() - began < 5
    deaf.let_go.set()


def test_a_cause_is_told_with_how_often_it_was_seen_and_since_when() -> None:
    found = (FindingRecord("v1|x", "app.x", "X"),)
    past = Past((a_run(9, findings=found), a_run(5), a_run(2, findings=found)))
    seen = past.sightings("v1|x")
    assert seen is not None
    assert (seen.runs, seen.first_run, seen.since) == (2, a_run(2).run_id, a_run(2).started_at)
    assert past.sightings("v1|y") is None


def test_a_run_leaves_what_it_found_in_all_cycles_once_and_what_it_carried_out() -> None:
    record = record_of(worklogs.two_cycles().worklog())
    assert [each.title for each in record.findings] == [worklogs.FINDING.title, "other"]
    (remedy,) = record.remedies
    assert (remedy.action, remedy.result, remedy.mended) == ("run", "done", False)
    assert record.durations["health"] > 0
    assert record.verified == {}
    assert record_of(worklogs.red().worklog()).remedies == (), "a proposal was not carried out"


def test_only_a_whole_green_run_verifies() -> None:
    assert record_of(worklogs.green().worklog()).verified == {"chat": worklogs.NEW}
    partial = record_of(worklogs.partial().worklog())
    assert (partial.verified, partial.is_whole_green) == ({}, False)


def test_a_baseline_keeps_its_most_frequent_templates_and_no_more_than_it_may() -> None:
    seen = {f"template {n}": Seen(n, "chat-1") for n in range(100)}
    baseline = Baseline({"chat": seen, "quiet": {}}, {"chat": 9, "quiet": 0})
    few = baseline.bounded(10, 10_000)
    assert set(few.templates["chat"]) == {f"template {n}" for n in range(90, 100)}
    assert few.templates["quiet"] == {}
    short = baseline.bounded(1000, 5 * len("template 99"))
    assert set(short.templates["chat"]) == {f"template {n}" for n in range(95, 100)}


def test_two_machines_tell_a_changed_value_by_hashes_that_bear_out_no_guess(
    tmp_path: Path,
) -> None:
    def given(folder: str, value: str, key: bytes = b"k" * 32) -> dict[str, str]:
        secret = SecretSpec("JWT", Secret("JWT", value))
        service = a_service(run=RunSpec(env={"LEVEL": "info"}, secrets=(secret,), memory=1 << 29))
        plan = a_plan([service], [a_suite()], tmp_path / folder)
        return dict(given_hashes(plan, key, SHARED_DIGITS))

    here, there = given("a", "hunter22"), given("b", "hunter22")
    assert here == there
    assert {"JWT of chat", "LEVEL of chat", "memory of chat"} <= here.keys()
    assert given("a", "hunter23") != here
    assert given("a", "hunter22", b"j" * 32)["JWT of chat"] != here["JWT of chat"]
    # Of many guesses some fit by chance, even for who has the key.
    assert {len(each) for each in here.values()} == {5}
