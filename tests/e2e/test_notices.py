"""Real runs that tell a webhook: once when it breaks, once when it is mended, and never the URL."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from notice_forms import slack_faults
from rig import Project, Ran, until
from webhook_server import Answer, WebhookServer, webhook
from word_loop import word_loop

PATH = "/services/T0123/B0456/a-token-of-24-characters"


def hooks(server: WebhookServer) -> Mapping[str, str]:
    return {"HOOK": f"{server.origin}{PATH}", "OPS": f"{server.origin}/ops/{PATH[10:]}"}


def loop(project: Project, word: str) -> None:
    slack = {"on": ["red", "undelivered"], "url": "${HOOK}", "kind": "slack"}
    plain = {"on": ["red"], "url": "${OPS}", "every": "run", "environments": ["local"]}
    elsewhere = {"on": ["red"], "url": "${NOWHERE:?not here}", "environments": ["far"]}
    word_loop(
        project,
        word=word,
        mode="off",
        notify=[slack, plain, elsewhere, {"on": "red", "url": "${EMPTY:-}"}],
        environments={"local": {"platform": "local"}, "far": {"platform": "local"}},
    )


def is_nowhere(token: str, ran: Ran, project: Project) -> None:
    assert token not in ran.out + ran.err
    for path in project.runs_dir.rglob("*"):
        assert not path.is_file() or token.encode() not in path.read_bytes(), path


def paths(server: WebhookServer) -> list[str]:
    return [taken.path.split("/")[1] for taken in server.taken]


def titles(server: WebhookServer) -> list[str]:
    return [taken.json["text"] for taken in server.taken if "blocks" in taken.json]


def test_a_change_is_told_once_and_the_url_is_nowhere(project: Project) -> None:
    with webhook() as server:
        env = hooks(server)
        loop(project, "bad")
        first = project.run("web", env=env)
        assert (first.code, sorted(paths(server))) == (1, ["ops", "services"])
        again = project.run("web", env=env)
        assert (again.code, sorted(paths(server))) == (1, ["ops", "ops", "services"])
        loop(project, "good")
        green = project.run("web", env=env)
        assert green.code == 0, str(green)
        told = titles(server)
        assert [title.partition(": ")[2] for title in told] == ["red", "green again"]
        assert sorted(paths(server)) == ["ops", "ops", "ops", "services", "services"]
        slack = next(taken.json for taken in server.taken if "blocks" in taken.json)
        assert slack_faults(slack) == []
        plan = project.loopctl("plan", "web", env=env)
        asked = announced(project, first, server)
    assert "tells    notice 1 to Slack (127.0.0.1): red, undelivered, when it changes" in plan.out
    assert "tells    notice 2 to the webhook (127.0.0.1): red, of every run" in plan.out
    assert "tells    notice 3 is switched off: its url is empty" in plan.out
    for ran in (first, again, green, plan, *asked):
        is_nowhere("a-token-of-24-characters", ran, project)


def announced(project: Project, red: Ran, server: WebhookServer) -> list[Ran]:
    """What `announce` says of the red run: shown, then sent, then to nobody."""
    server.taken.clear()
    shown = project.loopctl("announce", red.run.name, "--dry-run", env=hooks(server))
    assert shown.code == 0, str(shown)
    assert server.taken == []
    assert "notice 1 to Slack (127.0.0.1):" in shown.out
    assert '"blocks"' in shown.out
    sent = project.loopctl("announce", red.run.name, "--json", env=hooks(server))
    assert (sent.code, sorted(paths(server))) == (0, ["ops", "services"])
    assert [told["trouble"] for told in sent.document()["told"]] == [None, None]
    plain = next(taken.json for taken in server.taken if "schema" in taken.json)
    assert (plain["reason"], plain["run_id"], plain["before"]) == ("asked", red.run.name, None)
    assert plain["folder"] == f".loopctl/runs/{red.run.name}", "no path of this machine"
    server.answer_with(Answer(404))
    missed = project.loopctl("announce", "--only", "notify", env=hooks(server))
    assert missed.code == 5
    assert "(127.0.0.1) was not made: it answered 404" in missed.err
    nobody = project.loopctl("announce", "--only", "github", env=hooks(server))
    assert nobody.code == 2
    assert "names nobody" in nobody.err
    return [shown, sent, missed, nobody]


@pytest.mark.slow
def test_what_cannot_be_told_changes_no_exit_code_and_is_told_by_the_next_run(
    project: Project,
) -> None:
    with webhook(Answer(403, "invalid_token")) as server:
        env = hooks(server)
        loop(project, "bad")
        refused = project.run("web", env=env)
        assert refused.code == 1
        assert "notice 1 to Slack (127.0.0.1) was not made: it answered 403" in refused.err
        assert record(refused, project)["told"] == []
        server.answer_with(Answer())
        server.taken.clear()
        taken = project.run("web", env=env)
        assert (taken.code, sorted(paths(server))) == (1, ["ops", "services"])
        assert len(record(taken, project)["told"]) == 2
        unset = project.run("web", env={"OPS": env["OPS"]})
        assert unset.code == 1
        assert "notice 1 was not made: the variable HOOK is not set" in unset.err
        server.answer_with(Answer(hangs=True))
        hung = project.run("web", env=env)
        assert (hung.code, hung.seconds < 40) == (1, True)
        assert "(127.0.0.1) was not made: no answer within 10 s" in hung.err
    is_nowhere("a-token-of-24-characters", hung, project)


@pytest.mark.slow
def test_a_signal_during_the_telling_ends_that_and_changes_no_verdict(project: Project) -> None:
    with webhook(Answer(hangs=True)) as server:
        loop(project, "bad")
        going = project.start("run", "web", "-q", env=hooks(server))
        until(lambda: len(server.taken) == 2)
        began = time.monotonic()
        going.signal(signal.SIGTERM)
        told = going.end()
        assert time.monotonic() - began < 5
    assert told.code == 1, "the run had ended red"
    assert "(127.0.0.1) was not made: stopped by SIGTERM" in told.err
    assert "VERDICT: red" in told.out
    assert record(told, project)["told"] == [], "the next run tells it"


def record(ran: Ran, project: Project) -> dict[str, Any]:
    path: Path = project.runs_dir / "history" / "web" / "local" / f"{ran.run.name}.json"
    return dict(json.loads(path.read_text()))
