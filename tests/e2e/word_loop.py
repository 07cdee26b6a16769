"""A loop whose service says one word, a suite that wants another, and remedies as shell scripts."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from rig import Project, Ran, met_by_users
from services import suite, tiny_service

SAYS = "Handler.answer = lambda self: open('word.txt', 'rb').read()\n"
WANTS_GOOD = "def test_it_says_good():\n    assert ask('/through').strip() == 'good'\n"
REPAIRS = "echo good > web/word.txt\n"
CASE = "smoke::tests/test_smoke.py::test_it_says_good"
ALL_RED = {"verdict": "red"}


def script(project: Project, text: str, name: str = "fix.sh") -> None:
    """Write a remedy: a shell script in the project root."""
    project.write(name, f"#!/bin/sh\n{text}").chmod(0o755)


def run_rule(when: Mapping[str, str] = ALL_RED, **keys: Any) -> dict[str, Any]:
    """A rule that runs `./fix.sh`."""
    return {"when": dict(when), "do": "run", "command": ["./fix.sh"], **keys}


def rule(do: str, when: Mapping[str, str] = ALL_RED, **keys: Any) -> dict[str, Any]:
    """A rule for a remedy of loopctl's own."""
    return {"when": dict(when), "do": do, **keys}


def word_loop(
    project: Project,
    *rules: Mapping[str, Any],
    word: str = "bad",
    tests: str = WANTS_GOOD,
    prelude: str = "",
    mode: str = "auto",
    may_edit: Sequence[str] = (),
    limits: Mapping[str, Any] | None = None,
    suite_keys: Mapping[str, Any] | None = None,
    more_suites: Sequence[Mapping[str, Any]] = (),
    service: Mapping[str, Any] | None = None,
    build: Mapping[str, Any] | None = None,
    gated: Mapping[str, Any] | None = None,
    **keys: Any,
) -> None:
    """Write the loop `web`, committed: its service says `word`, its suite wants `good`.

    `service` is merged over the service's `run`, `suite_keys` over the suite, `keys` over the loop.
    """
    spec = tiny_service(project, "web", SAYS + prelude)
    spec["health"]["stable_for"] = "0s"
    spec["run"] |= service or {}
    if build:
        spec["build"] = dict(build)
    if gated:
        spec["needs"] = list(gated)
    project.write("web/word.txt", f"{word}\n")
    remediate: dict[str, Any] = {"mode": mode, "rules": [dict(one) for one in rules]}
    if may_edit:
        remediate["may_edit"] = list(may_edit)
    project.loop(
        "web",
        services={"web": spec, **(gated or {})},
        suites=[suite(project, tests, **(suite_keys or {})), *map(dict, more_suites)],
        loop={"max_cycles": 3, **(limits or {})},
        remediate=remediate,
        **keys,
    )
    project.commit()


def green_before(project: Project) -> Ran:
    """A green run of `word_loop`, so that there is something verified to go back to."""
    word_loop(project, word="good")
    ran = project.run("web")
    assert ran.code == 0, str(ran)
    return ran


def as_it_was(project: Project) -> None:
    """Undo what a remedy did to the work tree, or to git itself."""
    try:
        project.git("clean", "-fdq")
        project.git("reset", "-q", "--hard")
    except subprocess.CalledProcessError:
        shutil.rmtree(project.root / ".git", ignore_errors=True)
        project.git("init", "-q", "-b", "main")
        project.commit()


def ended(ran: Ran) -> tuple[int, str, int]:
    """Exit code, stop reason and number of cycles."""
    result = ran.result
    assert result["exit_code"] == ran.code
    return ran.code, result["stop_reason"], len(result["cycles"])


def remedy(ran: Ran, cycle: int = -1) -> dict[str, Any]:
    """What came of a cycle's remedy."""
    found = ran.result["cycles"][cycle]["remedy"]
    assert found is not None, str(ran)
    return dict(found)


def worklog(ran: Ran) -> str:
    return (ran.run / "worklog.md").read_text()


def still_served(ran: Ran, before: Ran) -> None:
    """Users are met by what the green run had verified, and the first line says so."""
    good = before.service("web")["revision"]
    assert met_by_users(before.stable_url) == good
    assert f"web: {good} 100 %" in ran.first_line
    left = ran.result["left"][0]
    assert (left["traffic"], left["verified"]) == ({good: 100}, True)
    assert left["changed_by_run"] is False


def serve_unverified(project: Project) -> str:
    """Leave another revision serving than the verified one; its name."""
    word_loop(project, suite_keys={"phase": "confirm"})
    kept = project.run("web", "--keep", "--remediate", "off")
    assert kept.code == 1, str(kept)
    bad = kept.service("web")["revision"]
    assert project.serving("web")["web"] == {bad: 100}
    return str(bad)
