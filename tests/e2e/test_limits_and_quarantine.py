"""A limit that is missed is red, one with too few samples is no green, a quarantine has a name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rig import Project, Ran
from services import suite, tiny_service

KNOWN = """
def test_it_answers():
    assert 'healthy' in ask()

def test_known():
    assert 'mended' in ask()
"""


def run_with(
    project: Project, criterion: dict[str, Any], *words: str, tests: str = "", **keys: Any
) -> Ran:
    made = suite(project, **({"tests": tests} if tests else {}), **keys)
    spec = tiny_service(project, "web")
    project.loop("web", services={"web": spec}, suites=[made], criteria=[criterion])
    project.commit()
    return project.run("web", *words)


def limit(op: str, value: str | float, metric: str = "suite.duration", least: int = 1) -> Any:
    return {"metric": metric, "op": op, "value": value, "min_samples": least}


@pytest.mark.slow
def test_a_limit_that_is_met_leaves_the_run_green(project: Project) -> None:
    ran = run_with(project, limit("<=", "1m"))
    assert ran.code == 0, str(ran)
    (judged,) = ran.cycle["criteria"]
    assert (judged["metric"], judged["op"], judged["limit"]) == ("suite.duration", "<=", "1m")
    assert (judged["samples"], judged["met"]) == (1, True)
    assert judged["value"] == pytest.approx(ran.cycle["suites"][0]["duration_s"], abs=0.001)
    assert "| suite.duration |" in (ran.run / "worklog.md").read_text()


def test_a_limit_that_is_missed_is_red_although_every_test_has_passed(project: Project) -> None:
    ran = run_with(project, limit("<", "1ms"))
    assert ran.code == 1, str(ran)
    assert ran.result["verdict"] == "red"
    assert ran.cycle["suites"][0]["outcome"] == "passed"
    assert ran.cycle["criteria"][0]["met"] is False
    (failed,) = [line for line in ran.out.splitlines() if line.startswith("FAILED: ")]
    assert failed.startswith("FAILED: criterion missed: suite.duration is ")
    assert failed.endswith(" s, wanted < 1ms (1 sample); every test passed")


@pytest.mark.slow
def test_too_few_samples_are_no_green_and_decide_nothing_in_a_partial_run(
    project: Project,
) -> None:
    ran = run_with(project, limit("<=", "1m", least=2))
    assert ran.code == 3, str(ran)
    few = "criterion undecided: suite.duration has 1 of at least 2 samples"
    assert ran.line("FAILED") == f"FAILED: {few}; every test passed"
    assert "test.too-few-samples" in ran.line("LIKELY CAUSE")
    assert ran.line("NEXT").endswith("/worklog.md")
    assert ran.cycle["criteria"][0]["met"] is None
    partial = project.run("web", "--from", "verify")
    assert partial.code == 0, str(partial)
    assert "criterion suite.duration" in (partial.run / "worklog.md").read_text()


def test_a_quarantined_failure_is_not_counted_and_has_a_name_and_a_date(project: Project) -> None:
    known = {"case": "tests/test_smoke.py::test_known", "owner": "ana", "until": "2999-12-31"}
    ran = run_with(project, limit("<=", "1m"), tests=KNOWN, quarantine=[known])
    assert ran.code == 0, str(ran)
    said = "tests/test_smoke.py::test_known failed, quarantined until 2999-12-31 (ana)"
    assert f"NOT COUNTED: {said}" in ran.out.splitlines()
    cases = {case["id"].rpartition("::")[2]: case for case in ran.cycle["suites"][0]["cases"]}
    assert [cases[name]["quarantined"] for name in ("test_it_answers", "test_known")] == [
        False,
        True,
    ]
    kept = list((project.runs_dir / "history").glob("web/local/*.json"))
    assert [path.stem for path in kept] == [ran.run.name]
    (told,) = json.loads(kept[0].read_text())["suites"].values()
    assert {name.rpartition("::")[2]: case["status"] for name, case in told["cases"].items()} == {
        "test_it_answers": "passed",
        "test_known": "failed",
    }
