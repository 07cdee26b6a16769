"""The live view on a real terminal: it fits, writes little, obeys nothing, and gives it back."""

from __future__ import annotations

import re
import time

import pytest
from kill_rig import AT_ONCE, PATIENT, WAITS, let_go
from rig import LOOPCTL, Project, until
from screen_rig import Terminal
from services import tiny_loop

ROW = re.compile(rb"\x1b\[(\d+);1H")


def on_terminal(project: Project, *arguments: str, columns: int = 80, rows: int = 24) -> Terminal:
    return Terminal([*LOOPCTL, *arguments], project.root, project.env, columns, rows)


def run_in_its_suite(project: Project, columns: int = 80, rows: int = 24) -> Terminal:
    tiny_loop(project, WAITS, service=AT_ONCE, timeout=PATIENT)
    terminal = on_terminal(project, "run", "web", columns=columns, rows=rows)
    until((project.root / "waiting").exists)
    return terminal


def test_a_picture_that_stands_is_not_written_again_and_follows_the_window(
    project: Project,
) -> None:
    terminal = run_in_its_suite(project)
    shown = terminal.until("▸ verify")
    assert "web  healthy web-00001-" in shown
    assert "0/1 · " in shown

    before = len(terminal.written)
    time.sleep(2.0)
    idle = bytes(terminal.written[before:])
    assert len(idle) < 2_000, "only what tells the time is written again"
    assert {int(row) for row in ROW.findall(idle)} <= {1, 2, 3, 7}, "run, stages and suite"
    assert b"\x1b[2J" not in idle
    assert b"\x1b[J" not in idle
    assert b"healthy" not in idle, "what stands is not touched"

    for columns, rows in ((40, 8), (200, 50)):
        terminal.resize(columns, rows)
        terminal.until(lambda text: "▸ verify" in text and "web" in text)
    assert re.search(r"web-\d{8}|-web-", terminal.until("cycle 1/")), "the run's id has room now"

    terminal.type(b"\x03")
    terminal.until("VERDICT: interrupted")
    assert terminal.end() == 130
    assert terminal.is_as_found()
    assert "▸" not in terminal.shown()


@pytest.mark.slow
@pytest.mark.parametrize("keys", [b"\x03\x03", b"\x1c"], ids=["twice", "quit"])
def test_whoever_ends_it_at_once_has_his_terminal_back(project: Project, keys: bytes) -> None:
    terminal = run_in_its_suite(project)
    terminal.until("▸ verify")
    terminal.type(keys[:1])
    if keys[1:]:
        terminal.until(lambda _: b"\x1b" in terminal.written)
        time.sleep(0.2)
        terminal.type(keys[1:])
    assert terminal.end() in (130, -3)
    assert terminal.is_as_found()
    let_go(project)


@pytest.mark.slow
def test_a_terminal_without_unicode_or_with_no_cursor_is_written_what_it_has(
    project: Project,
) -> None:
    tiny_loop(project, WAITS, service=AT_ONCE, timeout=PATIENT)
    project.env = {**project.env, "LANG": "C"}
    terminal = on_terminal(project, "run", "web", "--keep")
    terminal.until("> verify")
    assert bytes(terminal.written).isascii()
    watch = Terminal(
        [*LOOPCTL, "watch"], project.root, {**project.env, "TERM": "dumb", "LANG": "C.UTF-8"}
    )
    watch.until("verify begins (cycle 1)")
    assert b"\x1b" not in watch.written
    let_go(project)
    assert terminal.end() == 0
    assert watch.end() == 0


def test_a_detached_run_is_attached_to_and_left_and_stopped(project: Project) -> None:
    tiny_loop(project, WAITS, service=AT_ONCE, timeout=PATIENT)
    begun = on_terminal(project, "run", "web", "--detach")
    said = begun.until("NEXT: loopctl stop ")
    assert begun.end() == 0
    begun.hang_up()
    run = re.search(r"RUN: (\S+) goes on in process (\d+)", said)
    assert run is not None
    folder = project.runs_dir / "runs" / run[1]
    until((project.root / "waiting").exists)

    watch = on_terminal(project, "watch", run[1])
    shown = watch.until("▸ verify")
    assert "✓ deploy" in shown, "the past is there at once"
    watch.type(b"\x03")
    watch.until(f"back with loopctl watch {run[1]}")
    assert (watch.end(), watch.is_as_found()) == (130, True)
    assert project.loopctl("run", "web", "--detach", "--json").code == 6, "it is still there"

    first = project.start("stop", run[1], "-q")
    second = project.loopctl("stop", run[1], "--json")
    assert second.document()["verdict"] == "interrupted"
    assert (first.end().code, second.code) == (0, 0)
    assert "VERDICT: interrupted" in (folder / "stdout.txt").read_text()
    assert "settle" in (folder / "stderr.txt").read_text(), "it was told once, and put all back"
    assert project.loopctl("stop", run[1], "-q").code == 0, "there is nothing left to stop"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--suite", "none"), 2, "there is no suite named 'none'"),
        (("--events",), 2, "a run in another process tells no events here"),
    ],
)
def test_what_is_refused_is_refused_before_a_process_is_begun(
    project: Project, arguments: tuple[str, ...], code: int, said: str
) -> None:
    tiny_loop(project, service=AT_ONCE)
    refused = project.loopctl("run", "web", "--detach", *arguments)
    assert (refused.code, said in refused.err) == (code, True), str(refused)
    assert refused.folder is None
