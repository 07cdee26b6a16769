"""What to type after a look: the safe step first, and never one that harms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fakes import BEGAN, serving
from loop_rig import COMMANDS, HELD

from loopctl.model.finding import Fault, FaultKind, Finding
from loopctl.stages.survey import Surveyed
from loopctl.stages.survey_looked import Looked
from loopctl.stages.survey_next import Around, next_commands
from loopctl.triage.triaged import ServiceLook, State

AROUND = Around(COMMANDS, {"chat": "/health"}, lambda name, rev: f"tail {name} {rev}", "RUN")
BACK = "loopctl rollback golden-path --env local"
RUN = "loopctl run golden-path --env local"
ILL = Fault(FaultKind.STATUS, "it answers 503", "chat")
FOUND = Finding("http.500-novel", "500", "critical", 0.9, "v1", service="chat")


def looked(state: State, *verified: str, serves: str = "chat-2") -> Looked:
    """A service of two revisions of which one has all traffic; `verified` are known good."""
    seen = replace(serving("chat", {"chat-1": 0, "chat-2": 0}), traffic={serves: 100})
    look = ServiceLook(
        "chat",
        state,
        traffic={serves: 100},
        verified=frozenset(verified) & {serves},
        url="http://127.0.0.1:1",
        faults=(ILL,) if state == "unhealthy" else (),
    )
    return Looked(look, seen, look.faults, known_good=verified)


def commands(one: Looked, findings: Sequence[Finding] = ()) -> tuple[str, ...]:
    return next_commands(Surveyed(BEGAN, {"chat": one}), findings, AROUND)


def test_a_rollback_comes_first_where_what_is_broken_was_never_verified() -> None:
    assert commands(looked("unhealthy", "chat-1"))[0] == BACK
    assert commands(looked("healthy", "chat-1"), [FOUND])[0] == BACK


def test_nothing_goes_back_without_need_or_without_a_place_to_go() -> None:
    for one in (
        looked("unhealthy"),  # nothing was ever verified
        looked("unhealthy", "chat-0"),  # what was verified is gone
        looked("unhealthy", "chat-2"),  # what serves is verified
        looked("healthy", "chat-1"),  # nothing is broken
        replace(looked("unhealthy", "chat-1"), held=HELD),  # a run is at it
        replace(looked("healthy", "chat-1"), dead=("chat-3",)),  # what fails takes no traffic
    ):
        assert BACK not in commands(one, [FOUND] if one.dead else ())


def test_a_run_that_is_going_on_is_watched_and_none_is_begun_beside_it() -> None:
    said = commands(replace(looked("unhealthy"), held=HELD))
    assert f"loopctl watch {HELD.run_id}" in said
    assert RUN not in said


def test_a_broken_service_is_shown_by_its_log_with_and_without_loopctl() -> None:
    said = commands(looked("unhealthy"))
    assert said[:3] == ("tail chat chat-2", "loopctl logs RUN chat --follow", RUN)
    assert said[3] == "curl -i http://127.0.0.1:1/health"


def test_what_cannot_be_looked_at_asks_for_the_doctor_and_for_no_run() -> None:
    said = commands(Looked(ServiceLook("chat", "unknown"), unknown=("who serves it",)))
    assert said == ("tail chat None", "loopctl doctor golden-path --env local")


def test_the_log_of_what_died_says_most() -> None:
    one = replace(looked("healthy", "chat-2"), dead=("chat-3",))
    assert commands(replace(one, look=replace(one.look, faults=(ILL,))))[0] == "tail chat chat-3"


def test_what_is_well_and_verified_needs_no_run() -> None:
    said = commands(looked("healthy", "chat-2"))
    assert said == ("tail chat chat-2", "curl -i http://127.0.0.1:1/health")
