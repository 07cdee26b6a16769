"""Large runs through the real command line: ten thousand tests, ten services in a chain."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import Any

import pytest
from rig import Project, Ran
from services import ASKS, suite, tiny_loop, tiny_service

AT_ONCE = {"path": "/health", "stable_for": "0s", "timeout": "60s"}
CHAIN = tuple(f"s{number:02}" for number in range(1, 11))

MANY = """
import http.client
from urllib.parse import urlsplit

at = urlsplit(BASE)
kept_open = http.client.HTTPConnection(at.hostname, at.port, timeout=8)

@pytest.mark.parametrize("number", range({count}))
def test_it_answers(number):
    kept_open.request("GET", "/hello")
    assert b"healthy" in kept_open.getresponse().read()
    assert number % 1000 != 999
"""


@pytest.mark.slow
def test_ten_thousand_tests_are_counted_one_by_one_and_told_in_few_words(project: Project) -> None:
    tests = MANY.format(count=10_000)
    tiny_loop(
        project,
        tests,
        service={"health": AT_ONCE},
        timeout={"suite": "400s", "test": "20s"},
    )
    ran = project.run("web", timeout=500)
    assert ran.code == 1, str(ran)
    smoke = ran.suite("smoke")
    counts = {name: smoke[name] for name in ("collected", "passed", "failed", "lost", "broken")}
    assert counts == {"collected": 10_000, "passed": 9_990, "failed": 10, "lost": 0, "broken": 0}
    assert smoke["grades"] == {"proven": 9_990}
    cases = ET.parse(ran.run / "junit.xml").getroot().iter("testcase")
    assert sum(1 for _ in cases) == 10_000
    assert (ran.run / "worklog.md").stat().st_size < 300_000
    assert (ran.run / "summary.json").stat().st_size <= 2048
    assert (ran.run / "journal.jsonl").stat().st_size < 8_000_000
    assert len(ran.out.splitlines()) <= 15
    for command in ("show", "runs"):
        looked = project.loopctl(command)
        assert looked.code == 0
        assert len(looked.out) < 5_000
    for line in (ran.run / "journal.jsonl").read_text().splitlines():
        kind = json.loads(line)
        assert kind["kind"] != "cases.graded" or len(kind["data"]["cases"]) <= 100


def chain(project: Project, dying: str | None = None) -> None:
    """Ten services, each of which needs the one before; a suite that meets the last of them."""
    services: dict[str, dict[str, Any]] = {}
    for before, name in zip(("", *CHAIN), CHAIN, strict=False):
        dies = "print('the disk of the moon is missing', flush=True)\nsys.exit(7)\n"
        spec = tiny_service(project, name, dies if name == dying else "")
        spec["health"] = AT_ONCE
        services[name] = {**spec, **({"needs": [before]} if before else {})}
    smoke = suite(project, ASKS, target=CHAIN[-1])
    project.loop("chain", services=services, suites=[smoke])
    project.commit()


def order_of(ran: Ran, kind: str, why: str | None = None) -> Sequence[str]:
    """The services of the events of a kind, in order."""
    events = [json.loads(line) for line in (ran.run / "journal.jsonl").read_text().splitlines()]
    return [
        event["service"]
        for event in events
        if event["kind"] == kind and why in (None, event["data"].get("why"))
    ]


@pytest.mark.slow
def test_ten_services_in_a_chain_are_proven_and_one_that_fails_holds_all_back(
    project: Project,
) -> None:
    chain(project)
    green = project.run("chain", timeout=240)
    assert green.code == 0, str(green)
    assert order_of(green, "revision.deployed") == list(CHAIN)
    assert len(green.result["left"]) == 10
    served = project.serving("chain")

    chain(project, dying="s07")
    ran = project.run("chain", timeout=240)
    assert ran.code == 5, str(ran)
    assert "s07" in ran.line("FAILED")
    assert "the disk of the moon is missing" in ran.out
    assert order_of(ran, "revision.deployed") == list(CHAIN[:7]), "nobody after it was deployed"
    assert not order_of(ran, "traffic.routed", "promote"), "none was promoted"
    assert project.serving("chain") == served
    discarded = [
        json.loads(line)["service"]
        for line in (ran.run / "journal.jsonl").read_text().splitlines()
        if '"effect":"discard"' in line and '"kind":"intent"' in line
    ]
    assert discarded == list(reversed(CHAIN[:7])), "put back in reverse"
    assert all(not left["changed_by_run"] for left in ran.result["left"])
