"""Restore is not a remedy: whatever way a run ends, users are met by what served before."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rig import Project, Ran, met_by_users
from services import suite, tiny_service
from slow import but_slow
from word_loop import (
    WANTS_GOOD,
    ended,
    rule,
    serve_unverified,
    still_served,
    word_loop,
)

SKIPS = "def test_it():\n    pytest.skip('not today')\n"

ENDS: dict[str, tuple[int, str, dict[str, Any]]] = {
    "build fails": (5, "build", {"build": {"steps": ["exit 9"]}}),
    "health fails": (5, "health", {"prelude": "sys.exit(4)\n"}),
    "unproven": (3, "verify", {"tests": SKIPS}),
    "confirm fails": (1, "confirm", {"suite_keys": {"phase": "confirm"}}),
}


@pytest.mark.parametrize("end", but_slow(ENDS, ("confirm fails",)))
def test_users_are_met_by_what_served_before(served: tuple[Project, Ran], end: str) -> None:
    project, before = served
    code, stage, loop = ENDS[end]
    word_loop(project, **loop)
    ran = project.run("web", "--remediate", "off")
    assert ended(ran) == (code, "needs-human", 1), str(ran)
    assert ran.stage(stage)["outcome"] != "ok"
    still_served(ran, before)
    moved = "done: traffic is what it was" if stage == "confirm" else "not needed"
    assert ran.line("RESTORE").startswith(f"RESTORE: {moved}")


@pytest.mark.slow
def test_keep_leaves_what_was_promoted_and_says_so(served: tuple[Project, Ran]) -> None:
    project, before = served
    word_loop(project, suite_keys={"phase": "confirm"})
    ran = project.run("web", "--keep")
    assert ended(ran) == (1, "needs-human", 1), str(ran)
    candidate = ran.service("web")["revision"]
    assert ran.line("RESTORE") == "RESTORE: not done: --keep leaves what was deployed"
    assert f"web: {candidate} 100 %" in ran.first_line
    assert ", NOT verified, changed by this run" in ran.first_line
    assert met_by_users(before.stable_url) == candidate
    back = project.loopctl("rollback", "web")
    assert back.code == 0, str(back)
    assert met_by_users(before.stable_url) == before.service("web")["revision"]


@pytest.mark.slow
def test_the_deadline_in_mid_suite_leaves_a_red_suite_red(served: tuple[Project, Ran]) -> None:
    """The first suite has failed; the second one waits for longer than the run may."""
    project, before = served
    waits = suite(
        project, "def test_it():\n    ask()\n    time.sleep(50)\n", "waits", priority="P3"
    )
    long = {**waits, "timeout": {"suite": "90s", "test": "80s"}}
    word_loop(project, suite_keys={"on_fail": "continue"}, more_suites=[long])
    ran = project.run("web", "--deadline", "20s")
    assert ended(ran) == (1, "deadline", 1), str(ran)
    assert ran.result["verdict"] == "red"
    assert ran.suite("smoke")["outcome"] == "failed"
    assert ran.suite("waits")["outcome"] != "passed"
    assert ran.findings(), "it was diagnosed, on time of its own"
    still_served(ran, before)


def test_services_that_were_promoted_are_put_back_in_reverse(project: Project) -> None:
    services = {name: tiny_service(project, name) for name in ("store", "web")}
    services["web"]["needs"] = ["store"]
    project.loop("two", services=services, suites=[suite(project)])
    project.commit()
    first = project.run("two")
    assert first.code == 0, str(first)
    before = project.serving("two")

    fails = suite(project, "def test_it():\n    assert ask() == 'no'\n", "after", phase="confirm")
    project.loop("two", services=services, suites=[suite(project), fails])
    project.commit()
    second = project.run("two")
    assert second.code == 1, str(second)
    assert project.serving("two") == before
    assert "RESTORE: done" in second.out
    assert routes(second) == ["promote store", "promote web", "restore web", "restore store"]
    assert {left["changed_by_run"] for left in second.result["left"]} == {False}
    assert {left["verified"] for left in second.result["left"]} == {True}


def routes(ran: Ran) -> list[str]:
    """Every traffic change of a run, in order, as the journal has it."""
    events = map(json.loads, (ran.run / "journal.jsonl").read_text().splitlines())
    return [f"{e['data']['why']} {e['service']}" for e in events if e["kind"] == "traffic.routed"]


@pytest.mark.slow
def test_a_partial_run_that_is_red_rolls_nothing_back(served: tuple[Project, Ran]) -> None:
    project, before = served
    bad = serve_unverified(project)
    word_loop(project, rule("rollback"), more_suites=[suite(project, name="another")])
    ran = project.run("web", "--suite", "smoke")
    assert ended(ran) == (1, "needs-human", 1), str(ran)
    assert ran.first_line.startswith("USERS: PARTIAL")
    assert "NEXT: loopctl rollback web --env local" in ran.out
    assert ran.result["left"][0]["traffic"] == {bad: 100}
    assert ran.result["left"][0]["verified"] is False
    assert met_by_users(before.stable_url) == bad
    assert project.loopctl("rollback", "web").code == 0


@pytest.mark.slow
def test_a_retry_of_what_serves_tests_it_again_and_deploys_nothing(
    served: tuple[Project, Ran],
) -> None:
    project, before = served
    word_loop(project, rule("retry"), tests=WANTS_GOOD.replace("== 'good'", "== 'better'"))
    ran = project.run("web", "--from", "verify")
    assert ended(ran) == (1, "needs-human", 2), str(ran)
    assert "PARTIAL" in ran.first_line
    for cycle in ran.result["cycles"]:
        assert {"build", "deploy", "promote"}.isdisjoint(entered(cycle))
    still_served(ran, before)


def entered(cycle: dict[str, Any]) -> list[str]:
    return [stage["name"] for stage in cycle["stages"] if stage["outcome"] != "skipped"]


@pytest.mark.slow
def test_a_first_run_that_comes_round_again_still_says_what_serves(project: Project) -> None:
    """Cycle 2 is red too: what serves is the first revision, of cycle 1."""
    word_loop(project, rule("retry"))
    told = project.loopctl("plan", "web")
    assert "its first revision takes all traffic before it is verified" in told.out
    ran = project.run("web")
    assert ended(ran) == (1, "needs-human", 2), str(ran)
    assert "web-00001-" in ran.first_line
    assert "its first revision, which serves UNVERIFIED" in ran.first_line
    assert "no green run to compare with" in ran.line("CHANGED SINCE GREEN")
    assert project.serving("web")["web"] == ran.result["left"][0]["traffic"]
