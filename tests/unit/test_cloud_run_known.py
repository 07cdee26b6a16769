"""Every text of Cloud Run that is known has its cause in one line and what mends it."""

from __future__ import annotations

import pytest
from cloud_run_texts import TEXTS
from google.cloud.run_v2 import Condition, Revision, Service

from loopctl.platforms.cloud_run.conditions import (
    Readiness,
    fault_of,
    has_failed,
    is_newest_ready,
    readiness,
    why_failed,
)
from loopctl.platforms.cloud_run.errors import ApiError, Code
from loopctl.platforms.cloud_run.known import explained
from loopctl.platforms.cloud_run.names import Names

NAMES = Names("p", "us-central1")
DONE = Condition.State.CONDITION_SUCCEEDED
FAILED = Condition.State.CONDITION_FAILED
WAITING = Condition.State.CONDITION_RECONCILING
INFO = Condition.Severity.INFO
ERROR = Condition.Severity.ERROR


def told(kind: str, state: object, message: str = "", severity: object = ERROR) -> Condition:
    return Condition(type_=kind, state=state, message=message, severity=severity)


@pytest.mark.parametrize("case", TEXTS)
def test_a_condition_of_each_text_is_a_fault_with_cause_and_fix(case: str) -> None:
    said = TEXTS[case]
    fault = fault_of(said.text, "Ready", "chat", "chat-00007-zun", NAMES)
    assert said.cause in fault.summary
    assert "\n" not in fault.summary
    assert fault.hint is not None
    assert said.fix in fault.hint
    (quote,) = fault.quotes
    assert quote.quote[:60] == " ".join(said.text.split())[:60]
    assert quote.source == "Ready of chat-00007-zun"


@pytest.mark.parametrize("case", TEXTS)
def test_an_error_of_each_text_is_explained(case: str) -> None:
    said = TEXTS[case]
    with pytest.raises(ApiError) as raised, explained(NAMES, "chat"):
        raise ApiError(Code.FAILED_PRECONDITION, said.text, doing="deploy chat", where="chat")
    assert said.cause in raised.value.what
    assert raised.value.hint is not None
    assert said.fix in raised.value.hint


def test_a_text_that_nobody_knows_is_told_as_it_is() -> None:
    fault = fault_of("The moon is full.", "Ready", "chat", "chat-1", NAMES)
    assert fault.summary == "chat: The moon is full."
    assert fault.hint is not None
    assert fault.hint.startswith("gcloud run revisions describe chat-1 ")


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], Readiness.WAITING),
        ([told("Ready", WAITING)], Readiness.WAITING),
        ([told("Ready", DONE)], Readiness.READY),
        ([told("Ready", FAILED)], Readiness.FAILED),
        # A healthy revision without traffic.
        ([told("Ready", DONE), told("Active", FAILED, "retired", INFO)], Readiness.READY),
        ([told("Active", DONE), told("ContainerHealthy", DONE)], Readiness.WAITING),
    ],
)
def test_ready_alone_decides(conditions: list[Condition], expected: Readiness) -> None:
    assert readiness(Revision(conditions=conditions)) is expected


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        (Service(), False),
        (Service(terminal_condition=told("Ready", DONE)), False),
        (Service(terminal_condition=told("Ready", FAILED)), True),
        (Service(terminal_condition=told("Ready", FAILED), reconciling=True), False),
        (Service(conditions=[told("RoutesReady", FAILED)]), True),
        (Service(conditions=[told("RoutesReady", FAILED, severity=0)]), True),
        (Service(conditions=[told("Other", FAILED, severity=INFO)]), False),
        (
            Service(
                terminal_condition=told("Ready", DONE), conditions=[told("RoutesReady", FAILED)]
            ),
            False,
        ),
    ],
)
def test_a_service_has_failed_when_it_rests_and_says_so(service: Service, expected: bool) -> None:
    assert has_failed(service) is expected


def test_the_revision_tells_why_before_its_service_does() -> None:
    revision = Revision(
        conditions=[
            told("Active", FAILED, "Revision retired.", INFO),
            told("ContainerHealthy", FAILED, "of health"),
            told("Ready", FAILED, "of the revision"),
        ]
    )
    service = Service(terminal_condition=told("Ready", FAILED, "of the service"))
    assert why_failed(revision, service) == ("of the revision", "Ready")
    assert why_failed(None, service) == ("of the service", "Ready")
    assert why_failed(Revision(), Service()) == ("", "")


@pytest.mark.parametrize(
    "name", ["chat-1", "projects/p/locations/r/services/chat/revisions/chat-1"]
)
def test_the_newest_ready_is_known_by_its_name_in_short_and_in_full(name: str) -> None:
    assert is_newest_ready(Service(latest_ready_revision=name), "chat-1")
    assert not is_newest_ready(Service(latest_ready_revision=name, reconciling=True), "chat-1")
    assert not is_newest_ready(Service(latest_ready_revision=name), "chat-2")
