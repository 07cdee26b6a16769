"""Who is met by users: nobody but what was verified, and never by a stranger's doing."""

from __future__ import annotations

import json
import urllib.request

import pytest
from load import Load
from rig import Project, met_by_users, until
from services import ASKS, suite, tiny_loop, tiny_service

NOWHERE = {"AUTH_URL": "http://127.0.0.1:9"}

# Changes the candidate's own files while it is being tested.
TAMPERS = """
import json, pathlib

def test_it_answers_and_is_changed_behind_its_back():
    revision = json.loads(ask())["revision"]
    folder = pathlib.Path(".loopctl/hosts/local/revisions") / revision
    (folder / "service.py").write_text("changed")
"""

# Takes all traffic to the candidate, the way loopctl itself would.
REROUTES = """
import json, pathlib

def test_a_stranger_moves_the_traffic():
    os.environ["LOOPCTL_RUNTIME_DIR"] = os.environ["THE_RUNTIME_DIR"]
    from loopctl.platforms.host.client import HostClient
    from loopctl.platforms.host.rendezvous import Rendezvous
    from loopctl.process import Stop

    root = pathlib.Path.cwd()
    place = Rendezvous.of(root, "local", root / ".loopctl")
    lease = json.loads(next(place.leases.glob("*.json")).read_text())
    revision = json.loads(ask())["revision"]
    asked = {"service": "web", "traffic": {revision: 100}, "fence": lease["fence"]}
    HostClient(place).call("route", asked, Stop(10.0))
"""


def test_a_candidate_that_fails_never_meets_a_user(project: Project) -> None:
    tiny_loop(project)
    first = project.run("web")
    old, url = first.service("web")["revision"], first.stable_url
    tiny_loop(project, "def test_it():\n    assert ask() == 'something else'\n")
    with Load(url, keep_alive=True) as load:
        second = project.run("web")
    assert second.code == 1, str(second)
    assert load.failures == []
    assert set(load.answers) == {old}
    assert f"web: {old} 100 %" in second.first_line
    assert "not changed by this run" in second.first_line
    assert met_by_users(url) == old


@pytest.mark.slow
def test_a_first_run_that_fails_says_unverified_and_deletes_nothing(project: Project) -> None:
    tiny_loop(project, "def test_it():\n    assert ask() == 'something else'\n")
    ran = project.run("web")
    assert ran.code == 1, str(ran)
    assert "UNVERIFIED" in ran.first_line
    revision = ran.service("web")["revision"]
    assert project.serving("web")["web"] == {revision: 100}
    assert ran.result["left"][0]["verified"] is False


def test_several_services_go_in_waves_and_one_that_fails_holds_back_all(project: Project) -> None:
    services = {name: tiny_service(project, name) for name in ("store", "web")}
    services["web"]["needs"] = ["store"]
    services["web"]["run"]["env"] = {"STORE_URL": "${services.store.url}"}
    tests = "def test_it():\n    assert 'healthy' in ask()\n"
    suites = [suite(project, tests, target="web")]
    project.loop("two", services=services, suites=suites)
    project.commit()
    first = project.run("two")
    assert first.code == 0, str(first)
    assert first.stages().count("deploy") == 2, "store and web are two waves"
    before = project.serving("two")

    project.write("store/page.txt", "a change of the store, which is healthy")
    tiny_service(project, "web", "sys.exit(4)\n")
    second = project.run("two")
    assert second.code == 5, str(second)
    assert project.serving("two") == before
    assert {left["changed_by_run"] for left in second.result["left"]} == {False}
    assert second.service("store")["serving_percent"] == 0


@pytest.mark.slow
def test_candidates_are_tested_with_the_candidates_beside_them(project: Project) -> None:
    services = {name: tiny_service(project, name) for name in ("store", "web")}
    services["web"]["needs"] = ["store"]
    services["web"]["run"]["env"] = {"STORE_URL": "${services.store.url}"}
    asks_store = """
import urllib.request
def behind(url=os.environ["STORE_URL"] + "/hello"):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read()
Handler.answer = lambda self: behind()
"""
    tiny_service(project, "web", asks_store)
    suites = [
        suite(project, "def test_it():\n    assert '-00001-' in ask('/through')\n", target="web")
    ]
    project.loop("two", services=services, suites=suites)
    project.commit()
    assert project.run("two").code == 0
    suite(project, "def test_it():\n    assert '-00002-' in ask('/through')\n", target="web")
    second = project.run("two")
    assert second.code == 0, str(second)
    with urllib.request.urlopen(second.service("web")["url"] + "/through", timeout=5) as answer:
        assert json.load(answer)["revision"] == second.service("store")["revision"]


@pytest.mark.slow
def test_a_gated_service_is_asked_before_anything_is_done(project: Project) -> None:
    with_gate = {"auth": {"url": "${AUTH_URL}", "health": {"path": "/health"}}}
    services = {**with_gate, "web": tiny_service(project)}
    services["web"]["needs"] = ["auth"]
    project.loop("gated", services=services, suites=[suite(project)])
    project.commit()
    down = project.run("gated", env=NOWHERE)
    assert down.code == 4, str(down)
    assert "auth" in down.out
    assert "127.0.0.1:9" in down.out
    assert down.stages() == ["preflight"]
    assert project.serving("gated", NOWHERE) == {"web": {}}

    tiny_loop(project)
    url = project.run("web").stable_url
    up = project.run("gated", env={"AUTH_URL": url})
    assert up.code == 0, str(up)


@pytest.mark.slow
def test_every_missing_variable_is_named_at_once_and_nothing_is_changed(project: Project) -> None:
    environments = {"local": {"platform": "local", "require_env": ["ONE_TOKEN", "TWO_TOKEN"]}}
    services = {"web": tiny_service(project)}
    project.loop("web", environments=environments, services=services, suites=[suite(project)])
    project.commit()
    ran = project.run("web")
    assert ran.code == 4, str(ran)
    assert "ONE_TOKEN" in ran.out
    assert "TWO_TOKEN" in ran.out
    assert ran.result["verdict"] == "preflight"
    assert ran.stages() == ["preflight"]
    assert "changed nothing" in ran.first_line or "not changed" in ran.first_line


def test_a_candidate_changed_during_the_tests_is_not_promoted(project: Project) -> None:
    tiny_loop(project)
    green = project.run("web")
    assert green.code == 0, str(green)
    tiny_loop(project, TAMPERS)
    ran = project.run("web")
    assert ran.code == 3, str(ran)
    assert ran.suite("smoke")["outcome"] == "passed", "the tests themselves have nothing to say"
    assert "service.py" in ran.line("FAILED"), "the broken link is named"
    assert ran.service("web")["provenance"]["rechecked_after_tests"] is False
    assert met_by_users(green.stable_url) == green.service("web")["revision"]


def test_traffic_that_a_stranger_moved_is_told_and_left_to_him(project: Project) -> None:
    tiny_loop(project)
    green = project.run("web")
    assert green.code == 0, str(green)
    tiny_loop(project, REROUTES)
    ran = project.run("web", env={"THE_RUNTIME_DIR": str(project.runtime)})
    assert ran.code == 3, str(ran)
    assert ran.result["stop_reason"] == "environment-moved"
    assert "promote" not in ran.stages()
    assert "settle" not in ran.stages(), "nothing is put back that somebody else has changed"
    assert met_by_users(green.stable_url) == ran.service("web")["revision"]


@pytest.mark.slow
def test_a_service_that_dies_is_told_while_the_one_before_serves_on(project: Project) -> None:
    tiny_loop(project)
    green = project.run("web")
    dies = "\nthreading.Timer(0.8, lambda: os._exit(9)).start()\n"
    waits = ASKS + "def test_waits():\n    time.sleep(1.5)\n    ask()\n"
    tiny_loop(project, waits, prelude=dies)
    ran = project.run("web")
    assert ran.code == 1, str(ran)
    assert "exited with 9" in ran.out
    assert met_by_users(green.stable_url) == green.service("web")["revision"]


def test_down_stops_everything_and_says_what(project: Project) -> None:
    tiny_loop(project)
    project.run("web")
    assert project.processes()
    down = project.loopctl("down", "web")
    assert (down.code, down.out) == (0, "stopped web\n")
    until(lambda: not project.processes())
    assert project.sockets() == []
    again = project.loopctl("down", "web")
    assert (again.code, again.out) == (0, "nothing was running\n")
