"""What `plan` says of a suite: what runs it, what runs twice, and what is judged after it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from loopctl.authoring.outlook import Outlook
from loopctl.journal.history import PastDurations
from loopctl.model.plan import (
    Criterion,
    Environment,
    EvidenceSpec,
    Plan,
    PlatformKind,
    Priority,
    Quarantined,
    SuiteKind,
    SuitePhase,
    SuiteSpec,
)

SUITE = SuiteSpec(
    id="smoke",
    title="Smoke",
    priority=Priority.P1,
    phase=SuitePhase.VERIFY,
    kind=SuiteKind.PYTEST,
    run="tests",
    cwd=Path("/nowhere"),
)
CONTROL = replace(SUITE, repeatable=True, evidence=EvidenceSpec(control="changed"))
LIMIT = Criterion("http.p95", "<=", 2.0, "2s", 5)
NEVER = PastDurations(0, None, {}, {})
MORE = "             "


def outlook(suite: SuiteSpec, *, protected: bool = False, past: PastDurations = NEVER) -> Outlook:
    plan = Plan(
        loop="shop",
        path=Path("/p/loops/shop.yaml"),
        root=Path("/p"),
        environment=Environment("staging", PlatformKind.LOCAL, protected),
        services=(),
        suites=(suite,),
        criteria=(LIMIT,),
    )
    return Outlook(plan, (), past, (), ())


def suite_in(seen: Outlook) -> dict[str, Any]:
    """The one suite of the document."""
    suites: Any = seen.document()["suites"]
    assert len(suites) == 1
    return dict(suites[0])


def told(suite: SuiteSpec, *, protected: bool = False) -> list[str]:
    """The lines of the suite, without those of the loop and of its criteria."""
    lines = outlook(suite, protected=protected).lines()
    return [line for line in lines[1:] if not line.startswith("  limit")]


@pytest.mark.parametrize(
    ("suite", "how"),
    [
        (SUITE, "pytest"),
        (replace(SUITE, shards=3), "pytest in 3 shards"),
        (replace(SUITE, shards="auto"), "pytest in as many shards as are worth it"),
        (replace(SUITE, kind=SuiteKind.COMMAND), "command"),
        (replace(SUITE, kind=SuiteKind.HTTP, probe={"requests": [{}, {}]}), "http, 2 requests"),
        (replace(SUITE, kind=SuiteKind.WEBSOCKET, probe={}), "websocket, 1 connection"),
        (
            replace(SUITE, kind=SuiteKind.WEBSOCKET, probe={"connections": 50}),
            "websocket, 50 connections",
        ),
    ],
)
def test_a_suite_is_told_with_what_runs_it(suite: SuiteSpec, how: str) -> None:
    assert told(suite) == [f"  verify   P1 smoke: {how}, needs observed, never run green here"]


@pytest.mark.parametrize(
    ("suite", "more"),
    [
        (replace(SUITE, retries=2), ["what fails is run again, at most 2 times"]),
        (replace(SUITE, repeatable=True), ["what is lost with its process is run again, once"]),
        (
            replace(SUITE, repeatable=True, retries=1),
            ["what fails or is timed out or lost is run again, at most 1 time"],
        ),
        (
            CONTROL,
            [
                "what is lost with its process is run again, once",
                "control run: runs new and changed passing tests again, up to three times,"
                " without services",
            ],
        ),
        (
            replace(SUITE, evidence=EvidenceSpec(control="always")),
            ["control run: runs all passing tests again, up to three times, without services"],
        ),
        (
            replace(SUITE, quarantine=(Quarantined("a", "ana", date(2999, 1, 1)),)),
            ["1 case in quarantine: failures not counted"],
        ),
    ],
)
def test_what_runs_more_than_once_or_does_not_count_is_told(
    suite: SuiteSpec, more: list[str]
) -> None:
    assert told(suite)[1:] == [MORE + line for line in more]


def test_nothing_is_promised_to_run_twice_in_a_protected_environment() -> None:
    assert told(CONTROL, protected=True)[-1] == (f"{MORE}no control run: staging is protected")
    assert suite_in(outlook(CONTROL, protected=True))["control"] == "off"


def test_criteria_are_told_with_their_limits_and_samples() -> None:
    seen = outlook(
        replace(CONTROL, shards=2, retries=1), past=PastDurations(1, 2.0, {}, {"smoke": 1.5})
    )
    assert "  limit    http.p95 <= 2s, over at least 5 samples" in seen.lines()
    assert any("needs observed, took 1.5 s" in line for line in seen.lines())
    document = seen.document()
    assert document["criteria"] == [
        {"metric": "http.p95", "op": "<=", "limit": "2s", "min_samples": 5}
    ]
    suite = suite_in(seen)
    wanted = {"kind": "pytest", "shards": 2, "retries": 1, "repeatable": True, "control": "changed"}
    assert {key: suite[key] for key in wanted} == wanted
