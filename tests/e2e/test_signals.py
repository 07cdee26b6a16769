"""A signal ends a run in order, a second one at once; losing the terminal ends nothing."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from kill_rig import (
    AT_ONCE,
    PATIENT,
    WAITS,
    host_pid,
    journal,
    labels,
    let_go,
    of_kind,
    processes_of,
    resumed,
    services_up,
    serving_already,
    so_far,
    waiting,
)
from rig import LOOPCTL, Going, Project, met_by_users, until
from services import suite, tiny_loop, tiny_service

REPORTS = ("result.json", "worklog.md", "junit.xml", "summary.json")

DEAF = WAITS.replace(
    "    pathlib",
    "    for each in (signal.SIGINT, signal.SIGTERM):\n"
    "        signal.signal(each, signal.SIG_IGN)\n    pathlib",
    1,
).replace("import pathlib", "import pathlib, signal", 1)
"""Tests that wait, and hear neither signal."""

CLINGS = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
"""A service that does not end when it is told to: it takes as long to discard as it may."""


def in_build(project: Project) -> Going:
    root = project.root
    step = f"touch {root}/waiting; until [ -e {root}/let-go ]; do sleep 0.02; done"
    tiny_loop(project, service={**AT_ONCE, "build": {"steps": [step]}})
    return waiting(project)


def in_deploy(project: Project) -> Going:
    """The host says nothing, so that its answer is waited for."""
    going = in_build(project)
    os.kill(host_pid(project), signal.SIGSTOP)
    let_go(project)
    until(lambda: "entered deploy" in so_far(going.folder()))
    return going


def in_health(project: Project) -> Going:
    root = str(project.root)
    waits = (
        f"open({root!r} + '/waiting', 'w').close()\n"
        f"while not os.path.exists({root!r} + '/let-go'): time.sleep(0.02)\n"
    )
    tiny_loop(project, prelude=waits, service=AT_ONCE)
    going = waiting(project)
    until(lambda: "entered health" in so_far(going.folder()))
    return going


def in_verify(project: Project) -> Going:
    tiny_loop(project, WAITS, service=AT_ONCE, timeout=PATIENT)
    return waiting(project)


def in_confirm(project: Project, tests: str = WAITS) -> Going:
    first = suite(project)
    later = suite(project, tests, "later", phase="confirm", timeout=PATIENT)
    service = {**tiny_service(project), **AT_ONCE}
    project.loop("web", services={"web": service}, suites=[first, later])
    project.commit()
    return waiting(project)


STAGES = {
    "build": in_build,
    "deploy": in_deploy,
    "health": in_health,
    "verify": in_verify,
    "confirm": in_confirm,
}


def at_every_stage() -> Iterator[object]:
    """Both signals; slow where they could hardly tell anything new."""
    quick = ("confirm SIGTERM",)
    for stage in STAGES:
        for number in (signal.SIGINT, signal.SIGTERM):
            name = f"{stage} {number.name}"
            marks = () if name in quick else pytest.mark.slow
            yield pytest.param(stage, number, id=name, marks=marks)


@pytest.mark.parametrize(("stage", "number"), tuple(at_every_stage()))
def test_a_first_signal_puts_everything_back_and_writes_the_reports(
    project: Project, stage: str, number: signal.Signals
) -> None:
    first = serving_already(project)
    going = STAGES[stage](project)
    going.signal(number)
    asked = datetime.now(UTC)
    os.kill(host_pid(project), signal.SIGCONT)
    ended = going.end()
    assert ended.code == 128 + number, str(ended)
    assert ended.result["verdict"] == ended.result["stop_reason"] == "interrupted"
    assert ended.stage(stage)["outcome"] == "interrupted"
    assert ended.stages()[-1] == "settle"
    assert all((ended.run / name).is_file() for name in REPORTS)
    assert f"loopctl resume {ended.run.name}" in ended.out

    old = first.service("web")["revision"]
    assert project.serving("web") == {"web": {old: 100}}
    assert met_by_users(first.stable_url) == old
    until(lambda: set(services_up(project)) == {old})
    assert processes_of(ended.run.name) == []
    if stage == "confirm":
        back = of_kind(ended.run, "traffic.routed")[-1]
        assert back["data"]["why"] == "restore"
        assert (datetime.fromisoformat(back["at"]) - asked).total_seconds() < 5


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_suite_that_hears_no_signal_does_not_keep_traffic_from_being_put_back_in_time(
    project: Project, number: signal.Signals
) -> None:
    first = serving_already(project)
    going = in_confirm(project, DEAF)
    going.signal(number)
    asked = datetime.now(UTC)
    ended = going.end()
    assert ended.code == 128 + number, str(ended)
    back = of_kind(ended.run, "traffic.routed")[-1]
    assert back["data"]["why"] == "restore"
    assert (datetime.fromisoformat(back["at"]) - asked).total_seconds() < 5
    assert met_by_users(first.stable_url) == first.service("web")["revision"]
    assert processes_of(ended.run.name) == []


@pytest.mark.slow
def test_a_candidate_that_ends_slowly_is_no_failed_restore(project: Project) -> None:
    serving_already(project)
    tiny_loop(project, WAITS, prelude=CLINGS, service=AT_ONCE, timeout=PATIENT)
    going = waiting(project)
    going.signal(signal.SIGTERM)
    ended = going.end()
    assert ended.code == 143, str(ended)
    assert ended.result["stop_reason"] == "interrupted"
    let_go(project)
    ran = resumed(project, ended.run)
    assert ran.code == 0, str(ran)
    until(lambda: len(services_up(project)) <= 2)


@pytest.mark.slow
def test_a_second_signal_ends_it_at_once_and_nothing_is_lost(project: Project) -> None:
    serving_already(project)
    tiny_loop(project, WAITS, prelude=CLINGS, service=AT_ONCE, timeout=PATIENT)
    going = waiting(project)
    going.signal(signal.SIGINT)
    until(lambda: "intent discard web" in so_far(going.folder()))
    going.signal(signal.SIGINT)
    asked = time.monotonic()
    ended = going.end()
    assert time.monotonic() - asked < 2
    assert ended.code == 130, str(ended)
    assert labels(ended.run)[-1] == "intent discard web"
    assert not (ended.run / "summary.json").exists()

    let_go(project)
    ran = resumed(project, ended.run)
    assert ran.code == 0, str(ran)
    assert [cycle["number"] for cycle in ran.result["cycles"]] == [1, 2]
    revision = ran.service("web")["revision"]
    assert met_by_users(ran.stable_url) == revision
    until(lambda: len(services_up(project)) <= 2)


TAKES_THE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@contextmanager
def on_a_terminal(
    project: Project, *arguments: str
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The command on a terminal of its own, and our end of that terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", TAKES_THE_TERMINAL, *LOOPCTL, *arguments],
        cwd=project.root,
        env={**project.env, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(20)


@pytest.mark.slow
def test_a_run_whose_terminal_is_lost_goes_on_to_its_end(project: Project) -> None:
    serving_already(project)
    tiny_loop(project, WAITS, service=AT_ONCE, timeout=PATIENT)
    before = project.run_folders()
    with on_a_terminal(project, "run", "web") as (process, terminal):
        until((project.root / "waiting").exists)
        seen = os.read(terminal, 65536)
        os.close(terminal)
        let_go(project)
        code = process.wait(60)
    (folder,) = project.run_folders() - before
    assert b"\x1b[" in seen, "it was animated"
    assert code == 0
    result = json.loads((folder / "result.json").read_text())
    assert result["verdict"] == "green"
    assert journal(folder)[-1]["kind"] == "run.ended"
    assert all((folder / name).is_file() for name in REPORTS)


@pytest.mark.slow
def test_a_hang_up_alone_is_no_reason_to_stop(project: Project) -> None:
    serving_already(project)
    going = in_verify(project)
    going.signal(signal.SIGHUP)
    let_go(project)
    ended = going.end()
    assert ended.code == 0, str(ended)


@pytest.mark.slow
def test_nobody_who_reads_is_no_reason_to_stop(project: Project) -> None:
    serving_already(project)
    tiny_loop(project, WAITS, service=AT_ONCE, timeout=PATIENT)
    going = project.start("run", "web", "-v")
    until((project.root / "waiting").exists)
    for stream in (going.process.stdout, going.process.stderr):
        assert stream is not None
        stream.close()
    let_go(project)
    code = going.process.wait(60)
    result = json.loads((going.folder() / "result.json").read_text())
    assert (code, result["verdict"]) == (0, "green")
