"""`triage LOOP` on local: what is wrong with what serves, and nothing is changed by asking."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from kill_rig import host_pid, is_running, let_go, waiting
from rig import Project, Ran, opened, until
from services import ASKS
from test_dependencies import Gate, gate
from triage_rig import (
    SECRET,
    Untouched,
    causes,
    kill_service,
    labelled,
    mood,
    moody_loop,
    told,
    triage,
)

__all__ = ["gate"]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, str]]:
    """A project with a green run, and the revision that serves."""
    with opened(tmp_path_factory.mktemp("up")) as project:
        moody_loop(project)
        ran = project.run("web")
        assert ran.code == 0, str(ran)
        yield project, ran.service("web")["revision"]


@pytest.fixture
def web(up: tuple[Project, str]) -> Iterator[tuple[Project, str]]:
    """It, well, for a test that leaves all as it is but the mood."""
    project, revision = up
    mood(project, "")
    before = Untouched.of(project)
    yield project, revision
    before.holds()


def first_screen(ran: Ran) -> list[str]:
    return ran.out.partition("\n\n")[0].splitlines()


def test_a_healthy_service_is_said_to_be_so_and_nothing_is_changed(
    web: tuple[Project, str],
) -> None:
    project, revision = web
    ran = triage(project)
    assert ran.code == 0, str(ran)
    assert ran.folder is None, "it made no run"
    first = first_screen(ran)
    assert len(first) <= 15, str(ran)
    assert first[0].startswith(f"USERS: web: {revision} 100 % since "), str(ran)
    assert ", verified, healthy" in first[0], str(ran)
    assert labelled(ran, "VERDICT") == ["nothing is seen to be wrong, web on local, exit code 0"]
    assert any(line.startswith("curl -i http://127.0.0.1:") for line in labelled(ran, "NEXT"))
    assert labelled(ran, "OWNER") == ["#web-oncall, runbook: docs/runbook.md"]


def test_a_service_that_says_it_is_ill_is_quoted(web: tuple[Project, str]) -> None:
    project, revision = web
    mood(project, "ill")
    ran = triage(project)
    assert ran.code == 1, str(ran)
    assert f"USERS: web: {revision} 100 %" in first_screen(ran)[0]
    assert "NOT HEALTHY" in ran.out.upper(), str(ran)
    assert "/health answers 503, not 200" in ran.out, str(ran)
    assert '{"status": "unhealthy"}' in ran.out, str(ran)
    assert "health.unstable" in ran.out, "it was verified, so it was healthy once"


@pytest.mark.slow
def test_a_wrong_answer_is_told_without_the_secret_in_it(web: tuple[Project, str]) -> None:
    project, _ = web
    mood(project, "wrong")
    ran = triage(project)
    assert ran.code == 1, str(ran)
    assert "degraded" in ran.out, str(ran)
    assert SECRET not in ran.out, str(ran)
    document = told(project)
    assert SECRET not in json.dumps(document)
    assert document["services"][0]["state"] == "unhealthy"


@pytest.mark.slow
def test_requests_that_end_in_500_are_traced_to_the_line_that_raises(project: Project) -> None:
    moody_loop(project)
    revision = project.run("web").service("web")["revision"]
    mood(project, "raises")
    project.write("web/notes.txt", "more\n")
    project.commit()
    well = told(project)
    assert well["exit_code"] == 0, "nobody has asked for it yet"
    ask(f"{well['services'][0]['url']}/chart")
    document = told(project)
    assert document["exit_code"] == 1
    assert document["services"][0]["state"] == "healthy", "its health check does not see it"
    assert causes(document)[0] == "service.interface-changed", document["findings"]
    (quote, *_) = document["findings"][0]["evidence"]
    assert quote["source"].startswith(f"web/{revision}#"), quote
    assert "got an unexpected keyword argument 'colour'" in quote["quote"]
    (commit,) = document["services"][0]["changes"]
    assert (commit["kind"], "not deployed" in commit["text"]) == ("commit", True), commit
    whys = json.dumps(document["findings"][0]["whys"])
    assert commit["what"] not in whys, "what has reached nobody is no cause"


def ask(url: str) -> None:
    """A request that is answered 500."""
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(url, timeout=10).close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--since", "yesterday"), "must be a duration"),
        (("--since", "2999-01-01T00:00:00Z"), "yet to come"),
        (("--every", "5s"), "--every goes with --watch"),
        (("--watch", "--every", "1ms"), "must be from 1s to 24h"),
        (("--watch", "--every", "99999999h"), "must be from 1s to 24h"),
        (("--logs", "x.log"), "exclude each other"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    web: tuple[Project, str], arguments: tuple[str, ...], says: str
) -> None:
    project, _ = web
    ran = triage(project, *arguments)
    assert ran.code == 2, str(ran)
    assert says in ran.err, str(ran)


def test_watching_tells_each_change_and_ends_by_a_signal(web: tuple[Project, str]) -> None:
    project, _ = web
    going = project.start("triage", "web", "--watch", "--every", "1s", "--json")
    out = going.process.stdout
    assert out is not None
    first = json.loads(out.readline())
    mood(project, "ill")
    second = json.loads(out.readline())
    assert [first["exit_code"], second["exit_code"]] == [0, 1]
    going.signal(signal.SIGINT)
    ended = going.end()
    assert ended.code == 130, str(ended)
    assert ended.out == "", "what was not news was not told"


@pytest.mark.slow
def test_watching_without_a_terminal_is_a_line_for_each_change(web: tuple[Project, str]) -> None:
    project, revision = web
    going = project.start("triage", "web", "--watch", "--every", "1s")
    assert going.process.stdout is not None
    well = going.process.stdout.readline().decode()
    assert "nothing is seen to be wrong, exit code 0; " in well
    assert f"web healthy, {revision} 100 %, verified" in well
    mood(project, "ill")
    ill = going.process.stdout.readline().decode()
    assert "web is not healthy, exit code 1" in ill
    going.signal(signal.SIGTERM)
    assert going.end().code == 143


@pytest.mark.slow
def test_watching_on_a_terminal_draws_the_first_screen_again(web: tuple[Project, str]) -> None:
    project, revision = web
    ours, theirs = pty.openpty()
    env = {**project.env, "TERM": "xterm", "COLUMNS": "200", "LINES": "40"}
    command = [*project.command, "triage", "web", "--watch", "--every", "1s"]
    with subprocess.Popen(command, cwd=project.root, env=env, stdout=theirs, stdin=theirs) as going:
        os.close(theirs)
        drawn = read_until(ours, "Ctrl-C ends it")
        assert f"USERS: web: {revision} 100 %" in drawn
        mood(project, "ill")
        assert "\x1b[" in read_until(ours, "web is not healthy")
        going.send_signal(signal.SIGINT)
        assert going.wait(timeout=30) == 130
        os.close(ours)


def read_until(terminal: int, words: str) -> str:
    """What is written to the terminal until it says that."""
    said = ""
    while words not in said:
        said += os.read(terminal, 65536).decode("utf-8", "replace")
    return said


def test_what_was_never_deployed_says_how_to_deploy_it(project: Project) -> None:
    moody_loop(project)
    ran = triage(project)
    assert ran.code == 1, str(ran)
    assert ran.first_line == "USERS: web: not there"
    assert labelled(ran, "FAILED") == ["web was never deployed here"]
    assert labelled(ran, "NEXT") == ["loopctl run web --env local"]
    assert not project.runs_dir.exists(), "to look makes nothing"


@pytest.mark.slow
def test_a_process_that_was_killed_is_named_and_its_log_shown(project: Project) -> None:
    moody_loop(project)
    revision = project.run("web").service("web")["revision"]
    kill_service(project, revision)
    before = Untouched.of(project)
    ran = triage(project)
    assert ran.code == 1, str(ran)
    assert labelled(ran, "VERDICT") == ["web is not healthy, web on local, exit code 1"]
    assert "ended by SIGKILL" in ran.out, str(ran)
    assert "deploy.killed" in ran.line("LIKELY CAUSE"), str(ran)
    (tail, *_) = labelled(ran, "NEXT")
    assert tail.startswith("tail -n 50 "), str(ran)
    before.holds()


@pytest.mark.slow
def test_services_that_went_with_their_host_are_missed(project: Project) -> None:
    moody_loop(project)
    assert project.run("web").code == 0
    host = host_pid(project)
    os.kill(host, signal.SIGKILL)
    until(lambda: not is_running(host))
    before = Untouched.of(project)
    ran = triage(project)
    assert ran.code == 1, str(ran)
    assert "web is not there any more" in ran.out, str(ran)
    before.holds()
    for socket in project.sockets():
        socket.unlink()  # what a killed host leaves, the next run would take away


@pytest.mark.slow
def test_a_run_that_is_going_on_is_only_mentioned(project: Project) -> None:
    moody_loop(project, tests=ASKS + WAITS, suite_keys={"timeout": {"suite": "90s", "test": "60s"}})
    going = waiting(project)
    ran = triage(project)
    run = going.folder().name
    assert f"run {run} is going on since " in ran.out, str(ran)
    assert f"loopctl watch {run}" in ran.out, str(ran)
    let_go(project)
    assert going.end().code == 0


WAITS = """
import pathlib

def test_it_waits_until_it_is_let_go():
    ask()
    pathlib.Path("waiting").touch()
    deadline = time.monotonic() + 50
    while not pathlib.Path("let-go").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
"""


@pytest.mark.slow
def test_what_is_broken_and_unverified_is_to_be_rolled_back(project: Project) -> None:
    moody_loop(project)
    good = project.run("web").service("web")["revision"]
    fails = "def test_it_fails():\n    ask()\n    assert False\n"
    moody_loop(project, tests=fails, suite_keys={"phase": "confirm"})
    kept = project.run("web", "--keep", "--remediate", "off")
    assert kept.code == 1, str(kept)
    mood(project, "ill")
    ran = triage(project)
    assert ran.code == 1, str(ran)
    assert ", NOT verified" in ran.first_line, str(ran)
    assert labelled(ran, "NEXT")[0] == "loopctl rollback web --env local", str(ran)
    assert f"had verified {good}" in ran.line("CHANGED SINCE GREEN"), str(ran)
    mood(project, "")
    assert project.loopctl("rollback", "web").code == 0
    assert triage(project).code == 0


@pytest.mark.slow
def test_a_dependency_that_is_down_is_the_cause(project: Project, gate: Gate) -> None:
    gated = {"auth": {"url": gate.url, "health": {"path": "/health"}}}
    moody_loop(project, gated=gated, service={"needs": ["auth"]})
    assert project.run("web").code == 0
    well = told(project)
    assert [(s["name"], s["state"]) for s in well["services"]] == [
        ("web", "healthy"),
        ("auth", "healthy"),
    ]
    gate.well = False
    ill = told(project)
    assert ill["exit_code"] == 1
    assert causes(ill)[0] == "dependency.down", ill["findings"]
