"""A service of Cloud Run that others want too: another run, `unlock`, and people with gcloud."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from cloud_run_project import SECRET, CloudProject, cloud_opened, sent_to
from google.cloud import run_v2
from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport
from kill_rig import PATIENT, WAITS, let_go, of_kind, waiting
from rig import Going, met_by_users

from emulator.log_store import Entry
from emulator.run_messages import ServicePb
from loopctl.platforms.cloud_run.lease_mark import LEASE

WHERE = r"web is held by run {run} \(process {pid} on \S+\), since \S+ \S+ UTC until \S+ UTC"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[CloudProject]:
    """A project with a green run; the next run stays in its suite until it is let go."""
    with cloud_opened(tmp_path) as cloud:
        cloud.green()
        cloud.loop(tests=WAITS, prelude="# the next\n", suite_keys={"timeout": PATIENT})
        yield cloud


@pytest.mark.slow
def test_of_two_runs_one_runs_and_the_other_names_it(cloud: CloudProject) -> None:
    going = waiting(cloud.project)
    revisions, writes = cloud.revisions(), len(cloud.writes())
    second = cloud.project.run("web")
    assert second.code == 6, str(second)
    held = WHERE.format(run=going.folder().name, pid=going.process.pid)
    assert re.search(held, second.out), str(second)
    assert second.result["stop_reason"] == "locked"
    for command in (("down", "web", "--confirm", "staging"), ("rollback", "web")):
        refused = cloud.project.loopctl(*command)
        assert refused.code == 6, str(refused)
        assert going.folder().name in refused.err
    assert (cloud.revisions(), len(cloud.writes())) == (revisions, writes)
    ended = released(cloud, going)
    assert ended.code == 0, str(ended)
    assert met_by_users(ended.stable_url) == ended.service("web")["revision"]
    assert cloud.lease() is None


@pytest.mark.slow
@pytest.mark.parametrize("new", [False, True], ids=["there", "new"])
@pytest.mark.parametrize("attempt", range(2))
def test_of_runs_that_begin_at_the_same_time_one_alone_deploys(
    tmp_path: Path, new: bool, attempt: int
) -> None:
    with cloud_opened(tmp_path) as cloud:
        if not new:
            cloud.green()
        made = len(cloud.revisions())
        cloud.loop(prelude=f"# {attempt}\n")
        goings = [cloud.project.start("run", "web", "-q") for _ in range(3)]
        runs = sorted((going.end() for going in goings), key=lambda ran: ran.code)
        first, *others = runs
        assert first.code == 0, str(first)
        assert len(cloud.revisions()) == made + 1
        assert cloud.serves() == [(cloud.revisions()[-1], 100, "")]
        # Whoever met the service's making without a lease on it to read is told that it moved.
        assert {each.code for each in others} <= ({3, 6} if new else {6}), str(others)
        assert cloud.lease() is None


@pytest.mark.slow
def test_who_is_robbed_is_named_first_and_changes_nothing_after(cloud: CloudProject) -> None:
    serves = cloud.serves()
    going = waiting(cloud.project)
    asked = cloud.project.loopctl("unlock", "web")
    assert asked.code == 2, str(asked)
    assert going.folder().name in asked.err
    assert f"process {going.process.pid}" in asked.err
    assert "--confirm staging" in asked.err
    assert (cloud.lease() or {})["run"] == going.folder().name

    robbed = cloud.project.loopctl("unlock", "web", "--confirm", "staging")
    assert robbed.code == 0, str(robbed)
    assert f"taken from run {going.folder().name}" in robbed.out
    writes = len(cloud.writes())
    ended = released(cloud, going)
    assert ended.code == 3, str(ended)
    assert ended.result["stop_reason"] == "environment-moved"
    assert "environment.moved" in ended.line("LIKELY CAUSE"), str(ended)
    assert "lease" in ended.line("FAILED"), str(ended)
    assert len(cloud.writes()) == writes, "it has written since"
    assert [row for row in cloud.serves() if row[1]] == serves
    cloud.loop(prelude="# once more\n")
    again = cloud.project.run("web")
    assert again.code == 0, str(again)
    assert cloud.serves() == [(again.service("web")["revision"], 100, "")]


def traffic(service: ServicePb) -> None:
    """`gcloud run services update-traffic --to-latest`."""
    del service.traffic[:]
    service.traffic.add(type_=1, percent=100)


def template(service: ServicePb) -> None:
    """`gcloud run services update --update-env-vars`."""
    service.template.revision = ""
    service.template.containers[0].env.add(name="BY_HAND", value="1")


def labels(service: ServicePb) -> None:
    """`gcloud run services update --update-labels`."""
    service.labels["team"] = "them"


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [template, *(pytest.param(each, marks=pytest.mark.slow) for each in (traffic, labels))],
)
def test_what_a_stranger_changes_meanwhile_is_not_touched(
    cloud: CloudProject, change: Callable[[ServicePb], None]
) -> None:
    going = waiting(cloud.project)
    by_hand(cloud, change)
    left, writes = cloud.service(), len(cloud.writes())
    ended = released(cloud, going)
    assert ended.code == 3, str(ended)
    assert ended.result["stop_reason"] == "environment-moved"
    assert "settle" not in ended.stages()
    assert of_kind(ended.run, "traffic.routed") == []
    now = cloud.service()
    assert list(now.traffic) == list(left.traffic)
    assert now.template == left.template
    assert dict(now.labels) == dict(left.labels)
    # Only its own note goes: the lease that it had.
    sent = sent_to(cloud.emulator, "UpdateService")[-1]
    assert len(cloud.writes()) == writes + 1
    assert list(sent.update_mask.paths) == ["annotations"]
    assert LEASE not in now.annotations


def by_hand(cloud: CloudProject, change: Callable[[ServicePb], None]) -> None:
    """Somebody changes the service with another client, and it has come to rest again."""
    service = cloud.service()
    change(service)
    service.etag = ""
    with grpc.insecure_channel(cloud.emulator.grpc_endpoint.removeprefix("http://")) as channel:
        client = run_v2.ServicesClient(transport=ServicesGrpcTransport(channel=channel))
        done = client.update_service(service=run_v2.Service.wrap(service))
    operations = cloud.emulator.state.operations
    assert cloud.emulator.state.wait_until(lambda: operations[done.operation.name].done, 20)


def released(cloud: CloudProject, going: Going) -> Any:
    """The end of a run that was waiting."""
    let_go(cloud.project)
    return going.end()


TELLS = "print('the key is', os.environ['WEB_KEY'], flush=True)\n"
DIES = "sys.exit('bad key ' + os.environ['WEB_KEY'])\n"


@pytest.mark.parametrize(
    ("prelude", "code"), [(DIES, 5), pytest.param(TELLS, 0, marks=pytest.mark.slow)]
)
def test_a_secret_is_in_no_request_and_in_no_file(tmp_path: Path, prelude: str, code: int) -> None:
    """Not even where the service itself writes it down: here loopctl knows its value too."""
    secret = {"secret": "web-key:latest", "value": "${WEB_KEY_LOCAL}"}
    with cloud_opened(tmp_path) as cloud:
        cloud.loop(prelude=prelude, run={"secrets": {"WEB_KEY": secret}})
        ran = cloud.project.run("web", env={"WEB_KEY_LOCAL": SECRET})
        assert ran.code == code, str(ran)
        assert any(SECRET in text for text in logged(cloud)), "the service has not told it"
        for form in (SECRET, base64.b64encode(SECRET.encode()).decode().rstrip("=")):
            assert form not in ran.out + ran.err
            assert not [each for each in cloud.emulator.calls if form in str(each.request)]
            for file in cloud.project.runs_dir.rglob("*"):
                assert not file.is_file() or form.encode() not in file.read_bytes(), file


def logged(cloud: CloudProject) -> list[str]:
    """The texts of all entries that were ever written."""
    rows = cloud.emulator.logs.rows(0, 2**63 - 1)
    return [str(Entry.FromString(row.data).text_payload) for row in rows]
