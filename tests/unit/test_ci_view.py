"""What a CI system makes of a run's log: folds that hide no failure, and nobody else's word."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from datetime import timedelta

import pytest
import worklogs
from ci_logs import commands_of, outside_of_groups, sections_of
from hypothesis import given
from hypothesis import strategies as st

from loopctl.console.brief_view import print_brief
from loopctl.console.ci_commands import annotation_line
from loopctl.console.ci_view import CiView
from loopctl.inert import for_ci, json_for_ci
from loopctl.journal.brief import brief
from loopctl.model.ci_job import CiSystem
from loopctl.model.events import Event, StageEntered
from loopctl.model.evidence import CaseStatus, SuiteOutcome
from loopctl.model.state import OutcomeKind
from loopctl.reports.annotations import Annotation
from loopctl.reports.checkout import Place

COMMANDS = (
    *("::error::x", "  ::stop-commands::x", "\u3000::add-mask::x", "\r::error::x"),
    *("\n\n::group::x", "a ##[error]x", "##[add-mask]x", "##[set-env name=A]x", "###[error]x"),
    *("a\n##[stop-commands]x", "%0A::error::x", "##vso[task.x]y", "section_start:1:a\r\x1b[0K"),
    "::notice file=a::x",
)
ANY_TEXT = st.one_of(
    st.sampled_from(COMMANDS), st.text(alphabet="#:[]%\r\n\\ aeror=0A25,3\u2028\x85", max_size=40)
)


def _said(system: CiSystem, script: worklogs.Script, *, verbose: bool = False) -> str:
    stream = io.StringIO(newline="")
    with contextlib.closing(CiView(system, stream, verbose=verbose)) as view:
        for event in script.events:
            view(event)
    return stream.getvalue()


@pytest.mark.parametrize("name", worklogs.ALL)
def test_every_stage_is_a_group_of_its_own_and_none_is_left_open(name: str) -> None:
    script = worklogs.ALL[name]()
    stages = [e for e in script.events if isinstance(e.payload, StageEntered)]

    said = _said(CiSystem.GITHUB, script)
    sections = list(sections_of(_said(CiSystem.GITLAB, script)))

    outside_of_groups(said)
    assert sum(command.name == "group" for command in commands_of(said)) == len(stages)
    assert len(sections) == len({section.name for section in sections}) == len(stages)
    assert {section.options for section in sections} == {"collapsed=true"}
    assert all(section.ended >= section.began for section in sections)


def test_two_runs_of_one_job_share_no_section() -> None:
    first = worklogs.green()
    later = worklogs.Script()
    later.events = [replace(e, at=e.at + timedelta(minutes=5)) for e in first.events]
    said = _said(CiSystem.GITLAB, first) + _said(CiSystem.GITLAB, later)
    names = [section.name for section in sections_of(said)]
    assert len(names) == len(set(names))


def test_a_failing_stage_shows_outside_of_its_group_what_failed_and_why() -> None:
    shown = "\n".join(outside_of_groups(_said(CiSystem.GITHUB, worklogs.red())))

    assert "failed tests/test_chat.py::test_answer: AssertionError: no agent_completed" in shown
    assert "verify failed in 1.5 s" in shown
    assert "finding: A caller uses an argument that is gone (app.api-break)" in shown
    assert "red, exit code 1" in shown
    assert "revision chat-00002-new deployed" not in shown


def test_a_flood_of_failing_cases_is_counted_and_buries_no_suite() -> None:
    script = worklogs.Script().until_health({worklogs.OLD: 100}).healthy()
    cases = [worklogs.case(f"test_{n}", CaseStatus.FAILED) for n in range(500)]
    script.verify(cases, SuiteOutcome.FAILED, ("500 failed",), OutcomeKind.FAILED)

    shown = outside_of_groups(_said(CiSystem.GITHUB, script))

    assert sum("p1-critical: failed tests/" in line for line in shown) == 10
    assert any("and 490 more failing cases, in the fold above" in line for line in shown)
    assert any("500 failed of 500" in line for line in shown)


def test_a_run_that_breaks_off_leaves_no_group_open() -> None:
    script = worklogs.red()
    entered = [n for n, e in enumerate(script.events) if isinstance(e.payload, StageEntered)]
    del script.events[entered[-1] + 1 :]
    assert list(sections_of(_said(CiSystem.GITLAB, script)))
    outside_of_groups(_said(CiSystem.GITHUB, script))


@pytest.mark.parametrize("command", COMMANDS)
def test_no_text_of_others_is_obeyed(command: str) -> None:
    script = worklogs.hostile("")
    script.events[:] = [_with(event, command) for event in script.events]

    for verbose in (False, True):
        said = _said(CiSystem.GITHUB, script, verbose=verbose)
        assert {found.name for found in commands_of(said)} == {"group", "endgroup"}
        assert all(found.data.startswith("loopctl: ") for found in commands_of(said) if found.data)
        stages = sum(isinstance(event.payload, StageEntered) for event in script.events)
        sections = list(sections_of(_said(CiSystem.GITLAB, script, verbose=verbose)))
        assert len(sections) == stages
    screen = io.StringIO()
    print_brief(brief(script.worklog()), screen, colour=False, in_ci=True)
    assert not commands_of(screen.getvalue())


def _with(event: Event, command: str) -> Event:
    """The same event with the command at the front of the texts that a view prints."""
    payload = event.payload
    for name in ("detail", "text", "title"):
        value = getattr(payload, name, None)
        if isinstance(value, str):
            payload = replace(payload, **{name: command + value})  # type: ignore[arg-type]
    return replace(event, payload=payload)


@given(ANY_TEXT)
def test_what_is_inert_for_ci_is_no_command_wherever_it_stands(text: str) -> None:
    for line in (text, f"  {text}", f"x {text}", f"##{text}", f"section_{text}"):
        assert not commands_of(for_ci(line, keep_newlines=True))


@given(ANY_TEXT)
def test_json_means_the_same_and_holds_no_command(text: str) -> None:
    document = json.dumps({text: [text, f"##{text}"]}, indent=1)

    shown = json_for_ci(document)

    assert json.loads(shown) == json.loads(document)
    assert not commands_of(shown)
    assert not list(sections_of(shown))


@given(ANY_TEXT, ANY_TEXT)
def test_an_annotation_is_one_command_that_says_what_was_to_be_said(
    title: str, message: str
) -> None:
    place = Place("a b,c:d%.py", 3, 4)

    (found,) = commands_of(annotation_line(Annotation("warning", f"t{title}", message, place)))

    assert found.name == "warning"
    assert (found.properties["file"], found.properties["line"]) == (place.file, "3")
    assert set(found.properties) == {"file", "line", "col", "title"}
    assert "\r" not in found.properties["title"] + found.data
    assert "##[" not in found.data
    if message.isalnum():
        assert found.data == message
