"""Looking back and ahead: what the other commands print, and how they exit."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rig import Project, Ran, opened, until
from services import tiny_loop


@dataclass(frozen=True, slots=True)
class Past:
    """A project with two runs behind it: a green one, and a red one after it."""

    project: Project
    green: Ran
    red: Ran

    def ask(self, *words: str, env: dict[str, str] | None = None) -> Ran:
        return self.project.loopctl(*words, env=env)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """Made once for the tests of this file, which only look."""
    with opened(tmp_path_factory.mktemp("past")) as project:
        tiny_loop(project)
        green = project.run("web")
        assert green.code == 0, str(green)
        tiny_loop(project, "def test_it():\n    assert ask() == 'no'\n")
        red = project.run("web")
        assert red.code == 1, str(red)
        yield Past(project, green, red)


@pytest.mark.slow
def test_runs_lists_the_newest_first(past: Past) -> None:
    told = past.ask("runs")
    assert told.code == 0
    listed, _, trends = told.out.partition("\n\n")
    lines = listed.splitlines()
    assert [line.split()[0] for line in lines] == [past.red.run.name, past.green.run.name]
    assert [line.split()[1] for line in lines] == ["red", "green"]
    document = past.ask("runs", "--json").document()
    assert [run["verdict"] for run in document["runs"]] == ["red", "green"]
    assert trends.startswith("web on local: ")
    assert "pass rate 50% (1 of 2 whole runs); not green for 1 run" in trends
    (trend,) = document["trends"]
    assert (trend["pass_rate"]["rate"], trend["time_to_green"]["times"]) == (0.5, 0)
    assert past.ask("runs", "-q").out.splitlines() == lines, "the list alone"
    assert past.ask("runs", "--env", "elsewhere").out == "no runs yet\n"
    assert len(past.ask("runs", "--limit", "1").out.splitlines()) == 1
    assert past.ask("runs", "--loop", "other").out == "no runs yet\n"


@pytest.mark.slow
def test_a_suite_is_followed_over_the_runs_with_the_cases_that_did_not_always_pass(
    past: Past,
) -> None:
    told = past.ask("runs", "--suite", "smoke")
    assert told.code == 0, str(told)
    red, green, empty, unstable = told.out.splitlines()
    assert red.split()[:4] == [past.red.run.name, "red", "local", "failed"]
    assert red.endswith("1 failed")
    assert green.split()[:4] == [past.green.run.name, "green", "local", "passed"]
    assert green.endswith("1 passed")
    assert empty == ""
    assert unstable == (
        "tests/test_smoke.py::test_it   0 of 1 run passed, 1 failed; "
        f"last failed in {past.red.run.name}"
    )
    document = past.ask("runs", "--suite", "smoke", "--json").document()
    assert [run["verdict"] for run in document["runs"]] == ["red", "green"]
    assert {case["case"].rpartition("::")[2] for case in document["cases"]} == {
        "test_it",
        "test_it_answers",
    }
    newest = past.ask("runs", "--suite", "smoke", "--limit", "1", "--json").document()
    assert [run["run_id"] for run in newest["runs"]] == [past.red.run.name]


def test_a_suite_that_no_run_has_is_an_error_that_names_those_there_are(past: Past) -> None:
    for words in (("smok",), ("smoke", "--loop", "other")):
        told = past.ask("runs", "--suite", *words)
        assert (told.code, told.out) == (2, "")
    assert "did you mean smoke?" in past.ask("runs", "--suite", "smok").err


def test_a_run_is_found_by_its_id_a_prefix_latest_and_green(past: Past) -> None:
    green, red = past.green.run.name, past.red.run.name
    found = {ref: past.ask("show", ref).out for ref in (green, green[:-1], "@green")}
    assert set(found.values()) == {past.ask("show", green).out}
    assert past.ask("show", "@latest").out == past.ask("show").out == past.ask("show", red).out
    assert past.ask("show", "@green").out == past.green.out, "the very first screen of that run"
    ambiguous = past.ask("show", "20")
    assert ambiguous.code == 2
    assert green in ambiguous.err
    nobody = past.ask("show", "nothing-like-it")
    assert (nobody.code, nobody.out) == (2, "")
    assert "nothing-like-it" in nobody.err


def test_two_runs_are_compared_and_the_exit_code_tells_whether_they_differ(past: Past) -> None:
    green, red = past.green.run.name, past.red.run.name
    told = past.ask("diff", "@green", "@latest", "--exit-code")
    assert told.code == 10, str(told)
    lines = told.out.splitlines()
    assert [line.split()[1] for line in lines[:2]] == [green, red]
    assert lines[3] == "VERDICT: green, exit code 0 (green) → red, exit code 1 (needs-human)"
    assert "NEWLY FAILING: 1" in lines
    assert any(line.startswith("    smoke::tests/test_smoke.py::test_it ") for line in lines)
    document = past.ask("diff", green, red, "--json").document()
    assert [case["case"] for case in document["cases"]["failing"]] == [
        "smoke::tests/test_smoke.py::test_it"
    ]
    assert document["configuration"]["unknown"] is None, "both were made here"
    assert past.ask("diff", green).out == past.ask("diff", green, red).out, "B is the latest"
    same = past.ask("diff", "@green", green, env={"LOOPCTL_EXIT_CODE": "1"})
    assert (same.code, same.out.splitlines()[2]) == (0, "SAME: in all that counts")
    assert past.ask("diff", "nothing-like-it").code == 2


def test_a_run_that_ci_has_kept_is_looked_back_at_as_one_that_was_made_here(
    past: Past, tmp_path: Path
) -> None:
    artefact = tmp_path / "artefact.tar.gz"
    with tarfile.open(artefact, "w:gz") as archive:
        archive.add(past.red.run, f"loopctl/{past.red.run.name}")
    shown, there = past.ask("show", str(artefact)), past.ask("show", "@latest")
    lines = [line for line in there.out.splitlines() if not line.startswith(("NEXT", "REPORT"))]
    assert shown.out.splitlines() == [*lines, f"NEXT: loopctl report {artefact}"]
    assert past.ask("report", str(artefact), "--json").document() == past.red.result
    assert past.ask("report", str(artefact)).out.startswith("# web on local: red")
    assert past.ask("logs", str(artefact)).out == past.ask("logs", "@latest").out
    watched = past.ask("watch", str(artefact))
    assert (watched.code, watched.out) == (1, shown.out), str(watched)
    assert "verify failed" in watched.err
    differs = past.ask("diff", "@green", str(artefact), "--json").document()
    assert differs["counting"] == past.ask("diff", "@green", "--json").document()["counting"]
    for command in (("resume",), ("stop",), ("logs", "--follow"), ("report", "--path")):
        refused = past.ask(command[0], str(artefact), *command[1:])
        assert (refused.code, refused.out) == (2, ""), str(refused)
        assert "artefact" in refused.err


@pytest.mark.slow
def test_report_writes_the_same_worklog_again(past: Past) -> None:
    worklog = past.red.run / "worklog.md"
    before = worklog.read_text()
    told = past.ask("report", "@latest")
    assert told.code == 0
    assert told.out.rstrip("\n") == before.rstrip("\n")
    assert worklog.read_text() == before
    where = past.ask("report", "@latest", "--path").out.strip()
    assert Path(past.project.root, where).resolve() == worklog.resolve()
    result = json.loads((past.red.run / "result.json").read_text())
    assert past.ask("report", "@latest", "--json").document() == result
    assert past.ask("show", "@latest", "--json").document() == result


def test_logs_prints_what_the_service_said(past: Past) -> None:
    told = past.ask("logs", "@green", "web")
    assert told.code == 0
    said = [line for line in told.out.splitlines() if line.endswith(" listening")]
    assert len(said) == 1
    assert past.green.service("web")["revision"] in said[0]
    assert "stdout" in said[0]
    lines = past.ask("logs", "@green", "--json").out.splitlines()
    assert all(json.loads(line) for line in lines)
    requests = past.ask("logs", "@green", "--requests")
    assert "path=/hello" in requests.out
    nobody = past.ask("logs", "@green", "nobody")
    assert nobody.code == 2
    assert "nobody" in nobody.err


def test_plan_tells_whether_a_run_would_change_something(past: Past) -> None:
    same = past.ask("plan", "web", "--exit-code")
    assert same.code == 0, str(same)
    assert "verified from this very source" in same.out
    assert past.green.service("web")["revision"] in same.out
    page = past.project.write("web/page.txt", "a change")
    try:
        assert past.ask("plan", "web", "--exit-code").code == 10
        told = past.ask("plan", "web", "--json")
        assert told.code == 0, "10 is for those who ask for it"
        document = told.document()
        assert document["differs"] is True
        assert document["services"][0]["dirty"] is True
    finally:
        page.unlink()
    assert len(past.project.run_folders()) == 2, "a plan is no run"


def test_global_options_stand_before_and_after_the_command(past: Past) -> None:
    orders = [("--json", "show", "@green"), ("show", "--json", "@green"), ("show", "@green")]
    env = [{}, {}, {"LOOPCTL_JSON": "1"}]
    told = [past.ask(*words, env=more) for words, more in zip(orders, env, strict=True)]
    assert {ran.out for ran in told} == {told[0].out}
    assert told[0].document()["verdict"] == "green"
    where = str(past.project.root / "elsewhere")
    for words in (("--runs-dir", where, "runs"), ("runs", "--runs-dir", where)):
        assert past.ask(*words).out == "no runs yet\n"
    assert past.ask("runs", env={"LOOPCTL_RUNS_DIR": where}).out == "no runs yet\n"
    assert past.ask("runs", env={"LOOPCTL_LIMIT": "1"}).out.count("\n") == 1


def test_without_a_terminal_nothing_is_coloured(past: Past) -> None:
    colours: tuple[dict[str, str], ...] = (
        {},
        {"NO_COLOR": "1"},
        {"FORCE_COLOR": "1", "NO_COLOR": "1"},
        {"TERM": "dumb"},
    )
    for env in colours:
        told = past.ask("show", "@latest", env=env)
        assert "\x1b" not in told.out + told.err
    wrong = past.ask("run")
    assert wrong.code == 2
    assert "\x1b" not in wrong.out + wrong.err


def test_a_usage_error_is_a_document_where_one_was_asked_for(past: Past) -> None:
    told = past.ask("run", "nowhere", "--json")
    assert told.code == 2
    document = told.document()
    assert (document["verdict"], document["exit_code"]) == ("usage", 2)
    assert past.ask("run", "web", "--no-such-option").code == 2
    assert past.ask("run", "web", "--deadline", "soon").code == 2
    assert past.ask("run", "web", "--env", "nowhere").code == 2
    assert past.ask("run", "web", "--suite", "nowhere").code == 2
    assert len(past.project.run_folders()) == 2, "no run was begun"


def test_validate_and_schema_speak_to_editors(past: Past) -> None:
    valid = past.ask("validate")
    assert valid.code == 0
    assert valid.out.startswith("web: valid (")
    assert past.ask("validate", "--json").document()["valid"][0]["loop"] == "web"
    schema = past.ask("schema")
    assert schema.code == 0
    assert schema.document()["$schema"].startswith("https://json-schema.org/")
    assert "\x1b" not in schema.out


@pytest.mark.slow
def test_doctor_looks_and_changes_nothing(past: Past) -> None:
    told = past.ask("doctor", "web")
    assert told.code == 0, str(told)
    assert "python" in told.out
    document = past.ask("doctor", "--json").document()
    assert document["ok"] is True
    lacking = past.ask("doctor", env={"PATH": "/nonexistent"})
    assert lacking.code == 4, str(lacking)
    assert "MISSING git" in lacking.out


def test_the_version_is_told_at_once(past: Past) -> None:
    told = past.ask("--version")
    assert told.code == 0
    assert told.out.startswith("loopctl 0.")
    assert told.seconds < 3


def test_events_are_one_json_object_a_line_as_they_happen(project: Project) -> None:
    tiny_loop(project)
    told = project.loopctl("run", "web", "--events")
    assert told.code == 0, str(told)
    events = [json.loads(line) for line in told.out.splitlines()]
    journal = [json.loads(line) for line in (told.run / "journal.jsonl").read_text().splitlines()]
    assert [event["seq"] for event in events] == [event["seq"] for event in journal]
    assert events == journal
    assert events[0]["kind"] == "run.started"
    assert events[-1]["kind"] == "run.ended"
    assert "\x1b" not in told.err, "progress without a terminal is plain lines"
    assert "verify" in told.err


@pytest.mark.slow
def test_a_run_by_options_of_the_environment_is_the_same_run(project: Project) -> None:
    tiny_loop(project)
    env = {"LOOPCTL_QUIET": "1", "LOOPCTL_JSON": "1", "LOOPCTL_ENV": "local"}
    told = project.loopctl("run", "web", env=env)
    assert told.code == 0, str(told)
    assert told.document() == told.result
    assert told.err == ""


@pytest.mark.parametrize("command", [("run", "web", "--events"), ("schema",)])
def test_a_reader_that_goes_away_ends_neither_the_run_nor_its_good_exit_code(
    project: Project, command: tuple[str, ...]
) -> None:
    tiny_loop(project)
    going = project.start(*command)
    assert going.process.stdout is not None
    going.process.stdout.close()
    ended = going.end()
    assert ended.code == 0, str(ended)
    if command[0] == "run":
        assert ended.result["verdict"] == "green"


def test_report_opens_its_page_in_the_browser_or_says_where_it_is(past: Past) -> None:
    told = past.project.root / "told"
    browser = past.project.write(
        "browser", f'#!/bin/sh\necho "$1" > {told}.new\nmv {told}.new {told}\n'
    )
    browser.chmod(0o700)
    page = past.red.run / "report.html"
    opened = past.ask("report", "--open", env={"BROWSER": str(browser)})
    assert (opened.code, opened.out, opened.err) == (0, f"{page}\n", "")
    assert until(lambda: told.exists() and told.read_text()) == f"{page.as_uri()}\n"

    nowhere = past.ask("report", "--open", env={"PATH": past.project.env["PATH"]})
    assert (nowhere.code, nowhere.out) == (0, f"{page}\n")
    assert "no browser" in nowhere.err
