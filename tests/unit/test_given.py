"""A value that is not what it was is told by its name, and by nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import worklogs
from loop_rig import a_plan, a_service, a_suite

from loopctl.api.given import given_hashes
from loopctl.journal.brief import Role, brief
from loopctl.journal.history import changed_names
from loopctl.model.plan import Plan, RunSpec, SecretSpec
from loopctl.model.state import OutcomeKind, State, StopReason, Verdict
from loopctl.redact import Secret

KEY = b"k" * 32


def _plan(root: Path, fault: str = "", secret: str = "hunter22-hunter22", url: str = "a") -> Plan:
    run = RunSpec(
        env={"FAULT": fault, "GONE": None}, secrets=(SecretSpec("JWT", Secret("JWT", secret)),)
    )
    return a_plan([a_service(run=run)], [a_suite(env={"URL": url})], root)


def _changed(before: Plan, now: Plan) -> tuple[str, ...]:
    return changed_names(given_hashes(before, KEY), given_hashes(now, KEY))


def test_each_value_is_told_by_its_name_and_whose_it_is(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    suite = plan.suites[0].id
    assert _changed(plan, plan) == ()
    assert _changed(plan, _plan(tmp_path, fault="exit-3")) == ("FAULT of chat",)
    assert _changed(plan, _plan(tmp_path, secret="another-another")) == ("JWT of chat",)
    assert _changed(plan, _plan(tmp_path, url="b")) == (f"URL of suite {suite}",)


def test_a_name_that_is_given_twice_differs_when_either_value_does(tmp_path: Path) -> None:
    service = a_service(run=RunSpec(env={"VERSION": "same"}))

    def plan(version: str) -> Plan:
        build = replace(service.build, args={"VERSION": version})
        return a_plan([replace(service, build=build)], [], tmp_path)

    assert _changed(plan("1"), plan("2")) == ("VERSION of chat",)


def test_an_image_that_was_built_elsewhere_is_told_as_changed(tmp_path: Path) -> None:
    def plan(digit: str) -> Plan:
        image = f"registry.test/chat@sha256:{digit * 64}"
        return a_plan([replace(a_service(), source=None, image=image)], [], tmp_path)

    assert _changed(plan("1"), plan("1")) == ()
    assert _changed(plan("1"), plan("2")) == ("image of chat",)


def test_neither_a_value_nor_a_hash_that_can_be_guessed_is_written_down(tmp_path: Path) -> None:
    written = repr(given_hashes(_plan(tmp_path, fault="exit-3"), KEY))
    assert "hunter22" not in written
    assert "exit-3" not in written
    assert given_hashes(_plan(tmp_path), KEY) != given_hashes(_plan(tmp_path), b"j" * 32)


def _configuration(changed: tuple[str, ...], *, compared: bool) -> str:
    run = replace(worklogs.RUN, green_run="RUN-7", config_changed=changed, given_compared=compared)
    script = worklogs.Script(run).until_health({worklogs.OLD: 100})
    script.stage(State.HEALTH, OutcomeKind.FAILED, "it died")
    script.ended(Verdict.UNDELIVERED, 5, StopReason.NEEDS_HUMAN)
    (text,) = brief(script.worklog()).of(Role.CHANGED)
    return text.partition("configuration: ")[2].partition(";")[0]


def test_the_first_screen_claims_no_more_than_was_compared() -> None:
    assert _configuration((), compared=False) == "the loop's files are the same"
    assert _configuration((), compared=True) == (
        "the loop's files and the values it gives are the same"
    )
    assert _configuration(("FAULT of chat",), compared=True) == "FAULT of chat"
