"""A restore that fails on a protected environment: the first line is a command, and it works."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from kill_rig import drive, services_up
from rig import Project, Ran, met_by_users, until
from services import ASKS
from word_loop import ended, word_loop

PROTECTED: dict[str, Any] = {"environments": {"local": {"platform": "local", "protected": True}}}
YES = ("--confirm", "local")
DIES_WHEN_NAMED = """
def may_live():
    try:
        named = open(os.environ["DOOMED"]).read()
    except FileNotFoundError:
        return True
    return named != os.environ["K_REVISION"]

def watch():
    while may_live():
        time.sleep(0.02)
    with open(os.environ["DOOMED"] + ".pid", "w") as file:
        file.write(str(os.getpid()))
    os._exit(7)

if not may_live():
    sys.exit(7)
threading.Thread(target=watch, daemon=True).start()
"""
"""The revision whose name stands in the file `DOOMED` dies, and cannot be started again."""

DOOMS_WHAT_SERVED = """
def test_what_served_before_dies():
    with open({file!r} + ".new", "w") as file:
        file.write({revision!r})
    os.replace({file!r} + ".new", {file!r})
    deadline = time.monotonic() + 9
    while time.monotonic() < deadline:
        try:
            os.kill(int(open({file!r} + ".pid").read()), 0)
        except ProcessLookupError:
            break
        except (FileNotFoundError, ValueError):
            pass
        time.sleep(0.02)
    assert False, "so nothing is confirmed"
"""


def mends(project: Project, told: str, mend: str) -> Ran:
    """Type the command that the screen opens with, which should be `mend`."""
    assert told.splitlines()[0] == f"MEND: {mend}"
    return project.loopctl(*shlex.split(mend)[1:])


def test_traffic_that_could_not_be_put_back_goes_back_with_the_first_line(project: Project) -> None:
    project.runs_dir = project.root / "my runs"
    here = ("--runs-dir", str(project.runs_dir))
    doomed = str(project.root / "doomed")
    keys: dict[str, Any] = {
        "prelude": DIES_WHEN_NAMED,
        "service": {"env": {"DOOMED": doomed}},
        **PROTECTED,
    }
    word_loop(project, word="good", tests=ASKS, **keys)
    before = project.run("web", *YES, "--create", *here)
    assert before.code == 0, str(before)
    good = before.service("web")["revision"]

    tests = DOOMS_WHAT_SERVED.format(file=doomed, revision=good)
    word_loop(project, word="good", tests=tests, suite_keys={"phase": "confirm"}, **keys)
    ran = project.run("web", *YES, *here)
    assert ended(ran) == (5, "restore-failed", 1), str(ran)
    assert met_by_users(before.stable_url) == ran.service("web")["revision"]
    assert f"; see its log: logs/web/{good}.jsonl" in ran.line("RESTORE")

    (project.root / "doomed").unlink()
    command = f"loopctl --runs-dir '{project.runs_dir}' rollback web --env local --confirm local"
    back = mends(project, ran.out, command)
    assert back.code == 0, str(back)
    assert met_by_users(before.stable_url) == good


@pytest.mark.slow
def test_where_nobody_serves_any_more_the_first_line_is_a_new_run(project: Project) -> None:
    word_loop(project, word="good", **PROTECTED)
    before = project.run("web", *YES, "--create")
    assert before.code == 0, str(before)
    word_loop(project, word="bad", **PROTECTED)
    failed = drive(project, loop="web", at="entered settle", spare=True, confirm="local")
    assert ended(failed) == (5, "restore-failed", 1), str(failed)
    until(lambda: not services_up(project))

    shown = project.loopctl("show", failed.run.name).out
    word_loop(project, word="good", **PROTECTED)
    again = mends(project, shown, "loopctl run web --env local --confirm local --create")
    assert again.code == 0, str(again)
    assert met_by_users(again.stable_url) == again.service("web")["revision"]
