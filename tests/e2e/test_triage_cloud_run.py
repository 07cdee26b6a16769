"""`triage LOOP` on Cloud Run: no call of it writes, and what is not told is said to be unknown."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cloud_run_project import CloudProject, cloud_opened, sent_to
from rig import until
from triage_rig import causes, labelled, told, triage

from emulator import log_faults as of_logs
from emulator.faults import permission_denied

DIES = "print('no DATABASE_URL, giving up', file=sys.stderr)\nsys.exit(3)\n"
RAISES = """
def through(self):
    try:
        return chart(1, colour=2)
    except TypeError:
        import traceback; traceback.print_exc(); sys.stderr.flush()
        self.send_response(500); self.send_header("Content-Length", "0"); self.end_headers()
        raise
def chart(values): return values
Handler.answer = through
"""
FAILS = "def test_it_answers():\n    assert 'good' in ask('/through')\n"
WRITES = ("Create", "Update", "Delete", "Replace", "Set", "Write")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProject]:
    """A project with a green run, and a newer revision that failed to start."""
    with cloud_opened(tmp_path_factory.mktemp("triage")) as cloud:
        cloud.green()
        cloud.loop(prelude=DIES)
        assert cloud.project.run("web").code == 5
        yield cloud


@pytest.fixture
def cloud(shared: CloudProject) -> Iterator[CloudProject]:
    """It; a test that writes anything to it fails."""
    calls, runs = len(shared.emulator.calls), shared.project.run_folders()
    state = shared.service()
    yield shared
    shared.emulator.faults.clear()
    shared.emulator.log_faults.clear()
    methods = {each.method for each in shared.emulator.calls[calls:]}
    assert not [method for method in methods if method.startswith(WRITES)], methods
    assert shared.service() == state
    assert shared.project.run_folders() == runs


def only(document: dict[str, Any]) -> dict[str, Any]:
    (service,) = document["services"]
    return dict(service)


def test_a_revision_that_failed_to_start_is_told_while_the_old_one_serves(
    cloud: CloudProject,
) -> None:
    assert cloud.before is not None
    serves = cloud.before.service("web")["revision"]
    ran = triage(cloud.project)
    assert ran.code == 1, str(ran)
    assert ran.first_line.startswith(f"USERS: web: {serves} 100 %"), str(ran)
    assert ", verified, healthy" in ran.first_line, str(ran)
    (failed,) = labelled(ran, "FAILED")
    assert "exit code 3" in failed, str(ran)
    assert "which takes no traffic" in failed, str(ran)
    assert "deploy.exit-code" in ran.line("LIKELY CAUSE"), str(ran)
    assert "no DATABASE_URL, giving up" in ran.out, str(ran)
    (by_hand, *_) = labelled(ran, "NEXT")
    assert by_hand.startswith("gcloud logging read 'resource.type="), str(ran)
    assert "rollback" not in ran.out.partition("\n\n")[0].partition("NEXT")[2], str(ran)


@pytest.mark.slow
def test_logs_that_may_not_be_read_leave_the_rest_to_be_told(cloud: CloudProject) -> None:
    cloud.emulator.log_faults.next("list", of_logs.permission_denied("p"), 1000)
    ran = triage(cloud.project)
    assert ran.code == 1, str(ran)
    assert "logging.logEntries.list" in ran.line("UNKNOWN"), str(ran)
    assert "did not listen on the port" in ran.out, "the condition tells that much"
    assert any(line.startswith("loopctl doctor web") for line in labelled(ran, "NEXT")), str(ran)


@pytest.mark.slow
def test_an_account_that_may_not_look_is_told_what_it_lacks(cloud: CloudProject) -> None:
    denied = permission_denied("run.services.get", "web")
    cloud.emulator.faults.on("GetService", denied, times=None)
    ran = triage(cloud.project)
    assert ran.first_line == "USERS: web: unknown", str(ran)
    assert "run.services.get" in labelled(ran, "UNKNOWN")[0], str(ran)
    assert ran.code == 1, "its logs may be read, and they tell of the one that failed"
    assert "exit code 3" in ran.line("LIKELY CAUSE"), str(ran)


@pytest.mark.slow
def test_watching_leaves_the_quota_of_the_logs_to_others(cloud: CloudProject) -> None:
    going = cloud.project.start("triage", "web", "--watch", "--every", "1s", "--json")
    assert going.process.stdout is not None
    assert json.loads(going.process.stdout.readline())["exit_code"] == 1
    read, asked = (len(sent_to(cloud.emulator, m)) for m in ("ListLogEntries", "ListRevisions"))
    until(lambda: len(sent_to(cloud.emulator, "ListRevisions")) >= asked + 3)
    assert len(sent_to(cloud.emulator, "ListLogEntries")) == read
    going.signal(signal.SIGINT)
    assert going.end().code == 130


@pytest.mark.slow
def test_errors_in_a_healthy_service_are_traced_to_the_line_that_raises(tmp_path: Path) -> None:
    with cloud_opened(tmp_path) as cloud:
        good = cloud.green().service("web")["revision"]
        cloud.loop(prelude=RAISES, tests=FAILS, strategy="direct")
        kept = cloud.project.run("web", "--keep", "--remediate", "off")
        assert kept.code == 1, str(kept)
        document = told(cloud.project)
        assert document["exit_code"] == 1
        assert only(document)["state"] == "healthy"
        assert only(document)["verified"] == {kept.service("web")["revision"]: False}
        assert causes(document)[0] == "service.interface-changed", document["findings"]
        assert document["next"][0] == "loopctl rollback web --env staging"
        changed = {change["kind"]: change["what"] for change in only(document)["changes"]}
        assert changed["traffic"] == good
        assert changed["image"] in (kept.service("web")["revision"], "image")


@pytest.mark.slow
def test_an_endpoint_that_does_not_answer_is_unknown_and_not_waited_for(tmp_path: Path) -> None:
    with cloud_opened(tmp_path) as cloud, socket.create_server(("127.0.0.1", 0)) as silent:
        cloud.loop(place={"endpoint": f"http://127.0.0.1:{silent.getsockname()[1]}"})
        ran = triage(cloud.project, "--json")
        document = ran.document()
        assert ran.code == 3, str(ran)
        assert only(document)["state"] == "unknown"
        assert "no answer in time" in only(document)["faults"][0]["summary"], str(ran)
        assert "loopctl doctor web --env staging" in document["next"]
        assert cloud.emulator.calls == []


@pytest.mark.slow
def test_a_look_that_somebody_ends_ends_at_once(tmp_path: Path) -> None:
    with cloud_opened(tmp_path) as cloud, socket.create_server(("127.0.0.1", 0)) as silent:
        cloud.loop(place={"endpoint": f"http://127.0.0.1:{silent.getsockname()[1]}"})
        going = cloud.project.start("triage", "web")
        silent.accept()[0].close()
        going.signal(signal.SIGINT)
        ended = going.end()
        assert ended.code == 130, str(ended)
        assert "stopped by SIGINT" in ended.err
