"""Suites are collected where there is something else to wait for, and no longer than needed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import FakeReceipts, FakeSuite
from loop_rig import RUN_ID, a_case, a_journal, a_service, a_suite, written

from loopctl.errors import Stopped, StorageError
from loopctl.model.events import Event, SuiteCollected
from loopctl.model.evidence import Collection
from loopctl.model.finding import FaultKind
from loopctl.model.outcome import Outcome
from loopctl.model.plan import BuildSpec, HealthSpec, ServiceSpec, SuiteKind, SuiteSpec
from loopctl.model.state import OutcomeKind, State
from loopctl.ports.suite import SuiteContext
from loopctl.process import Stop
from loopctl.stages.suite_collection import SuiteCollection, Wait, collected_in
from loopctl.stages.suite_run import RunFacts, SuiteRunner

OK = Outcome(OutcomeKind.OK, "chat healthy")
FAILED = Outcome(OutcomeKind.FAILED, "chat exited with 3")
WATCHED = a_service(health=HealthSpec(stable_for_s=2.5))


def at_once(_begin: Callable[[], None], _: Stop) -> Outcome:
    return OK


class EndlessSuite(FakeSuite):
    """Collects until it is stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()

    def collect(self, spec: SuiteSpec, context: SuiteContext, stop: Stop) -> Collection | None:
        self.begun.set()
        stop.wait(10.0)
        raise AssertionError("nobody stopped it")


class Desk:
    """Two suites, of which this cycle knows nothing yet."""

    def __init__(self, folder: Path, suite: FakeSuite | None = None) -> None:
        specs = (a_suite("p1"), a_suite("p2"))
        self.suite = suite or FakeSuite()
        self.suite.cases = {spec.id: [a_case()] for spec in specs}
        self.events: list[Event] = []
        self.journal = a_journal(folder, (), specs, subscribers=[self.events.append])
        facts = RunFacts(RUN_ID, "local", loopback=True, health_paths={}, gated={})
        runner = SuiteRunner({SuiteKind.PYTEST: self.suite}, FakeReceipts(), facts)
        self.collection = SuiteCollection(specs, 2, runner)

    def beside(self, wait: Wait, stop: Stop | None = None) -> Outcome:
        return self.collection.beside(wait, self.journal, stop or Stop(10.0))


@pytest.mark.parametrize(
    ("service", "stage"),
    [
        (WATCHED, State.HEALTH),
        (a_service(), State.BUILD),
        (replace(WATCHED, build=BuildSpec("local", steps=("make",))), State.BUILD),
        (replace(WATCHED, build=BuildSpec("docker")), State.HEALTH),
        (a_service(build=BuildSpec("docker")), State.BUILD),
        (a_service(health=HealthSpec(stable_for_s=2.5, max_latency_s=0.1)), State.BUILD),
        (a_service(health=HealthSpec(stable_for_s=2.5, max_latency_s=3.0)), State.HEALTH),
    ],
)
def test_suites_are_collected_in_the_stage_that_waits_longer(
    service: ServiceSpec, stage: State
) -> None:
    assert collected_in([(service,)]) is stage


def test_a_run_that_deploys_nothing_collects_at_once() -> None:
    assert collected_in([]) is State.BUILD


def test_what_would_be_run_is_known_when_the_wait_is_over(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.beside(at_once) == OK
    assert written(desk.events, SuiteCollected) == [SuiteCollected(1, 0, 0)] * 2


def test_too_few_tests_are_unproven_however_healthy_the_service_is(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.suite.collections["p2"] = Collection(())
    outcome = desk.beside(at_once)
    assert outcome.kind is OutcomeKind.UNPROVEN
    assert [fault.kind for fault in outcome.faults] == [FaultKind.NOTHING_COLLECTED]


def test_a_wait_that_failed_is_not_prolonged_by_collecting(tmp_path: Path) -> None:
    endless = EndlessSuite()
    desk = Desk(tmp_path, endless)

    def fails(begin: Callable[[], None], _: Stop) -> Outcome:
        begin()
        assert endless.begun.wait(5.0)
        return FAILED

    assert desk.beside(fails) == FAILED
    assert not written(desk.events, SuiteCollected)


def test_nothing_is_collected_for_a_service_that_never_answered(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.beside(lambda _begin, _: FAILED) == FAILED
    assert desk.suite.calls == []


def test_each_suite_is_collected_once_however_many_services_answer(tmp_path: Path) -> None:
    desk = Desk(tmp_path)

    def answers(begin: Callable[[], None], _: Stop) -> Outcome:
        begin()
        begin()
        return OK

    assert desk.beside(answers) == OK
    assert sorted(desk.suite.calls) == ["collect p1", "collect p2"]


def test_what_this_cycle_knows_already_is_not_collected_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.journal.append(SuiteCollected(1, 0, 0), suite="p1")
    desk.beside(at_once)
    assert desk.suite.calls == ["collect p2"]
    desk.beside(at_once)
    assert desk.suite.calls == ["collect p2"]


def test_a_run_that_is_stopped_stops_collecting(tmp_path: Path) -> None:
    endless = EndlessSuite()
    stop = Stop(10.0)

    def waits(begin: Callable[[], None], inner: Stop) -> Outcome:
        begin()
        assert endless.begun.wait(5.0)
        stop.stop("SIGINT")
        inner.wait(10.0)
        return OK

    with pytest.raises(Stopped, match="SIGINT"):
        Desk(tmp_path, endless).beside(waits, stop)


def test_a_disk_that_fails_while_collecting_is_not_passed_over(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.suite.fails["collect p1"] = StorageError("no space left")
    with pytest.raises(StorageError):
        desk.beside(at_once)
