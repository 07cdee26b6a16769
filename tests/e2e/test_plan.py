"""`plan` tells what a run may do by itself, and refuses what the run would refuse."""

from __future__ import annotations

import pytest
from rig import Project
from word_loop import word_loop

BY_ITSELF = "  remedy   auto, without a rule where it is sure: "
CLOSED = """
- schema: 1
  id: ws.closed-1000
  title: They are closed, as they should be
  severity: high
  match: {all: [{on: log, regex: 'closed'}]}
  remedy: {action: person}
  tests: {positive: [one.jsonl], negative: [two.jsonl]}
- schema: 1
  id: shop.cold
  title: The cache is cold
  severity: high
  confidence: {base: 0.9, act_at: 0.9}
  match: {all: [{on: log, regex: 'cold'}]}
  remedy: {action: retry, mode: auto, limit: 3, verify: suites}
  tests: {positive: [one.jsonl], negative: [two.jsonl]}
"""


def test_a_plan_names_the_causes_that_auto_acts_upon_without_a_rule(project: Project) -> None:
    word_loop(project)
    planned = project.loopctl("plan", "web")
    assert planned.code == 0, str(planned)
    said = [line for line in planned.out.splitlines() if line.startswith(BY_ITSELF)]
    assert len(said) == 1, "one line, however many they are"
    told = said[0].removeprefix(BY_ITSELF).split("; ")
    on = {action: causes.split(", ") for action, causes in (each.split(" on ") for each in told)}
    assert on["rebuild"] == ["deploy.stale-image"]
    assert on["retry"] == ["platform.no-instance", "ws.closed-1000"]
    assert on["raise-memory"] == ["deploy.out-of-memory"]
    assert on["wait"] == ["deploy.client-timed-out"]
    assert "deploy.import-time-error" in on["rollback"]
    assert "deploy.exit-code" not in on["rollback"], "its own evidence is never enough"


def test_a_plan_names_the_causes_of_the_users_own_signatures(project: Project) -> None:
    project.write("loops/known.yaml", CLOSED)
    word_loop(project, signatures=["known.yaml"])
    planned = project.loopctl("plan", "web", "--json").document()
    known = {each["signature"]: each for each in planned["by_itself"]}
    assert known["shop.cold"] == {"signature": "shop.cold", "action": "retry", "limit": 3}
    assert "ws.closed-1000" not in known, "theirs replaces ours"


@pytest.mark.parametrize("mode", ["propose", "off"])
def test_what_needs_a_person_is_not_called_done_by_itself(project: Project, mode: str) -> None:
    word_loop(project, mode=mode)
    assert "without a rule" not in project.loopctl("plan", "web").out
    assert project.loopctl("plan", "web", "--json").document()["by_itself"] == []


def test_signatures_that_a_run_would_refuse_are_refused_by_plan(project: Project) -> None:
    project.write("loops/known.yaml", CLOSED.replace("action: retry", "action: pray"))
    word_loop(project, mode="propose", signatures=["known.yaml"])
    for command in ("plan", "run"):
        refused = project.loopctl(command, "web")
        assert refused.code == 2, str(refused)
        assert "known.yaml" in refused.err
    assert not project.run_folders()
