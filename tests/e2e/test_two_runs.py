"""Two runs and one environment: one changes it, the other says who does."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest
from kill_rig import AT_ONCE, PATIENT, WAITS, killed_at, let_go, numbers, of_kind, waiting
from rig import Project, Ran, met_by_users, until
from services import ASKS, suite, tiny_loop, tiny_service


def held_suite(project: Project) -> Ran:
    """Something serves; the next run stays in its suite until it is let go. The first run."""
    tiny_loop(project, service=AT_ONCE)
    first = project.run("web")
    assert first.code == 0, str(first)
    tiny_loop(project, WAITS, service=AT_ONCE, timeout=PATIENT)
    return first


def effects(folder: Path) -> list[str]:
    return [line["data"]["effect"] for line in of_kind(folder, "intent")]


def lease(project: Project) -> Path:
    return next(project.runtime.rglob("leases/*.json"))


def test_of_two_runs_one_runs_and_the_other_names_it(project: Project) -> None:
    first = held_suite(project)
    going = waiting(project)
    made = numbers(project)
    second = project.run("web")
    assert second.code == 6, str(second)
    told = second.line("VERDICT") + second.line("FAILED")
    assert "locked" in told
    held = (
        rf"web is held by run {going.folder().name} \(process {going.process.pid} on \S+\), "
        r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC until \d\d:\d\d:\d\d UTC"
    )
    assert re.search(held, second.out), str(second)
    assert second.result["stop_reason"] == "locked"
    assert effects(second.run) == []
    assert numbers(project) == made
    assert met_by_users(first.stable_url) == first.service("web")["revision"]
    for command in (("down", "web"), ("rollback", "web")):
        refused = project.loopctl(*command)
        assert refused.code == 6, str(refused)
        assert going.folder().name in refused.err

    let_go(project)
    ended = going.end()
    assert ended.code == 0, str(ended)
    assert met_by_users(first.stable_url) == ended.service("web")["revision"]


@pytest.mark.slow
def test_other_services_of_the_environment_are_nobody_elses_business(project: Project) -> None:
    held_suite(project)
    store = {**tiny_service(project, "store"), **AT_ONCE}
    project.loop("store", services={"store": store}, suites=[suite(project, ASKS, "s", "store")])
    project.commit()
    going = waiting(project)
    beside = project.run("store")
    assert beside.code == 0, str(beside)
    let_go(project)
    ended = going.end()
    assert ended.code == 0, str(ended)


def test_a_dead_holder_is_taken_over_at_once(project: Project) -> None:
    tiny_loop(project, service=AT_ONCE)
    dead = killed_at(project, "web", "entered verify")
    assert json.loads(lease(project).read_text())["run_id"] == dead.name
    ran = project.run("web")
    assert ran.code == 0, str(ran)
    assert met_by_users(ran.stable_url) == ran.service("web")["revision"]


@pytest.mark.slow
def test_a_holder_that_slept_past_its_lease_changes_nothing_more(project: Project) -> None:
    held_suite(project)
    asleep = waiting(project)
    asleep.signal(signal.SIGSTOP)
    try:
        run_out(lease(project))
        let_go(project)
        second = project.run("web")
        assert second.code == 0, str(second)
        made = numbers(project)
    finally:
        asleep.signal(signal.SIGCONT)
    ended = asleep.end()
    assert ended.code == 3, str(ended)
    assert ended.result["stop_reason"] == "environment-moved"
    assert "environment.moved" in ended.line("LIKELY CAUSE"), str(ended)
    assert "settle" not in ended.stages()
    assert numbers(project) == made
    assert met_by_users(second.stable_url) == second.service("web")["revision"]


def run_out(record: Path) -> None:
    """What ninety seconds do to a lease that nobody renews."""
    written = json.loads(record.read_text())
    record.write_text(json.dumps({**written, "until_clock": 0.0}))


@pytest.mark.slow
def test_nobody_holds_what_a_dead_run_held(project: Project) -> None:
    tiny_loop(project, service=AT_ONCE)
    killed_at(project, "web", "entered verify")
    unlocked = project.loopctl("unlock", "web")
    assert (unlocked.code, unlocked.out) == (0, "nobody holds it\n"), str(unlocked)


@pytest.mark.slow
def test_who_is_robbed_is_named_first_and_changes_nothing_after(project: Project) -> None:
    first = held_suite(project)
    going = waiting(project)
    for confirm in ((), ("--confirm", "staging")):
        asked = project.loopctl("unlock", "web", *confirm)
        assert asked.code == 2, str(asked)
        assert going.folder().name in asked.err
        assert f"process {going.process.pid}" in asked.err
        assert "--confirm local" in asked.err
    assert json.loads(lease(project).read_text())["run_id"] == going.folder().name

    robbed = project.loopctl("unlock", "web", "--confirm", "local")
    assert robbed.code == 0, str(robbed)
    assert f"taken from run {going.folder().name}" in robbed.out
    let_go(project)
    ended = going.end()
    assert ended.code == 3, str(ended)
    assert ended.result["stop_reason"] == "environment-moved"
    assert "lease" in ended.line("FAILED"), str(ended)
    results = [line["data"]["ok"] for line in of_kind(ended.run, "result")]
    assert results == [True, True, True, False], "the route was refused by the host"
    assert met_by_users(first.stable_url) == first.service("web")["revision"]
    again = project.run("web")
    assert again.code == 0, str(again)


def test_a_run_leaves_no_lease_behind(project: Project) -> None:
    tiny_loop(project, service=AT_ONCE)
    assert project.run("web").code == 0
    until(lambda: not list(project.runtime.rglob("leases/*.json")))
