"""A run that is SIGKILLed at any event and gone on with ends as one that nobody has disturbed."""

from __future__ import annotations

import signal

import pytest
from kill_driver import label
from kill_rig import (
    AT_ONCE,
    PATIENT,
    WAITS,
    End,
    Site,
    drive,
    finds_what_it_has_deployed,
    journal,
    killed_at,
    let_go,
    numbers,
    of_kind,
    processes_of,
    resumed,
    serving_already,
    site_of,
    waiting,
    working_in,
)
from rig import Project, met_by_users, until
from services import ASKS, suite, tiny_loop, tiny_service
from slow import SLOW, but_slow

FAILS = ASKS + "def test_it_is_something_else():\n    assert ask() == 'something else'\n"

BEFORE_TESTS = (
    "entered preflight",
    "finished preflight",
    "entered build",
    "intent build web",
    "result build web",
    "finished build",
    "entered deploy",
    "intent deploy web",
    "result deploy web",
    "finished deploy",
    "entered health",
)
TESTS = (
    "finished health",
    "entered verify",
    "intent suite smoke",
    "cases smoke",
    "result suite smoke",
    "finished verify",
)
GREEN = (
    *BEFORE_TESTS,
    *TESTS,
    "entered promote",
    "intent promote web",
    "result promote web",
    "finished promote",
    "entered confirm",
    "finished confirm",
)
# One side of each effect.
QUICK_GREEN = ("result deploy web", "result suite smoke")
PUT_BACK = (
    "entered collect",
    "finished collect",
    "entered settle",
    "intent discard web",
    "result discard web",
    "finished settle",
    "entered diagnose",
    "finished diagnose",
    "entered remediate",
    "finished remediate",
)
RED = (*BEFORE_TESTS, *TESTS, *PUT_BACK)
OTHERS = (
    "run.started",
    "source.read web",
    "build.step web",
    "image.built web",
    "content.proven web",
    "suite.collected smoke",
    "service.observed before web",
    "revision.deployed web",
    "service.observed deployed web",
    "health.judged web",
    "suite.started smoke",
    "suite.finished smoke",
    "chain.checked web",
    "traffic.routed web",
    "logs.kept web",
    "service.observed end web",
)
UNHEALTHY = (*BEFORE_TESTS, "finished health", *PUT_BACK)
WAVES = (
    *GREEN[: GREEN.index("entered deploy")],
    "intent build store",
    "result build store",
    "entered deploy",
    "intent deploy store",
    "result deploy store",
    "finished deploy",
    "entered health",
    "finished health",
    "entered deploy 1",
    "intent deploy web 1",
    "result deploy web 1",
    "finished deploy 1",
    "entered health 1",
    "finished health 1",
    *GREEN[GREEN.index("entered verify") :],
    "intent promote store",
    "result promote store",
)


def failing_suite(project: Project) -> None:
    serving_already(project)
    tiny_loop(project, FAILS, service=AT_ONCE)


def two_waves(project: Project) -> None:
    services = {name: {**tiny_service(project, name), **AT_ONCE} for name in ("store", "web")}
    services["web"]["needs"] = ["store"]
    services["web"]["run"]["env"] = {"STORE_URL": "${services.store.url}"}
    project.loop("two", services=services, suites=[suite(project)])
    project.commit()
    first = project.run("two")
    assert first.code == 0, str(first)


def failing_in_traffic(project: Project) -> None:
    """What was promoted fails at its public address, and has to be taken out of the traffic."""
    serving_already(project)
    later = suite(project, FAILS, "later", phase="confirm")
    service = {**tiny_service(project), **AT_ONCE}
    project.loop("web", services={"web": service}, suites=[suite(project), later])
    project.commit()


def dying_candidate(project: Project) -> None:
    serving_already(project)
    tiny_loop(project, prelude="sys.exit(4)\n", service=AT_ONCE)


green = site_of(serving_already)
red = site_of(failing_suite)
taken_back = site_of(failing_in_traffic)
unhealthy = site_of(dying_candidate)
waves = site_of(two_waves, "two")


@SLOW
def test_these_are_all_the_events_of_a_green_run(green: Site) -> None:
    assert green.undisturbed.code == 0, green.told
    assert green.undisturbed.cases
    assert green.labels == list(GREEN)


@pytest.mark.parametrize("at", but_slow(GREEN, QUICK_GREEN))
def test_a_green_run_ends_as_if_it_had_never_been_killed(green: Site, at: str) -> None:
    before = numbers(green.project)
    ran = green.goes_on_as_if_nothing_had_been(green.killed(at), before)
    assert met_by_users(ran.stable_url) == ran.service("web")["revision"]


@pytest.mark.slow
@pytest.mark.parametrize("at", OTHERS)
def test_no_other_event_is_a_worse_moment(green: Site, at: str) -> None:
    before = numbers(green.project)
    green.goes_on_as_if_nothing_had_been(green.killed(at), before)


TWICE = (
    ("entered build", "result build web"),
    ("intent deploy web", "entered health"),
    ("result deploy web", "run.resumed deploy"),
    ("cases smoke", "cases smoke"),
    ("intent promote web", "intent promote web"),
    ("finished confirm", "entered confirm"),
)


@SLOW
@pytest.mark.parametrize(("first", "second"), TWICE, ids=[" then ".join(each) for each in TWICE])
def test_a_run_may_be_killed_again_and_again(green: Site, first: str, second: str) -> None:
    before = numbers(green.project)
    folder = green.killed(first)
    again = drive(green.project, folder=str(folder), at=second)
    assert again.code == -signal.SIGKILL, str(again)
    assert label(journal(folder)[-1]) == second
    ran = green.goes_on_as_if_nothing_had_been(folder, before)
    assert len(of_kind(folder, "run.resumed")) == 2
    assert met_by_users(ran.stable_url) == ran.service("web")["revision"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "at", but_slow(("intent deploy web", "cases smoke", "result promote web"), ("cases smoke",))
)
def test_half_a_last_line_is_cut_off(green: Site, at: str) -> None:
    before = numbers(green.project)
    folder = green.killed(at)
    whole = (folder / "journal.jsonl").read_bytes()
    (folder / "journal.jsonl").write_bytes(whole + whole.splitlines()[-1][:40])
    green.goes_on_as_if_nothing_had_been(folder, before)
    assert (folder / "journal.jsonl").read_bytes().startswith(whole)


def test_a_deployment_that_goes_on_without_its_run_is_found_and_not_made_twice(
    project: Project,
) -> None:
    serving_already(project)
    for number in range(1500):
        project.write(f"web/pages/{number}.txt", "copied by the host, one by one")
    tiny_loop(project, WAITS, service=AT_ONCE, timeout=PATIENT)
    finds_what_it_has_deployed(project)


def test_no_test_of_a_run_outlives_it(project: Project) -> None:
    tiny_loop(project, WAITS, service=AT_ONCE, timeout=PATIENT)
    going = waiting(project)
    assert processes_of(going.folder().name)
    going.signal(signal.SIGKILL)
    folder = going.end().run
    until(lambda: not processes_of(folder.name))
    let_go(project)
    ran = resumed(project, folder)
    assert ran.code == 0, str(ran)
    assert processes_of(folder.name) == []


@pytest.mark.slow
def test_a_build_that_was_killed_leaves_no_half_made_image(project: Project) -> None:
    root = project.root
    step = f"touch {root}/waiting; until [ -e {root}/let-go ]; do sleep 0.02; done"
    tiny_loop(project, service={**AT_ONCE, "build": {"steps": [step]}})
    going = waiting(project)
    going.signal(signal.SIGKILL)
    folder = going.end().run
    let_go(project)
    (left,) = (project.runs_dir / "images").glob(".building-*")
    until(lambda: not working_in(left))
    ran = resumed(project, folder)
    assert ran.code == 0, str(ran)
    assert [path.name for path in (project.runs_dir / "images").iterdir()] == [
        ran.service("web")["image"].removeprefix("sha256:")
    ]


@SLOW
def test_a_run_killed_once_it_has_ended_is_not_lost(green: Site) -> None:
    killed = drive(green.project, loop="web", at="run.ended")
    assert killed.code == -signal.SIGKILL
    assert state_of(green.project, killed.run.name) == "interrupted", "it has no reports yet"
    ended = green.resumed(killed.run)
    assert End.of(ended) == green.undisturbed
    assert state_of(green.project, killed.run.name) == "ended"
    assert of_kind(killed.run, "run.resumed") == [], "only its reports were missing"
    again = green.resumed(killed.run)
    assert again.code == 2, str(again)
    assert "has ended green" in again.err


def state_of(project: Project, run: str) -> str:
    runs = project.loopctl("runs", "--json").document()["runs"]
    return str(next(each for each in runs if each["run_id"] == run)["state"])


@SLOW
def test_these_are_all_the_events_of_a_red_run(red: Site) -> None:
    assert red.undisturbed.code == 1, red.told
    assert red.labels == list(RED)


@SLOW
@pytest.mark.parametrize("at", RED)
def test_a_red_run_ends_as_if_it_had_never_been_killed(red: Site, at: str) -> None:
    before = numbers(red.project)
    serving = red.project.serving("web")
    ran = red.goes_on_as_if_nothing_had_been(red.killed(at), before)
    assert red.project.serving("web") == serving, "users keep what they had"
    assert ran.cases()


IN_TRAFFIC = (
    "intent promote web",
    "result promote web",
    "entered confirm",
    "cases later",
    "entered settle",
    "intent restore web",
    "result restore web",
    "traffic.routed web",
    "result discard web",
)
PUT_BACK_FROM = ("result promote web",)


@pytest.mark.parametrize("at", but_slow(IN_TRAFFIC, PUT_BACK_FROM))
def test_traffic_is_put_back_whatever_was_killed(taken_back: Site, at: str) -> None:
    assert taken_back.undisturbed.code == 1, taken_back.told
    before = numbers(taken_back.project)
    serving = taken_back.project.serving("web")
    taken_back.goes_on_as_if_nothing_had_been(taken_back.killed(at), before)
    assert taken_back.project.serving("web") == serving, "users are back with what they had"


FIRST = ("intent deploy web", "result deploy web", "revision.deployed web", "entered promote")


@pytest.mark.parametrize("at", but_slow(FIRST, ()))
def test_the_first_run_ever_may_be_killed_too(project: Project, at: str) -> None:
    tiny_loop(project, service=AT_ONCE)
    folder = killed_at(project, "web", at)
    ran = resumed(project, folder)
    assert ran.code == 0, str(ran)
    assert numbers(project) == {"web": 1}
    assert met_by_users(ran.stable_url) == ran.service("web")["revision"]
    assert ran.result["left"][0]["verified"] is True


@pytest.mark.slow
def test_these_are_all_the_events_of_an_unhealthy_run(unhealthy: Site) -> None:
    assert unhealthy.undisturbed.code == 5, unhealthy.told
    assert unhealthy.labels == list(UNHEALTHY)


@pytest.mark.parametrize("at", but_slow(UNHEALTHY, ("entered settle",)))
def test_an_unhealthy_run_ends_as_if_it_had_never_been_killed(unhealthy: Site, at: str) -> None:
    before = numbers(unhealthy.project)
    serving = unhealthy.project.serving("web")
    unhealthy.goes_on_as_if_nothing_had_been(unhealthy.killed(at), before)
    assert unhealthy.project.serving("web") == serving, "users keep what they had"


@pytest.mark.slow
def test_these_are_all_the_events_of_a_run_in_two_waves(waves: Site) -> None:
    assert waves.undisturbed.code == 0, waves.told
    assert sorted(waves.labels) == sorted(WAVES), "two builds go side by side"


@pytest.mark.parametrize("at", but_slow(WAVES, ()))
def test_a_run_in_two_waves_ends_as_if_it_had_never_been_killed(waves: Site, at: str) -> None:
    before = numbers(waves.project)
    ran = waves.goes_on_as_if_nothing_had_been(waves.killed(at), before)
    assert [left["changed_by_run"] for left in ran.result["left"]] == [True, True]
