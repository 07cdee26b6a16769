"""Operating an environment: a protected one wants its name; back is to what was verified."""

from __future__ import annotations

import signal

import pytest
from rig import Project, Ran, met_by_users, until
from word_loop import green_before, serve_unverified, word_loop

WAITS = "def test_it():\n    ask()\n    open('waiting', 'w').close()\n    time.sleep(60)\n"
PATIENT = {"timeout": {"suite": "90s", "test": "80s"}}
PROTECTED = {"local": {"platform": "local", "protected": True}}


def test_a_protected_environment_wants_its_name_for_run_and_rollback(
    served: tuple[Project, Ran],
) -> None:
    project, before = served
    word_loop(project, word="good", environments=PROTECTED)
    runs = project.run_folders()
    for words in (("run",), ("run", "--confirm", "prod"), ("rollback",)):
        refused = project.loopctl(words[0], "web", *words[1:])
        assert refused.code == 2, str(refused)
        assert "--confirm" in refused.err
        assert "nothing was changed" in refused.err
    assert project.run_folders() == runs
    back = project.loopctl("rollback", "web", "--confirm", "local")
    assert back.code == 0, str(back)
    good = before.service("web")["revision"]
    assert back.out == f"web serves {good} 100 %, verified already\n"
    assert met_by_users(before.stable_url) == good


@pytest.mark.slow
def test_a_run_on_a_protected_environment_wants_its_name_again_to_be_resumed(
    project: Project,
) -> None:
    word_loop(project, word="good", tests=WAITS, environments=PROTECTED, suite_keys=PATIENT)
    refused = project.run("web", "--confirm", "local")
    assert refused.code == 4, str(refused)
    assert "--create" in refused.out, "a first revision takes all traffic unverified"
    going = project.start("run", "web", "-q", "--confirm", "local", "--create")
    until((project.root / "waiting").exists, 60)
    going.signal(signal.SIGTERM)
    stopped = going.end(20)
    assert stopped.code == 143, str(stopped)
    assert "--confirm local" in next(
        line for line in stopped.out.splitlines() if "loopctl resume" in line
    )
    again = project.loopctl("resume", stopped.run.name)
    assert again.code == 2, str(again)
    assert "--confirm local" in again.err
    word_loop(project, word="good", environments=PROTECTED)
    other = project.loopctl("resume", stopped.run.name, "--confirm", "local")
    assert other.code == 2, str(other)
    assert "start anew: loopctl run web --env local --confirm local --create\n" in other.err


def test_a_rollback_goes_to_what_was_verified_and_only_while_nobody_runs(
    project: Project,
) -> None:
    word_loop(project, word="good")
    nothing = project.loopctl("rollback", "web")
    assert nothing.code == 5, str(nothing)
    assert "there is nothing to go back to" in nothing.err

    before = green_before(project)
    good = before.service("web")["revision"]
    bad = serve_unverified(project)
    word_loop(project, tests=WAITS, suite_keys=PATIENT)
    (project.root / "waiting").unlink(missing_ok=True)
    going = project.start("run", "web", "-q")
    until((project.root / "waiting").exists, 60)
    held = project.loopctl("rollback", "web")
    assert held.code == 6, str(held)
    assert going.folder().name in held.err, "it names the run that holds it"
    going.signal(signal.SIGTERM)
    assert going.end(20).code == 143

    back = project.loopctl("rollback", "web", "--json")
    assert back.code == 0, str(back)
    services = [{"service": "web", "now": {bad: 100}, "want": {good: 100}}]
    assert back.document() == {"schema": 1, "environment": "local", "services": services}
    assert met_by_users(before.stable_url) == good


@pytest.mark.slow
def test_a_rollback_to_nothing_verified_changes_nothing(project: Project) -> None:
    word_loop(project)
    ran = project.run("web")
    assert ran.code == 1, str(ran)
    serving = project.serving("web")
    back = project.loopctl("rollback", "web")
    assert back.code == 5, str(back)
    assert "no verified revision of web" in back.err
    assert project.serving("web") == serving
