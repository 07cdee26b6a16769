"""In a CI job: what services and tests print is obeyed by nobody, whatever command shows it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
from ci_logs import commands_of, outside_of_groups, sections_of, values_of
from markdown_it import MarkdownIt
from rig import Project, Ran, opened
from services import tiny_loop

_SHOUTS = (
    *("::error::o1", "::stop-commands::o2", "  ::add-mask::o3", "x ##[error]o4"),
    *("##[stop-commands]o5", "##[add-mask]o6", "section_start:1:o7\\r\\x1b[0K"),
    *("\\u202e::error::o8", "::set-output name=verdict::green", "a\\r::notice::o9"),
)
_SERVICE = f"""
for text in {_SHOUTS!r}:
    print("ERROR " + text.encode().decode("unicode_escape"), flush=True)
    print(text.encode().decode("unicode_escape"), flush=True)
"""
_TESTS = f"""
@pytest.mark.parametrize("text", {_SHOUTS!r} + ("<img src=x onerror=y>[a](http://evil)",))
def test_it(text):
    print(text.encode().decode("unicode_escape"))
    ask()
    raise AssertionError("\\n" + text.encode().decode("unicode_escape"))
"""


@dataclass(frozen=True, slots=True)
class Job:
    """A project in a job of GitHub Actions that has made one red run."""

    project: Project
    env: Mapping[str, str]
    ran: Ran

    def ask(self, *words: str) -> Ran:
        return self.project.loopctl(*words, env=self.env)

    def file(self, name: str) -> str:
        return (self.project.root.parent / name).read_text()


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    with opened(tmp_path_factory.mktemp("ci")) as project:
        tiny_loop(project, _TESTS, prelude=_SERVICE)
        place = project.root.parent
        env = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(project.root),
            "GITHUB_STEP_SUMMARY": str(place / "summary"),
            "GITHUB_OUTPUT": str(place / "output"),
        }
        yield Job(project, env, project.loopctl("run", "web", "--events", env=env))


def test_a_red_run_marks_the_job_and_fills_its_summary(job: Job) -> None:
    assert job.ran.code == 1, str(job.ran)

    found = commands_of(job.ran.err)
    assert {command.name for command in found} == {"group", "endgroup", "error"}
    errors = [command for command in found if command.name == "error"]
    assert 1 <= len(errors) <= 10
    assert {each.properties["file"] for each in errors if "file" in each.properties} == {
        "tests/test_smoke.py"
    }
    assert all(line.isdigit() for each in errors if (line := each.properties.get("line")))
    shown = "\n".join(outside_of_groups(job.ran.err))
    assert "verify failed" in shown
    assert "smoke: failed tests/test_smoke.py::test_it[" in shown
    assert values_of(job.file("output")).items() >= {"verdict": "red", "exit-code": "1"}.items()
    summary = job.file("summary")
    assert summary.startswith("## web on local: red\n")
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(summary)
    inner = [each for token in tokens for each in (token, *(token.children or ()))]
    assert not {"link_open", "image"} & {token.type for token in inner}
    html = "".join(t.content for t in inner if t.type in ("html_inline", "html_block"))
    assert "img" not in html
    cases = list(ET.parse(job.ran.run / "junit.xml").iter("testcase"))
    assert {case.get("file") for case in cases} == {"tests/test_smoke.py"}
    assert all(float(case.get("time", "")) > 0 for case in cases)


def test_the_document_on_stdout_stays_one_and_holds_no_command(job: Job) -> None:
    events = [json.loads(line) for line in job.ran.out.splitlines()]
    assert events[-1]["kind"] == "run.ended"
    assert "##[stop-commands]o5" in json.dumps(events)
    assert not commands_of(job.ran.out)


@pytest.mark.parametrize(
    "words",
    [
        *("show", "report", "report --json", "logs", "logs --json", "triage web"),
        *(
            pytest.param(words, marks=pytest.mark.slow)
            for words in (
                *("show --json", "logs --requests", "runs --suite smoke", "runs --json", "watch"),
                *("triage web --json", "plan web", "doctor web"),
            )
        ),
    ],
)
def test_no_command_repeats_what_the_runner_would_obey(job: Job, words: str) -> None:
    told = job.ask(*words.split())
    assert told.out
    assert not commands_of(told.out), str(told)
    mine = {"group", "endgroup"} if words == "watch" else set()
    assert {found.name for found in commands_of(told.err)} == mine, str(told)
    assert not list(sections_of(told.out + told.err))
    if words.endswith("--json"):
        documents = told.out.splitlines() if words.startswith("logs") else [told.out]
        assert all(json.loads(document) for document in documents)


def test_what_is_wrong_with_a_command_line_or_a_loop_file_is_marked_and_inert(job: Job) -> None:
    job.project.write("loops/bad.yaml", "version: 1\nname: bad\n'##[error]x': 1\n")

    told = job.ask("validate", "bad")

    assert told.code == 2
    marks = [c for c in commands_of(told.err) if c.properties.get("file") == "loops/bad.yaml"]
    assert "3" in {mark.properties["line"] for mark in marks}
    assert {command.name for command in commands_of(told.err)} == {"error"}
    assert all("##[" not in command.data for command in commands_of(told.err))
    assert not commands_of(told.out)
    for words in (("run", "web", "--remediate", "##[error]x"), ("##[stop-commands]x",)):
        told = job.ask(*words)
        (mark,) = commands_of(told.err)
        assert (told.code, mark.name, mark.properties) == (2, "error", {"title": "loopctl"})
        assert "##[" not in mark.data
    assert values_of(job.file("output"))["verdict"] == "usage"
    told = job.ask("run", "web", "--ci", "off", "--suite", "##[error]x")
    assert told.code == 2
    assert not [found for found in commands_of(told.err) if found.properties]


@pytest.mark.slow
def test_a_job_that_takes_no_summary_changes_no_exit_code(project: Project) -> None:
    tiny_loop(project)
    nowhere = str(project.root / "no" / "such" / "file")
    env = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": nowhere,
        "GITHUB_STEP_SUMMARY": nowhere,
        "GITHUB_OUTPUT": nowhere,
    }
    told = project.run("web", env=env)
    assert told.code == 0, str(told)
    assert f"the job's summary was not written: {nowhere}: No such file" in told.err
    assert f"the step's outputs were not written: {nowhere}: No such file" in told.err
    assert not commands_of(told.err)
    plain = project.loopctl("show", "--ci", "off", env=env)
    assert plain.out == project.loopctl("show").out
