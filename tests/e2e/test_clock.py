"""A clock that is set in the middle of a run: for loopctl, the host, the service and the tests.

All of them ask the same shim for the time of day; monotonic clocks go on, as they do in the world.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from rig import Project, Ran
from services import ASKS, suite, tiny_service
from shim import Shim

HOUR = 3600
SPEAKS = (
    "def answer(self):\n    print('it was asked', flush=True)\n    return self.own()\n"
    "Handler.answer = answer\n"
)


@pytest.fixture
def shim(tmp_path: Path) -> Shim:
    return Shim.built(tmp_path)


def loop_of(project: Project, shim: Shim, tests: str, build: str = "true") -> None:
    """A loop whose service meets the shim too, on a host that does."""
    service = tiny_service(project, "web", SPEAKS)
    service["run"]["env"] = dict(shim.env)
    service["build"] = {"steps": [build]}
    project.loop(
        "web",
        loop={"deadline": "10m"},
        services={"web": service},
        suites=[suite(project, tests, evidence={"require": "proven", "target": ["web"]})],
    )
    project.commit()


def sets(shim: Shim, seconds: int) -> str:
    """A test that sets everybody's clock between two questions."""
    return (
        f"def test_sets_the_clock():\n    ask('/through')\n    before = time.time()\n"
        f"    scratch = {str(shim.clock)!r} + '.tmp'\n"
        f"    open(scratch, 'w').write('{seconds}')\n"
        f"    os.replace(scratch, {str(shim.clock)!r})\n"
        f"    assert abs(time.time() - before - ({seconds})) < 30\n    ask('/through')\n"
    )


ASK_THROUGH = "def test_asks_through():\n    ask('/through')\n"


def is_as_if_no_clock_had_been_set(ran: Ran, asked: int) -> None:
    assert ran.code == 0, str(ran)
    assert {case["grade"] for case in ran.cases()} == {"proven"}, ran.cases()
    result = ran.result
    assert 0 < result["duration_s"] < 120
    for stage in ran.cycle["stages"]:
        assert 0 <= stage["duration_s"] < 120
    for case in ran.cases():
        assert 0 <= case["duration_s"] < 60
    log = (ran.run / "logs" / "1" / "web.jsonl").read_text().splitlines()
    said = [json.loads(line)["text"] for line in log]
    assert said.count("it was asked") == asked, said
    assert any(text.startswith("started as process") for text in said)
    assert [request["path"] for request in requests(ran)].count("/through") == asked


def requests(ran: Ran) -> list[dict[str, Any]]:
    text = (ran.run / "logs" / "1" / "web.requests.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize(
    "seconds",
    [pytest.param(-HOUR, id="back"), pytest.param(HOUR, id="ahead", marks=pytest.mark.slow)],
)
def test_a_clock_that_is_set_in_mid_suite_changes_nothing(
    project: Project, shim: Shim, seconds: int
) -> None:
    shim.hosts(project)
    loop_of(project, shim, ASKS + sets(shim, seconds) + ASK_THROUGH)
    ran = project.run("web", env=shim.env)
    is_as_if_no_clock_had_been_set(ran, asked=3)
    first, *_, last = [datetime.fromisoformat(request["at"]) for request in requests(ran)]
    assert abs((last - first).total_seconds() - seconds) < 60, "the host's clock was set too"


@pytest.mark.slow
def test_a_clock_that_is_set_back_while_it_builds_changes_nothing(
    project: Project, shim: Shim
) -> None:
    shim.hosts(project)
    loop_of(project, shim, ASKS + ASK_THROUGH, f"echo -{HOUR} > {shim.clock}")
    is_as_if_no_clock_had_been_set(project.run("web", env=shim.env), asked=1)


@pytest.mark.slow
def test_runs_stand_in_their_order_although_the_clock_was_set_back(
    project: Project, shim: Shim
) -> None:
    loop_of(project, shim, ASKS)
    first = project.run("web", env=shim.env)
    shim.sets_clock(-HOUR)
    second = project.run("web", env=shim.env)
    third = project.run("web", env=shim.env)
    for ran in (first, second, third):
        assert ran.code == 0, str(ran)
    listed = project.loopctl("runs", "--json", env=shim.env).document()["runs"]
    assert [r["run_id"] for r in listed] == [r.run.name for r in (third, second, first)]
    assert third.run.name in project.loopctl("show", env=shim.env).out
    began = [r["started_at"] for r in listed]
    assert began[0] < began[2], "when they began is what the clock said"


@pytest.mark.slow
def test_a_run_that_was_cut_off_before_the_clock_was_set_back_is_gone_on_with(
    project: Project, shim: Shim
) -> None:
    loop_of(project, shim, ASKS)
    ran = project.run("web", env=shim.env)
    assert ran.code == 0, str(ran)
    journal = ran.run / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    kept = next(n for n, line in enumerate(lines) if b'"suite.started"' in line)
    journal.write_bytes(b"".join(lines[:kept]))
    (ran.run / "summary.json").unlink()
    shim.sets_clock(-HOUR)
    resumed = project.loopctl("resume", ran.run.name, "-q", env=shim.env)
    assert resumed.code == 0, str(resumed)
    assert {case["grade"] for case in ran.cases()} == {"proven"}
    assert 0 < ran.result["duration_s"] < 120
