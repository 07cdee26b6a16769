"""The way to green on Cloud Run: the loop of this repository, real containers, a real registry."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cloud_run_project import Transport, sent_to
from rig import REPOSITORY, Ran, met_by_users
from staging_project import Staging, staging_opened

from emulator.run_runtime_docker import LABEL
from loopctl.platforms.cloud_run.lease_mark import LEASE
from loopctl.platforms.cloud_run.names import tag_of
from loopctl.platforms.cloud_run.verified import VERIFIED


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Staging]:
    with staging_opened(tmp_path) as made:
        yield made


slow = pytest.mark.slow
WHOLE = 7
WAYS = (
    ("candidate", "grpc", 3, 16),
    pytest.param("direct", "rest", 2, 6, marks=slow),
    pytest.param("candidate", "grpc", WHOLE, 50, marks=slow),
    pytest.param("candidate", "rest", WHOLE, 50, marks=slow),
    pytest.param("direct", "grpc", WHOLE, 50, marks=slow),
    pytest.param("direct", "rest", WHOLE, 50, marks=slow),
)


@pytest.mark.parametrize(("strategy", "transport", "suites", "cases"), WAYS)
def test_a_commit_is_proven_on_cloud_run_and_replaced_by_the_next(
    staging: Staging, strategy: str, transport: Transport, suites: int, cases: int
) -> None:
    env = staging.env(strategy, transport)
    shorten(staging, suites=1)
    first = staging.run(env)
    assert first.code == 0, str(first)
    old = first.service("chat")["revision"]
    assert staging.serves() == [(old, 100, "")]

    change_source(staging)
    if suites == WHOLE:
        whole(staging)
    else:
        shorten(staging, suites)
    second = staging.run(env)
    assert_proven(second, cases)
    new = second.service("chat")["revision"]
    assert new != old
    assert second.stable_url == first.stable_url
    assert met_by_users(second.stable_url) == new
    assert_deployed_by_digest(staging, second)
    assert_as_intended(staging, second, [new, old])
    assert_shares(staging, strategy, old, new)


def assert_proven(ran: Ran, cases: int) -> None:
    """Green, with every case proven by a receipt and the content compared and read again."""
    assert ran.code == 0, str(ran)
    assert (ran.result["verdict"], ran.result["stop_reason"]) == ("green", "green")
    revision = ran.service("chat")["revision"]
    assert ran.first_line.startswith(f"USERS: chat: {revision} 100 %")
    assert ", verified, changed by this run" in ran.first_line
    assert len(ran.cases()) >= cases
    assert {(case["status"], case["grade"]) for case in ran.cases()} == {("passed", "proven")}
    assert all(f"on {revision}" in case["reason"] for case in ran.cases())
    provenance = ran.service("chat")["provenance"]
    assert provenance["source_tree"] == provenance["image_tree"] == ran.result["source"]["tree"]
    assert provenance["verified"] is True
    assert provenance["rechecked_after_tests"] is True
    assert provenance["compared"] >= 15


def assert_deployed_by_digest(staging: Staging, ran: Ran) -> None:
    """Template, revision and container have the digest of the result, from the registry."""
    service = ran.service("chat")
    name = f"{staging.registry.address}/e2e/chat@{service['image']}"
    assert staging.service().template.containers[0].image == name
    assert staging.emulator.state.revision(service["revision"]).containers[0].image == name
    ours = f"label={LABEL}={service['revision']}"
    (container,) = staging.made.inspect(staging.made.docker("ps", "--quiet", "--filter", ours))
    assert (container["Config"]["Image"], container["Image"]) == (name, service["image_id"])


def assert_as_intended(staging: Staging, ran: Ran, verified: list[str]) -> None:
    """All traffic is on the verified revision, no tag is left, and the notes are there."""
    service = staging.service()
    assert staging.serves() == [(verified[0], 100, "")]
    noted = json.loads(service.annotations[VERIFIED])
    assert [each["revision"] for each in noted] == verified
    assert noted[0]["run"] == ran.result["run_id"]
    assert LEASE not in service.annotations
    secret = next(e for e in service.template.containers[0].env if e.name == "JWT_SECRET")
    assert secret.value_source.secret_key_ref.secret.rpartition("/")[2] == "chat-jwt-secret"
    assert not secret.value


def assert_shares(staging: Staging, strategy: str, old: str, new: str) -> None:
    """Of all that was asked for: a candidate had a tag and no traffic until it was promoted."""
    asked = [
        [(row.revision, row.percent, row.tag) for row in sent.service.traffic]
        for sent in sent_to(staging.emulator, "UpdateService")
        if "traffic" in sent.update_mask.paths
    ]
    with_new = [rows for rows in asked if any(row[0] == new for row in rows)]
    if strategy == "candidate":
        assert with_new[0] == [(old, 100, ""), (new, 0, tag_of(new))]
        assert with_new[1] == [(new, 100, ""), (new, 0, tag_of(new))]
    else:
        assert with_new[0] == [(new, 100, "")]
    assert with_new[-1] == [(new, 100, "")]


@slow
def test_a_red_run_goes_back_keeps_its_logs_and_the_environment_is_operated(
    staging: Staging,
) -> None:
    env = staging.env("candidate", "grpc")
    shorten(staging, suites=1)
    first = staging.run(env)
    assert first.code == 0, str(first)
    good = first.service("chat")["revision"]
    template = served(staging)

    dead = staging.run(env, FAULT="exit-3")
    assert dead.code == 5, str(dead)
    assert "deploy.exit-code" in dead.line("LIKELY CAUSE")
    assert "exit(3)" in dead.line("QUOTE"), str(dead)
    assert "Application startup failed" in dead.out, str(dead)
    assert_untouched(staging, first, dead, template)
    kept = (dead.run / "logs" / "1" / "chat.jsonl").read_text()
    assert "Application startup failed" in kept
    assert "Container called exit(3)." in kept
    shown = staging.project.loopctl("logs", dead.run.name, "chat")
    assert shown.code == 0, str(shown)
    assert "Application startup failed" in shown.out

    fails(staging)
    red = staging.run(env)
    assert red.code == 1, str(red)
    assert "endpoints" in red.line("FAILED"), str(red)
    assert red.line("QUOTE"), str(red)
    assert_untouched(staging, first, red, template)
    assert (red.run / "logs" / "1" / "chat.jsonl").read_text()

    updates = len(sent_to(staging.emulator, "UpdateService"))
    plan = staging.project.loopctl("plan", "golden-path", "--env", "staging", env=env)
    assert plan.code == 0, str(plan)
    back = staging.project.loopctl("rollback", "golden-path", "--env", "staging", env=env)
    assert back.code == 0, str(back)
    assert f"chat serves {good} 100 %, verified already" in back.out
    assert not any(
        "traffic" in sent.update_mask.paths
        for sent in sent_to(staging.emulator, "UpdateService")[updates:]
    )

    down = ("down", "golden-path", "--env", "staging")
    refused = staging.project.loopctl(*down, env=env)
    assert refused.code == 2, str(refused)
    assert "--confirm staging" in refused.err
    ended = staging.project.loopctl(*down, "--confirm", "staging", env=env)
    assert ended.code == 0, str(ended)
    assert staging.emulator.state.services == {}


def served(staging: Staging) -> Any:
    """The template, but for the names that tell one deployment from another."""
    template = staging.service().template
    template.revision = ""
    template.annotations.clear()
    return template


def assert_untouched(staging: Staging, first: Ran, ran: Ran, template: Any) -> None:
    """Users meet what the first run verified, and its template is the service's."""
    good = first.service("chat")["revision"]
    assert met_by_users(first.stable_url) == good
    assert staging.serves() == [(good, 100, "")]
    assert served(staging) == template
    assert LEASE not in staging.service().annotations
    assert re.match(rf"USERS: chat: {good} 100 % .*, verified, not changed by this run", ran.out)


def change_source(staging: Staging) -> None:
    file = staging.project.root / "examples" / "chat" / "chat" / "answers.py"
    file.write_text(f"{file.read_text()}\n# another commit\n")
    staging.project.commit()


def whole(staging: Staging) -> None:
    """The loop as it stands in this repository."""
    staging.project.loop_file("golden-path", (REPOSITORY / "loops/golden-path.yaml").read_text())
    staging.project.commit()


def shorten(staging: Staging, suites: int) -> None:
    """Of the loop's suites leave the first few, and wait less for a healthy service to fall."""
    loop = yaml.safe_load((REPOSITORY / "loops" / "golden-path.yaml").read_text())
    loop["suites"] = loop["suites"][:suites]
    loop["criteria"] = []
    loop["services"]["chat"]["health"]["stable_for"] = "200ms"
    staging.project.loop_file("golden-path", yaml.safe_dump(loop))
    staging.project.commit()


def fails(staging: Staging) -> None:
    """From now on the loop wants what the service does not answer."""
    file = staging.project.root / "loops" / "golden-path.yaml"
    loop = yaml.safe_load(file.read_text())
    loop["suites"][0]["requests"][0]["status"] = 418
    staging.project.loop_file("golden-path", yaml.safe_dump(loop))
    staging.project.commit()
