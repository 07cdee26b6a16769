"""`logs --follow`: what was kept, and then what the service says now."""

from __future__ import annotations

import json
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from rig import Going, Project, Ran, opened
from services import tiny_loop

SAYS = """
def said(self, *_):
    print("asked\\x1b[31m", self.path, flush=True)

Handler.log_message = said
"""


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Ran]]:
    """A green run whose service still serves."""
    with opened(tmp_path_factory.mktemp("follow")) as project:
        tiny_loop(project, prelude=SAYS)
        green = project.run("web")
        assert green.code == 0, str(green)
        yield project, green


def line_with(going: Going, text: str) -> str:
    """The first line from here on that holds it."""
    assert going.process.stdout is not None
    for line in going.process.stdout:
        if text in line.decode():
            return line.decode()
    raise AssertionError(f"{text} was never said:\n{going.end().err}")


def ask(green: Ran, path: str) -> None:
    with urllib.request.urlopen(green.stable_url + path, timeout=8) as answer:
        answer.read()


def test_what_was_kept_comes_first_and_then_what_is_said_until_ctrl_c(
    past: tuple[Project, Ran],
) -> None:
    project, green = past
    going = project.start("logs", "@green", "web", "--follow")
    assert "listening" in line_with(going, "listening"), "as it was kept"
    ask(green, "/one")
    told = line_with(going, "/one")
    assert "asked\\x1b[31m /one" in told, "nothing that a service says moves the cursor"
    ask(green, "/two")
    assert "/two" in line_with(going, "/two")
    going.signal(signal.SIGINT)
    ended = going.end()
    assert ended.code == 130, str(ended)
    assert "following web-" in ended.err


@pytest.mark.slow
def test_with_json_each_line_is_a_document(past: tuple[Project, Ran]) -> None:
    project, green = past
    going = project.start("logs", "--follow", "--json")
    kept = json.loads(line_with(going, "listening"))
    ask(green, "/three")
    live = json.loads(line_with(going, "/three"))
    assert live.keys() == kept.keys()
    assert (live["service"], live["revision"]) == ("web", kept["revision"])
    assert live["text"] == "asked\x1b[31m /three"
    going.signal(signal.SIGTERM)
    assert going.end().code == 143


def test_a_line_is_told_once_although_it_was_kept(past: tuple[Project, Ran]) -> None:
    project, green = past
    going = project.start("logs", "--follow", "--json")
    first = line_with(going, "listening")
    ask(green, "/last")
    assert going.process.stdout is not None
    rest = [first]
    while "/last" not in rest[-1]:
        rest.append(going.process.stdout.readline().decode())
    going.signal(signal.SIGINT)
    going.end()
    assert sum("listening" in line for line in rest) == 1


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_it(past: tuple[Project, Ran]) -> None:
    project, green = past
    going = project.start("logs", "--follow")
    line_with(going, "listening")
    assert going.process.stdout is not None
    going.process.stdout.close()
    ask(green, "/unheard")
    assert going.process.wait(20) == 0
    going.process.stderr.close() if going.process.stderr else None


def test_what_cannot_be_followed_is_said(past: tuple[Project, Ran]) -> None:
    project, _ = past
    nobody = project.loopctl("logs", "@green", "chat", "--follow")
    assert (nobody.code, nobody.out) == (2, "")
    assert "name one: web" in nobody.err
    both = project.loopctl("logs", "--follow", "--requests")
    assert both.code == 2
    assert "leave out one of" in both.err


@pytest.mark.slow
def test_what_is_gone_cannot_be_followed(tmp_path: Path) -> None:
    with opened(tmp_path) as project:
        tiny_loop(project)
        assert project.run("web").code == 0
        assert project.loopctl("down", "web").code == 0
        told = project.loopctl("logs", "--follow")
        assert told.code == 2, str(told)
        assert "listening" in told.out, "what was kept is shown all the same"
        assert "not there any more" in told.err
