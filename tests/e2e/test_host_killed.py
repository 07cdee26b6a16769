"""The host of an environment is SIGKILLed: with the run, before it is gone on with, or under it."""

from __future__ import annotations

import pytest
from kill_rig import (
    AT_ONCE,
    End,
    Site,
    drive,
    host_pid,
    is_running,
    killed_at,
    numbers,
    processes_of,
    resumed,
    services_up,
    serving_already,
    site_of,
)
from rig import Project, met_by_users, until
from services import tiny_loop
from slow import but_slow

NOT_DEPLOYED = ("entered preflight", "entered build", "entered deploy", "intent deploy web")
DEPLOYED = (
    "result deploy web",
    "entered health",
    "entered verify",
    "cases smoke",
    "entered promote",
    "result promote web",
    "entered confirm",
    "finished confirm",
)


site = site_of(serving_already)


QUICK = ("result deploy web",)


@pytest.mark.parametrize("at", but_slow((*NOT_DEPLOYED, *DEPLOYED), QUICK))
def test_a_run_killed_with_its_host_ends_green_all_the_same(site: Site, at: str) -> None:
    before, host = numbers(site.project), host_pid(site.project)
    folder = site.killed(at, host=True)
    until(lambda: not is_running(host))
    ran = site.resumed(folder)
    assert End.of(ran) == site.undisturbed, str(ran)
    # What the dead host had is gone for certain: that alone is deployed again.
    made = numbers(site.project)["web"] - before["web"]
    assert made == (1 if at in NOT_DEPLOYED else 2)
    assert host_pid(site.project) != host
    assert met_by_users(ran.stable_url) == ran.service("web")["revision"]
    until(lambda: set(services_up(site.project)) == {ran.service("web")["revision"]})
    assert processes_of(folder.name) == []


UNDER = {
    "entered health": (5, "health"),
    "entered verify": (5, "verify"),
    "entered promote": (3, "promote"),
    "entered confirm": (3, "confirm"),
}


@pytest.mark.parametrize("at", but_slow(UNDER, ()))
def test_a_host_that_is_killed_under_a_run_is_told_and_the_next_run_works(
    site: Site, at: str
) -> None:
    code, stage = UNDER[at]
    ran = drive(site.project, loop="web", at=at, spare=True)
    assert ran.code == code, str(ran)
    shown = site.project.loopctl("show", ran.run.name).out
    assert "no revision serves, DEAD (it was taken down, or its host has ended)" in shown
    assert "its host" in next(s["detail"] for s in ran.cycle["stages"] if s["name"] == stage)
    assert processes_of(ran.run.name) == []
    until(lambda: not services_up(site.project))
    again = site.project.run("web")
    assert again.code == 0, str(again)


@pytest.mark.slow
def test_a_host_that_is_killed_before_the_deployment_is_followed_by_another(site: Site) -> None:
    ran = drive(site.project, loop="web", at="entered deploy", spare=True)
    assert End.of(ran) == site.undisturbed, str(ran)


@pytest.mark.slow
def test_what_a_dead_host_had_cannot_be_put_back_and_that_is_told(project: Project) -> None:
    serving_already(project)
    tiny_loop(project, "def test_it():\n    assert ask() == ''\n", service=AT_ONCE)
    folder = killed_at(project, "web", "entered settle", host=True)
    until(lambda: not services_up(project))
    ran = resumed(project, folder)
    assert ran.code == 5, str(ran)
    assert ran.result["stop_reason"] == "restore-failed"
    assert ran.first_line == "MEND: loopctl run web --env local"
    assert ran.line("RESTORE").endswith("; deploy it again: nobody serves now")
    assert "no revision serves" in ran.line("USERS")
    assert "its host has ended" in ran.line("USERS")
    tiny_loop(project, service=AT_ONCE)
    assert project.run("web").code == 0
