"""Runs of the command line, told on a GitHub that holds every request against what is published."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from github_server import TOKEN, Fault, GitHub, github
from rig import Project, Ran, until
from services import suite, tiny_service

FAILS = "def test_it_answers():\n    assert 'broken' in ask()\n"
LABELS = ["incident"]


@pytest.fixture
def hub() -> Iterator[GitHub]:
    with github() as running:
        yield running


def told_loop(project: Project, tests: str, **keys: Any) -> None:
    """A loop of one service and two suites, the first with `tests`; committed."""
    rules = {"token": "${GITHUB_TOKEN:-}", "labels": LABELS, "api": "${HUB}", **keys}
    passes = suite(project, name="passes")
    project.loop(
        "web",
        services={"web": tiny_service(project)},
        suites=[suite(project, tests), passes],
        github=rules,
    )
    project.commit()


def in_ci(hub: GitHub, **more: str) -> Mapping[str, str]:
    return {
        "HUB": hub.url,
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_ACTIONS": "true",
        "GITHUB_REPOSITORY": hub.repository,
        "GITHUB_SERVER_URL": "https://hub.example.test",
        "GITHUB_RUN_ID": "77",
        "GITHUB_REF": "refs/pull/9/merge",
        **more,
    }


def states(hub: GitHub) -> list[str]:
    return [each["state"] for each in hub.statuses]


def nowhere_seen(project: Project, *ran: Ran) -> None:
    """The token, in any file of the runs and in anything they said."""
    files = [path for path in project.runs_dir.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert not [path for path in files if TOKEN.encode() in path.read_bytes()]
    assert not [each for each in ran if TOKEN in each.out + each.err]


def pull_request(hub: GitHub) -> list[dict[str, Any]]:
    """Its comments."""
    parts = dict.fromkeys(["url", "html_url", "diff_url", "patch_url"])
    hub.issues[9] = hub.issue("", pull_request=parts) | {"number": 9}
    hub.comments[9] = []
    del hub.issues[1]
    return hub.comments[9]


def test_a_red_loop_is_told_once_for_each_run(project: Project, hub: GitHub) -> None:
    told_loop(project, FAILS)
    comments, env = pull_request(hub), in_ci(hub)
    hub.commits = {project.git("rev-parse", "HEAD")}
    first, second = project.run("web", env=env), project.run("web", env=env)
    for ran in (first, second):
        assert ran.code == 1, str(ran)
        assert "was not made" not in ran.err
    (issue,) = (each for number, each in hub.issues.items() if number != 9)
    assert issue["title"].startswith("deploy: ")
    assert issue["title"].endswith(" — web")
    assert hub.labels_of(issue["number"]) == ["loopctl", *LABELS]
    assert len(hub.comments[issue["number"]]) == 1
    assert "https://hub.example.test/shop/api/actions/runs/77" in issue["body"]
    assert (states(hub), len(comments)) == (["pending", "failure"] * 2, 1)
    assert second.run.name in comments[0]["body"]
    assert hub.statuses[-1]["context"] == "loopctl/web/local"
    nowhere_seen(project, first, second)


@pytest.mark.slow
def test_only_a_whole_run_of_what_a_commit_holds_is_a_status(project: Project, hub: GitHub) -> None:
    told_loop(project, "def test_it_answers():\n    assert 'healthy' in ask()\n")
    comments, env = pull_request(hub), in_ci(hub)
    hub.commits = {project.git("rev-parse", "HEAD")}
    plan = project.loopctl("plan", "web", env=env)
    assert f"tells    {hub.repository}: an issue for each cause, at most 5" in plan.out
    green = project.run("web", env=env)
    assert green.code == 0, str(green)
    assert states(hub) == ["pending", "success"]
    assert "web on local: green" in comments[0]["body"]
    partial = project.run("web", "--suite", "passes", env=env)
    assert "PARTIAL, " in comments[0]["body"]
    project.write("web/more.py", "")
    dirty = project.run("web", env=env)
    assert (partial.code, dirty.code) == (0, 0)
    assert states(hub) == ["pending", "success"]
    assert [number for number in hub.issues if number != 9] == []

    nobody = project.run("web", env=in_ci(hub, GITHUB_TOKEN=""))
    assert nobody.code == 0
    assert nobody.err.count("GitHub") == 1
    assert "github.token is empty" in nobody.err
    asked = len(hub.requests)
    by_hand = project.run("web", env={"HUB": hub.url})
    assert (by_hand.code, by_hand.err, len(hub.requests)) == (0, "", asked)
    nowhere_seen(project, plan, green, partial, dirty, nobody, by_hand)


def test_a_github_that_fails_changes_no_verdict_and_is_said(project: Project, hub: GitHub) -> None:
    told_loop(project, FAILS)
    env = in_ci(hub)
    secret = ('{"message": "not accessible \\u001b[31m %s ::error::x"}' % TOKEN).encode()  # noqa: UP031
    hub.faults = [
        Fault("POST", "/issues", 403, secret, times=9),
        Fault("GET", "/comments", 404, times=9),
        Fault("POST", project.git("rev-parse", "HEAD"), 422, b"<html>", times=9),
    ]
    ran = project.run("web", env=env)
    assert ran.code == 1, str(ran)
    for name in (
        "an issue on GitHub",
        "a comment on the pull request",
        "a commit status on GitHub",
    ):
        assert ran.err.count(f"{name} was not made: ") == 1, ran.err
    assert "lacks `issues: write`" in ran.err
    assert TOKEN not in ran.err
    assert "\x1b[31m" not in ran.err


@pytest.mark.slow
def test_a_github_that_hangs_holds_no_run_up_for_long(project: Project, hub: GitHub) -> None:
    told_loop(project, FAILS)
    quick: Ran = project.run("web")
    hub.faults = [Fault("*", "", hang=True, times=99)]
    ran = project.run("web", env=in_ci(hub))
    assert ran.code == quick.code == 1
    assert ran.seconds < quick.seconds + 5 + 20 + 5
    assert "was not made: " in ran.err


@pytest.mark.slow
def test_a_run_that_is_interrupted_leaves_no_pending_status_and_goes_on_without_a_token(
    project: Project, hub: GitHub, tmp_path: Path
) -> None:
    waits = tmp_path / "waits"
    waits.touch()
    sleeps = f"    while os.path.exists({str(waits)!r}): time.sleep(0.1)\n"
    told_loop(
        project, f"import time\ndef test_it_answers():\n{sleeps}    assert 'broken' in ask()\n"
    )
    going = project.start("run", "web", "-q", env=in_ci(hub))
    until(lambda: hub.statuses)
    folder = going.folder()
    until(lambda: b"suite.started" in (folder / "journal.jsonl").read_bytes())
    going.signal(signal.SIGINT)
    assert going.end().code == 130
    assert states(hub) == ["pending", "error"]
    waits.unlink()
    gone_on = project.loopctl("resume", folder.name, "-q")
    assert gone_on.code == 1, str(gone_on)
    assert states(hub) == ["pending", "error"]
