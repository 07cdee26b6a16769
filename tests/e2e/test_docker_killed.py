"""Runs of containers that are SIGKILLed or interrupted, and hosts killed under them or with them.

No deployment is made twice or lost, users keep what they had, and no container is left behind.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from docker_project import commands_with
from docker_services import (
    DOCKER,
    container_loop,
    containers,
    deploy_keys,
    docker_opened,
    green,
    hosts_of,
    old_still_serves,
    running,
    served_before,
)
from engine_rig import real_engine
from kill_rig import (
    PATIENT,
    WAITS,
    Site,
    deployed,
    drive,
    finds_what_it_has_deployed,
    host_pid,
    is_running,
    let_go,
    numbers,
    of_kind,
    processes_of,
    resumed,
    so_far,
    waiting,
)
from registry_rig import Registry, own_registry
from rig import Going, Project, Ran, met_by_users, until
from slow import but_slow

from loopctl.process_table import descendants

GREEN = (
    "entered preflight",
    "finished preflight",
    "entered build",
    "intent build web",
    "result build web",
    "intent publish web",
    "result publish web",
    "finished build",
    "entered deploy",
    "intent deploy web",
    "result deploy web",
    "finished deploy",
    "entered health",
    "finished health",
    "entered verify",
    "intent suite smoke",
    "cases smoke",
    "result suite smoke",
    "finished verify",
    "entered promote",
    "intent promote web",
    "result promote web",
    "finished promote",
    "entered confirm",
    "finished confirm",
)


class ContainerSite(Site):
    """A site whose services are containers."""

    def nothing_is_left(self, ran: Ran) -> None:
        """What serves serves, at most what served before it runs beside it, and nothing else."""
        serving = {left["service"]: left["traffic"] for left in ran.result["left"]}
        assert all(sum(traffic.values()) == 100 for traffic in serving.values()), serving
        met = {name for traffic in serving.values() for name in traffic}
        until(lambda: not processes_of(ran.run.name))
        assert set(deploy_keys(self.project).values()) == {1}
        until(lambda: met <= set(running(self.project)))
        until(lambda: len(running(self.project)) <= 2 * len(serving))
        if ran.code:
            names = {name for each in deployed(ran.run).values() for name in each}
            assert not names & set(containers(self.project)), "a candidate is left"


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    real_engine()
    with own_registry() as registry:
        yield registry


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Iterator[ContainerSite]:
    with docker_opened(tmp_path_factory.mktemp("site")) as project:
        environments = {"local": {**DOCKER["local"], "registry": f"{registry.address}/h"}}

        def prepare(project: Project) -> None:
            served_before(project, keys={"environments": environments})

        yield ContainerSite(project, "web", prepare)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with docker_opened(tmp_path) as project:
        project.env["LOOPCTL_HOST_GRACE_SECONDS"] = "2"
        yield project


@pytest.mark.slow
def test_these_are_all_the_events_of_a_green_run(site: ContainerSite) -> None:
    assert site.undisturbed.code == 0, site.told
    assert site.labels == list(GREEN)


@pytest.mark.parametrize("at", but_slow(GREEN, ()))
def test_a_run_ends_as_if_it_had_never_been_killed(site: ContainerSite, at: str) -> None:
    before = numbers(site.project)
    ran = site.goes_on_as_if_nothing_had_been(site.killed(at), before)
    assert met_by_users(ran.stable_url) == ran.service("web")["revision"]


HOST_TOO = ("intent deploy web", "result deploy web", "cases smoke", "result promote web")
NOT_DEPLOYED = ("intent deploy web",)


@pytest.mark.parametrize("at", but_slow(HOST_TOO, ()))
def test_a_run_killed_with_its_host_leaves_no_container_and_ends_green(
    site: ContainerSite, at: str
) -> None:
    before, host = numbers(site.project), host_pid(site.project)
    folder = site.killed(at, host=True)
    until(lambda: not is_running(host))
    until(lambda: not containers(site.project), 10)
    ran = site.resumed(folder)
    assert ran.code == 0, str(ran)
    made = numbers(site.project)["web"] - before["web"]
    assert made == (1 if at in NOT_DEPLOYED else 2)
    assert host_pid(site.project) != host
    assert met_by_users(ran.stable_url) == ran.service("web")["revision"]
    assert containers(site.project) == {ran.service("web")["revision"]: "running"}


UNDER = {"entered health": 5, "entered verify": 5, "entered promote": 3}


@pytest.mark.slow
@pytest.mark.parametrize("at", UNDER)
def test_a_host_killed_under_a_run_is_told_and_leaves_no_container(
    site: ContainerSite, at: str
) -> None:
    ran = drive(site.project, loop="web", at=at, spare=True)
    assert ran.code == UNDER[at], str(ran)
    assert any("its host" in stage["detail"] for stage in ran.cycle["stages"]), str(ran)
    until(lambda: not containers(site.project), 10)
    again = green(site.project)
    assert met_by_users(again.stable_url) == again.service("web")["revision"]


def kill_with_guardian(project: Project) -> None:
    """SIGKILL the host, and first the only one that would clear up after it."""
    host = host_pid(project)
    (guardian,) = [pid for pid in descendants(host) if pid != host]
    for pid in (guardian, host):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not is_running(host))


@pytest.mark.slow
def test_what_a_killed_host_and_its_guardian_leave_goes_with_the_next_run_or_down(
    project: Project,
) -> None:
    before = served_before(project)
    old = before.service("web")["revision"]
    kill_with_guardian(project)
    assert containers(project) == {old: "running"}, "nobody is left to remove it"
    ran = green(project)
    new = ran.service("web")["revision"]
    assert containers(project) == {new: "running"}
    assert met_by_users(ran.stable_url) == new
    kill_with_guardian(project)
    down = project.loopctl("down", "web")
    assert (down.code, down.out) == (0, "stopped web\n"), str(down)
    assert containers(project) == {}
    again = project.loopctl("down", "web")
    assert (again.code, again.out) == (0, "nothing was running\n"), str(again)
    for socket in project.sockets():
        socket.unlink()  # a killed host cannot, the next one would


def test_a_deployment_that_goes_on_without_its_run_is_found_and_not_made_twice(
    project: Project,
) -> None:
    served_before(project)
    container_loop(project, WAITS, timeout=PATIENT)
    finds_what_it_has_deployed(project)
    assert set(deploy_keys(project).values()) == {1}


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.0, 0.05, 0.15, 0.3, 0.6])
def test_a_host_killed_in_the_middle_of_a_deployment_leaves_nothing_for_long(
    project: Project, after: float
) -> None:
    """The engine may make the container after everybody who knew of it is gone."""
    served_before(project)
    container_loop(project, WAITS, timeout=PATIENT)
    going = project.start("run", "web", "-q")
    until(lambda: entered(going, "intent deploy web"))
    time.sleep(after)
    os.kill(host_pid(project), signal.SIGKILL)
    until(lambda: going.process.poll() is not None or (project.root / "waiting").exists())
    let_go(project)
    ended = going.end()
    assert ended.code in (0, 3, 5), str(ended)
    container_loop(project)
    ran = green(project)
    assert running(project)[ran.service("web")["revision"]] == 1
    assert hosts_of(project) == {host_pid(project)}, "what the dead host had made is gone"


def in_build(project: Project, seconds: str) -> Going:
    """A run that is in the middle of building its image."""
    container_loop(project)
    dockerfile = project.root / "web" / "Dockerfile"
    dockerfile.write_text(f"{dockerfile.read_text()}RUN sleep {seconds}\n")
    project.commit()
    going = project.start("run", "web", "-q")
    until(lambda: commands_with(seconds))
    return going


@pytest.mark.slow
def test_the_build_of_a_killed_run_does_not_go_on_and_is_done_again(project: Project) -> None:
    before = served_before(project)
    going = in_build(project, "3.0625")
    going.signal(signal.SIGKILL)
    folder = going.end().run
    until(lambda: not commands_with("3.0625"), 2)
    assert met_by_users(before.stable_url) == before.service("web")["revision"]
    ran = resumed(project, folder)
    assert ran.code == 0, str(ran)
    assert set(deploy_keys(project).values()) == {1}
    assert met_by_users(ran.stable_url) == ran.service("web")["revision"]


def entered(going: Going, what: str) -> bool:
    """Whether the run has come to that event."""
    assert going.process.poll() is None, str(going.end())
    return (going.folder() / "journal.jsonl").exists() and what in so_far(going.folder())


def in_health(project: Project) -> Going:
    container_loop(project, prelude="time.sleep(600)\n", service={"health": SLOW_HEALTH})
    going = project.start("run", "web", "-q")
    until(lambda: entered(going, "entered health"))
    until(lambda: len(running(project)) == 2)
    return going


SLOW_HEALTH: Mapping[str, Any] = {"path": "/health", "stable_for": "0s", "timeout": "60s"}


def in_verify(project: Project) -> Going:
    container_loop(project, WAITS, timeout=PATIENT)
    return waiting(project)


def in_confirm(project: Project) -> Going:
    container_loop(project, WAITS, timeout=PATIENT, phase="confirm")
    return waiting(project)


STAGES = {"health": in_health, "verify": in_verify, "confirm": in_confirm}


@pytest.mark.parametrize("stage", but_slow(STAGES, ()))
def test_ctrl_c_puts_everything_back_within_five_seconds(project: Project, stage: str) -> None:
    before = served_before(project)
    going = STAGES[stage](project)
    asked = datetime.now(UTC)
    began = time.monotonic()
    going.signal(signal.SIGINT)
    ended = going.end()
    assert time.monotonic() - began < 8
    assert ended.code == 130, str(ended)
    assert ended.result["verdict"] == ended.result["stop_reason"] == "interrupted"
    assert ended.stage(stage)["outcome"] == "interrupted"
    assert ended.stages()[-1] == "settle"
    old_still_serves(project, ended, before)
    assert project.serving("web") == {"web": {before.service("web")["revision"]: 100}}
    assert processes_of(ended.run.name) == []
    back = [line for line in of_kind(ended.run, "traffic.routed") if stage == "confirm"]
    for line in back[-1:]:
        assert line["data"]["why"] == "restore"
        assert (datetime.fromisoformat(line["at"]) - asked).total_seconds() < 5

    let_go(project)
    if stage == "health":
        container_loop(project)
        green(project)
        return
    ran = resumed(project, ended.run)
    assert ran.code == 0, str(ran)
    assert met_by_users(ran.stable_url) == ran.service("web")["revision"]


@pytest.mark.slow
def test_ctrl_c_in_a_build_ends_it_in_the_engine_too(project: Project) -> None:
    before = served_before(project)
    going = in_build(project, "9.0625")
    began = time.monotonic()
    going.signal(signal.SIGINT)
    ended = going.end()
    assert time.monotonic() - began < 5
    assert ended.code == 130, str(ended)
    until(lambda: not commands_with("9.0625"), 4)
    old_still_serves(project, ended, before)


TWO_SECONDS_DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"


@pytest.mark.slow
def test_a_second_ctrl_c_ends_it_at_once_and_nothing_is_lost(project: Project) -> None:
    before = served_before(project)
    container_loop(project, WAITS, prelude=TWO_SECONDS_DEAF, heeds_term=False, timeout=PATIENT)
    going = waiting(project)
    going.signal(signal.SIGINT)
    until(lambda: "intent discard web" in so_far(going.folder()))
    going.signal(signal.SIGINT)
    ended = going.end()
    assert ended.code == 130, str(ended)
    let_go(project)
    container_loop(project, WAITS, prelude=TWO_SECONDS_DEAF, heeds_term=False, timeout=PATIENT)
    ran = resumed(project, ended.run)
    assert ran.code == 0, str(ran)
    assert met_by_users(before.stable_url) == ran.service("web")["revision"]
    until(lambda: len(containers(project)) == 2)
    assert set(deploy_keys(project).values()) == {1}
