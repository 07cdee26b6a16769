"""REMEDIATE proposes the exact command; in `auto` it does what it may, within every bound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakes import serving
from loop_rig import RUN_ID
from remedy_rig import AGAIN, Failure, found

from loopctl.model.events import Intent, StageEntered, StageFinished
from loopctl.model.finding import Fault, FaultKind, ProposedRemedy
from loopctl.model.plan import RemediationMode, RemedyRule
from loopctl.model.state import OutcomeKind, State, StopReason
from loopctl.ports.platform import PlatformError
from loopctl.process import Stop

STALE = found(ProposedRemedy("rebuild", "rebuild without the cache"))
RED = {"verdict": "red"}
PROPOSE = RemediationMode.PROPOSE


def test_off_asks_for_nothing(tmp_path: Path) -> None:
    failure = Failure(tmp_path, STALE)
    outcome = failure.remediate(mode=RemediationMode.OFF)
    assert (outcome.kind, outcome.detail) == (OutcomeKind.FAILED, "remediation is off")
    decided = failure.decided
    assert (decided.action, decided.result, decided.command) == ("none", "none", None)


def test_propose_names_the_command_and_does_nothing(tmp_path: Path) -> None:
    failure = Failure(tmp_path, found(None), STALE)
    rule = RemedyRule({"stage": "build"}, "run", ("./never.sh",))
    assert failure.remediate(rule, mode=PROPOSE).kind is OutcomeKind.FAILED
    decided = failure.decided
    assert (decided.action, decided.result) == ("rebuild", "proposed")
    assert (decided.detail, decided.command) == ("rebuild: rebuild without the cache", AGAIN)
    assert not failure.command.calls
    assert not [e for e in failure.events if isinstance(e.payload, Intent)]


def test_the_command_of_a_rule_is_proposed_as_a_person_would_type_it(tmp_path: Path) -> None:
    failure = Failure(tmp_path)
    failure.remediate(RemedyRule(RED, "run", ("./fix.sh", "a b")), mode=PROPOSE)
    assert failure.decided.command == "./fix.sh 'a b'"
    assert failure.decided.rule == "remediate.rules[0]"


def test_no_rollback_is_proposed_where_traffic_was_put_back_already(tmp_path: Path) -> None:
    failure = Failure(tmp_path, found(ProposedRemedy("rollback"), "deploy.exit-code", 0.7))
    failure.remediate()
    decided = failure.decided
    assert (decided.action, decided.result) == ("person", "proposed")
    assert "what served before" in decided.detail


def test_where_no_remedy_is_known_a_person_is_told_what_to_type(tmp_path: Path) -> None:
    failure = Failure(tmp_path, found(None))
    failure.remediate()
    assert (failure.decided.action, failure.decided.command) == ("person", AGAIN)
    assert failure.decided.ends is None


def test_auto_rebuilds_in_the_next_cycle(tmp_path: Path) -> None:
    failure = Failure(tmp_path, STALE)
    assert failure.remediate().kind is OutcomeKind.GO_BUILD
    decided = failure.decided
    assert (decided.action, decided.mode, decided.result) == ("rebuild", "auto", "done")
    assert decided.rule == "deploy.stale-image"


@pytest.mark.parametrize("mode", [RemediationMode.AUTO, PROPOSE])
def test_what_was_built_elsewhere_is_rebuilt_by_nobody_here(
    tmp_path: Path, mode: RemediationMode
) -> None:
    failure = Failure(tmp_path, STALE)
    outcome = failure.remediate(mode=mode, elsewhere=frozenset({"chat"}))
    assert outcome.kind is OutcomeKind.FAILED
    decided = failure.decided
    assert (decided.action, decided.result) == ("person", "proposed")
    assert decided.detail.startswith("the image of chat was built elsewhere and cannot be rebuilt")
    assert "name its digest in `image`" in decided.detail


def test_a_rebuild_that_a_rule_asks_for_is_done_where_something_is_built(tmp_path: Path) -> None:
    rule = RemedyRule(RED, "rebuild")
    failure = Failure(tmp_path)
    assert failure.remediate(rule, elsewhere=frozenset({"chat"})).kind is OutcomeKind.GO_BUILD


def test_where_nothing_is_built_no_rebuild_is_done_whatever_asks_for_it(tmp_path: Path) -> None:
    failure = Failure(tmp_path)
    failure.remediate(RemedyRule(RED, "rebuild"), elsewhere=frozenset({"chat", "worker"}))
    assert failure.decided.action == "person"
    assert "the image of chat, worker was built elsewhere" in failure.decided.detail


def test_a_finding_that_is_not_sure_enough_is_only_proposed(tmp_path: Path) -> None:
    failure = Failure(tmp_path, found(ProposedRemedy("rebuild"), confidence=0.89))
    assert failure.remediate().kind is OutcomeKind.FAILED
    assert failure.decided.result == "proposed"


@pytest.mark.parametrize(
    ("stage", "kind", "entered"),
    [
        (State.VERIFY, OutcomeKind.FAILED, OutcomeKind.GO_DEPLOY),
        (State.HEALTH, OutcomeKind.FAILED, OutcomeKind.GO_DEPLOY),
        (State.DEPLOY, OutcomeKind.ERRORED, OutcomeKind.GO_DEPLOY),
        (State.BUILD, OutcomeKind.FAILED, OutcomeKind.GO_BUILD),
        (State.CONFIRM, OutcomeKind.UNPROVEN, OutcomeKind.GO_BUILD),
    ],
)
def test_a_retry_uses_the_images_unless_they_are_what_failed(
    tmp_path: Path, stage: State, kind: OutcomeKind, entered: OutcomeKind
) -> None:
    failure = Failure(tmp_path, stage=stage, kind=kind)
    assert failure.remediate(RemedyRule({"stage": stage.value}, "retry")).kind is entered


def test_after_the_last_cycle_nothing_more_is_begun(tmp_path: Path) -> None:
    failure = Failure(tmp_path, STALE)
    outcome = failure.remediate(max_cycles=1)
    assert outcome.kind is OutcomeKind.FAILED
    assert failure.decided.ends is StopReason.MAX_CYCLES
    assert failure.decided.action == "rebuild", "it is still what a person would do"
    assert failure.decided.result == "proposed"


def test_two_cycles_that_fail_alike_on_the_same_source_end_without_progress(
    tmp_path: Path,
) -> None:
    failure = Failure(tmp_path, STALE)
    rule = RemedyRule(RED, "rebuild", limit=5)
    failure.again(failure.remediate(rule, max_cycles=9))
    assert failure.remediate(rule, max_cycles=9).kind is OutcomeKind.FAILED
    assert failure.decided.ends is StopReason.NO_PROGRESS


def test_a_changed_source_is_progress(tmp_path: Path) -> None:
    failure = Failure(tmp_path, STALE)
    rule = RemedyRule(RED, "rebuild", limit=5)
    failure.again(failure.remediate(rule), tree="tree-2")
    assert failure.remediate(rule).kind is OutcomeKind.GO_BUILD


def test_a_rule_is_done_as_often_as_its_limit_says_and_then_the_next(tmp_path: Path) -> None:
    failure = Failure(tmp_path, STALE)
    rules = (RemedyRule(RED, "retry", limit=1), RemedyRule(RED, "rebuild", limit=1))
    done = []
    for number in range(3):
        outcome = failure.remediate(*rules, max_cycles=9, no_progress=9)
        done.append((failure.decided.rule, failure.decided.result))
        failure.again(outcome, tree=f"tree-{number}")
    assert done[:2] == [("remediate.rules[0]", "done"), ("remediate.rules[1]", "done")]
    assert done[2] == ("deploy.stale-image", "done"), "what is known comes after the rules"
    assert failure.remediate(*rules, max_cycles=9, no_progress=9).kind is OutcomeKind.FAILED
    assert failure.decided.action == "person"
    assert "within the limits" in failure.decided.detail


@pytest.mark.parametrize("kind", [FaultKind.DEPENDENCY_DOWN, FaultKind.CANNOT_REACH])
@pytest.mark.parametrize("do", ["rebuild", "retry", "rollback"])
def test_where_the_service_is_not_at_fault_it_is_left_alone(
    tmp_path: Path, kind: FaultKind, do: str
) -> None:
    faults = (Fault(kind, "payments is down", "payments"),)
    failure = Failure(tmp_path, STALE, faults=faults)
    assert failure.remediate(RemedyRule(RED, do)).kind is OutcomeKind.FAILED  # type: ignore[arg-type]
    assert (failure.decided.action, failure.decided.result) == ("person", "proposed")


def test_nothing_is_done_while_a_restore_has_failed(tmp_path: Path) -> None:
    failure = Failure(tmp_path, STALE)
    failure.journal.append(StageEntered(State.SETTLE))
    unsettled = StageFinished(State.SETTLE, OutcomeKind.ERRORED, State.DIAGNOSE, 0.1, "stuck")
    failure.journal.append(unsettled)
    assert failure.remediate(RemedyRule(RED, "run", ("./fix.sh",))).kind is OutcomeKind.FAILED
    assert failure.decided.result == "proposed"
    assert not failure.command.calls


def test_a_rollback_goes_to_the_last_verified_revision_of_every_service_and_ends_the_run(
    tmp_path: Path,
) -> None:
    failure = Failure(tmp_path)
    failure.platform.states = {
        "chat": serving("chat", {"chat-old": 100, "chat-older": 0}),
        "worker": serving("worker", {"worker-old": 100}),
    }
    failure.verified = {"chat": ("chat-gone", "chat-older"), "worker": ("worker-old",)}
    assert failure.remediate(RemedyRule(RED, "rollback")).kind is OutcomeKind.FAILED
    assert failure.decided.ends is StopReason.ROLLED_BACK
    assert failure.decided.result == "done"
    assert failure.platform.effects("route") == ["route chat chat-older=100"]
    assert failure.journal.fold.cycle().services["chat"].routed is not None


def test_without_a_verified_revision_of_one_service_none_goes_back(tmp_path: Path) -> None:
    failure = Failure(tmp_path)
    failure.verified = {"worker": ("worker-older",)}
    failure.remediate(RemedyRule(RED, "rollback"))
    assert (failure.decided.result, failure.decided.ends) == ("failed", None)
    assert "no verified revision of" in failure.decided.detail
    assert not failure.platform.effects("route")


def test_a_rollback_whose_traffic_does_not_go_has_failed(tmp_path: Path) -> None:
    failure = Failure(tmp_path)
    failure.platform.states["chat"] = serving("chat", {"chat-old": 100, "chat-older": 0})
    failure.verified = {"chat": ("chat-older",), "worker": ("worker-old",)}
    failure.platform.fails["route"] = PlatformError("the door is stuck")
    failure.remediate(RemedyRule(RED, "rollback"))
    assert (failure.decided.result, failure.decided.ends) == ("failed", None)


def test_a_partial_run_does_not_roll_back(tmp_path: Path) -> None:
    failure = Failure(tmp_path)
    failure.verified = {"chat": ("chat-older",), "worker": ("worker-old",)}
    failure.remediate(RemedyRule(RED, "rollback"), partial=True)
    assert failure.decided.result == "proposed"
    assert failure.decided.command == "loopctl rollback golden-path --env local"
    assert not failure.platform.effects("route")


def test_what_was_decided_before_a_kill_is_not_decided_again(tmp_path: Path) -> None:
    failure = Failure(tmp_path, STALE)
    first = failure.remediate()
    before = len(failure.events)
    assert failure.remediate() == first
    assert len(failure.events) == before


def test_fewer_tests_after_a_remedy_are_refused_whatever_the_mode(tmp_path: Path) -> None:
    failure = Failure(tmp_path)
    failure.command.after["run"] = lambda: failure.tree.files.update({"chat/main.py": "2"})
    rule = RemedyRule(RED, "run", ("./fix.sh",), limit=5)
    failure.again(failure.remediate(rule), tree="tree-2", collected=4)
    assert failure.remediate(rule).kind is OutcomeKind.FAILED
    assert failure.decided.ends is StopReason.REMEDY_REFUSED
    assert failure.decided.result == "refused"
    assert "collects 4 cases after the remedy, and collected 5 before" in failure.decided.detail


def test_wait_sees_a_rollout_to_its_end_and_begins_nothing(tmp_path: Path) -> None:
    failure = Failure(tmp_path, stage=State.DEPLOY, kind=OutcomeKind.ERRORED)
    key = f"{RUN_ID}/1/chat/sha256:tree-1"
    failure.journal.append(Intent("deploy", key), service="chat")
    failure.platform.unsure = 1
    assert failure.remediate(RemedyRule({"stage": "deploy"}, "wait")).kind is OutcomeKind.FAILED
    assert (failure.decided.result, failure.decided.ends) == ("done", StopReason.NEEDS_HUMAN)
    assert failure.decided.detail == (
        "nothing is under way any more: what was deployed of chat was discarded"
    )
    assert not failure.platform.effects("deploy")


def test_a_retry_waits_as_long_as_its_signature_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(Stop, "wait", lambda _stop, seconds: waits.append(seconds))
    failure = Failure(tmp_path, found(ProposedRemedy("retry", "once"), "platform.no-instance"))
    assert failure.remediate().kind is OutcomeKind.GO_DEPLOY
    assert waits == [15.0]
    assert failure.decided.detail == "once, after 15 s"


def test_what_hangs_under_a_cause_leads_to_no_remedy_of_its_own(tmp_path: Path) -> None:
    cause = found(ProposedRemedy("person", "mend it"), "service.unhandled-exception")
    symptom = replace(
        found(ProposedRemedy("rebuild", "again"), "deploy.stale-image"), under=cause.fingerprint
    )
    failure = Failure(tmp_path, cause, symptom)
    rule = RemedyRule({"signature": "deploy.stale-image"}, "rebuild")
    assert failure.remediate(rule).kind is OutcomeKind.FAILED
    assert (failure.decided.action, failure.decided.detail) == ("person", "mend it")
