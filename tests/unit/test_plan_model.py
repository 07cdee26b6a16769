"""The plan's own arithmetic: waves, tolerances, durations, references, outcomes."""

from __future__ import annotations

from pathlib import Path

import pytest
from loop_rig import a_plan, a_service

from loopctl.model.finding import Fault, FaultKind
from loopctl.model.outcome import Outcome, worst
from loopctl.model.plan import Limit, ServiceSpec
from loopctl.model.quantity import duration
from loopctl.model.references import Endpoint, fill, mentioned, variable_name
from loopctl.model.state import OutcomeKind

HERE = Path("/project")


def waves(*services: ServiceSpec) -> list[list[str]]:
    return [[s.name for s in wave] for wave in a_plan(services, [], HERE).waves()]


def test_services_without_needs_are_one_wave() -> None:
    assert waves(a_service("a"), a_service("b")) == [["a", "b"]]


def test_each_service_stands_in_a_later_wave_than_all_it_needs() -> None:
    services = [
        a_service("db"),
        a_service("api", needs=("db",)),
        a_service("cron"),
        a_service("web", needs=("api", "cron")),
    ]
    assert waves(*services) == [["db", "cron"], ["api"], ["web"]]


def test_what_is_only_depended_on_is_in_no_wave_and_delays_none() -> None:
    gated = a_service("pay", url="https://pay.example")
    assert waves(gated, a_service("api", needs=("pay",))) == [["api"]]


def test_a_need_that_was_not_selected_delays_none() -> None:
    assert waves(a_service("api", needs=("db",))) == [["api"]]


def test_no_services_are_no_waves() -> None:
    assert waves() == []


@pytest.mark.parametrize(
    ("limit", "collected", "tolerated"),
    [
        (Limit(), 100, 0),
        (Limit(3), 2, 3),
        (Limit(None, 10.0), 19, 1),
        (Limit(None, 10.0), 9, 0),
        (Limit(None, 100.0), 7, 7),
        (Limit(None, 0.0), 1000, 0),
        (Limit(None, 33.3), 10, 3),
        (Limit(5, 1.0), 100, 1),
    ],
)
def test_a_percentage_is_of_collected_and_rounded_down(
    limit: Limit, collected: int, tolerated: int
) -> None:
    assert limit.of(collected) == tolerated


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("30s", 30.0), ("5m", 300.0), ("2h", 7200.0), ("0.1s", 0.1), ("0s", 0.0)],
)
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "5", "5 s", "-5s", "5S", "1d", "s", "1e3s", "\u0665s\n", "5s\n", "1.s", "9" * 10 + "s"],
)
def test_what_is_no_duration_is_refused_with_the_rule(text: str) -> None:
    with pytest.raises(ValueError, match="250ms, 30s, 5m or 2h"):
        duration(text)


def test_references_are_filled_in_and_named() -> None:
    endpoints = {"chat": Endpoint.of("https://chat.example/")}
    text = "${services.chat.url}/a ${services.chat.ws_url} ${OTHER}"
    assert fill(text, endpoints) == "https://chat.example/a wss://chat.example ${OTHER}"
    assert mentioned(text) == {"chat"}
    with pytest.raises(KeyError, match="files"):
        fill("${services.files.url}", endpoints)


def test_a_services_variable_has_its_name_as_shells_allow_it() -> None:
    assert variable_name("chat-api") == "CHAT_API"


FAULT = Fault(FaultKind.SUITE, "red")


def test_the_worst_outcome_speaks_and_every_fault_is_kept() -> None:
    merged = worst(
        [
            Outcome(OutcomeKind.OK, "fine"),
            Outcome(OutcomeKind.UNPROVEN, "not shown"),
            Outcome(OutcomeKind.FAILED, "red", (FAULT,)),
        ]
    )
    assert (merged.kind, merged.detail, merged.faults) == (OutcomeKind.FAILED, "red", (FAULT,))


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (OutcomeKind.OK, OutcomeKind.UNPROVEN),
        (OutcomeKind.UNPROVEN, OutcomeKind.FAILED),
        (OutcomeKind.FAILED, OutcomeKind.ERRORED),
        (OutcomeKind.ERRORED, OutcomeKind.MOVED),
    ],
)
def test_the_order_of_badness_is_the_contracts(better: OutcomeKind, worse: OutcomeKind) -> None:
    assert worst([Outcome(better), Outcome(worse)]).kind is worse
    assert worst([Outcome(worse), Outcome(better)]).kind is worse


def test_nothing_at_all_is_well() -> None:
    assert worst([]).kind is OutcomeKind.OK
