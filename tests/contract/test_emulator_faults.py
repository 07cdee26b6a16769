"""The emulator's troubles on demand, and that nothing of it is left behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from emulator_rig import PARENT, Asker, asking, emulating, fetch, message, pinned, service, short
from google.api_core.exceptions import (
    DeadlineExceeded,
    Forbidden,
    GatewayTimeout,
    GoogleAPICallError,
    NotFound,
    ResourceExhausted,
    ServiceUnavailable,
    TooManyRequests,
)
from google.cloud import run_v2
from google.rpc import error_details_pb2

from emulator.faults import (
    DeployTrouble,
    Drop,
    Fault,
    aborted,
    act_as_denied,
    api_disabled,
    deadline_exceeded,
    permission_denied,
    quota_exceeded,
    unavailable,
)
from emulator.server import Emulator
from loopctl.process_table import is_running


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with emulating() as running:
        yield running


@pytest.fixture(params=["grpc", "rest"])
def api(request: pytest.FixtureRequest, emulator: Emulator) -> Iterator[Asker]:
    with asking(emulator, request.param) as asker:
        yield asker


# --- calls ---


def test_a_call_fails_as_often_as_it_was_told_to(emulator: Emulator, api: Asker) -> None:
    emulator.faults.on("CreateService", unavailable(), times=2)
    for _ in range(2):
        with pytest.raises(ServiceUnavailable):
            api.create("chat")
    api.created("chat")


def test_a_call_fails_until_that_is_over(emulator: Emulator, api: Asker) -> None:
    emulator.faults.on("DeleteService", deadline_exceeded(), times=None)
    api.created("chat")
    for _ in range(3):
        with pytest.raises((DeadlineExceeded, GatewayTimeout)):
            api.services.delete_service(name=api.get("chat").name)
    emulator.faults.clear("DeleteService")
    api.result(api.services.delete_service(name=api.get("chat").name))


def test_an_outcome_may_be_unknown(emulator: Emulator, api: Asker) -> None:
    emulator.faults.on("CreateService", Fault(unavailable(), after=True))
    with pytest.raises(ServiceUnavailable):
        api.create("chat")
    assert emulator.state.wait_until(lambda: bool(emulator.state.service("chat").uri), 10)
    assert api.get("chat").latest_ready_revision


@pytest.mark.parametrize("after", [False, True])
def test_a_connection_may_be_cut(emulator: Emulator, api: Asker, after: bool) -> None:
    emulator.faults.on("CreateService", Fault(Drop(), after=after))
    with pytest.raises((ServiceUnavailable, OSError)):
        api.create("chat")
    if after:
        assert api.get("chat").name
    else:
        with pytest.raises(NotFound):
            api.get("chat")


def test_a_quota_that_is_used_up_is_named(emulator: Emulator, api: Asker) -> None:
    emulator.faults.on("UpdateService", quota_exceeded())
    made = api.created("chat")
    with pytest.raises((ResourceExhausted, TooManyRequests)) as raised:
        api.update(made)
    assert "WriteRequestsPerMinutePerRegion" in str(raised.value.details)


def test_errors_have_their_details_over_grpc(emulator: Emulator) -> None:
    with asking(emulator, "grpc") as api:
        emulator.faults.on("GetService", api_disabled(7))
        with pytest.raises(Forbidden) as raised:
            api.get("chat")
    assert raised.value.reason == "SERVICE_DISABLED"
    assert isinstance(raised.value.details[0], error_details_pb2.ErrorInfo)
    assert raised.value.metadata["service"] == "run.googleapis.com"


def test_what_is_not_allowed_is_told(emulator: Emulator, api: Asker) -> None:
    emulator.faults.on("CreateService", act_as_denied("sa@p.iam.gserviceaccount.com"))
    emulator.faults.on("GetService", permission_denied("run.services.get", "chat"))
    with pytest.raises(Forbidden) as raised:
        api.create("chat")
    assert message(raised.value).startswith(
        "Permission 'iam.serviceaccounts.actAs' denied on service account sa@p.iam."
    )
    with pytest.raises(Forbidden, match="or resource may not exist"):
        api.get("chat")


def test_a_conflict_on_demand(emulator: Emulator, api: Asker) -> None:
    made = api.created("chat")
    emulator.faults.on("UpdateService", aborted("chat"))
    with pytest.raises(GoogleAPICallError) as raised:
        api.update(made)
    assert raised.value.code == 409
    assert api.get("chat").generation == 1


def test_a_slow_answer(emulator: Emulator, api: Asker) -> None:
    api.created("chat")
    emulator.faults.on("GetService", Fault(delay_s=0.3))
    began = time.monotonic()
    api.get("chat")
    assert time.monotonic() - began >= 0.3


def test_an_operation_that_never_ends(emulator: Emulator, api: Asker) -> None:
    first = api.created("chat")
    emulator.faults.on("UpdateService", Fault(stuck=True))
    stuck = api.update(service(name=first.name, env={"A": "1"}))
    assert not emulator.state.wait_until(
        lambda: emulator.state.operations[stuck.operation.name].done, 0.3
    )
    assert api.get("chat").reconciling
    after = api.updated(service(name=first.name, env={"A": "2"}))
    assert after.generation == after.observed_generation == 3


# --- deploys ---


@pytest.mark.parametrize(
    ("trouble", "text"),
    [
        (DeployTrouble.IMAGE_ABSENT, "' not found."),
        (DeployTrouble.IMAGE_DENIED, "must have permission to read the image, "),
        (DeployTrouble.CPU_QUOTA, "Quota exceeded for total allowable CPU per project per region."),
        (DeployTrouble.SECRET_DENIED, "Permission denied on secret: projects/"),
        (DeployTrouble.MAX_SCALE, "Invalid value specified for memory. For the specified value"),
    ],
)
def test_a_deploy_may_fail_in_each_of_the_known_ways(
    emulator: Emulator, trouble: DeployTrouble, text: str
) -> None:
    emulator.secrets["key"] = {"1": "k"}
    reference = {"secret_key_ref": {"secret": "key", "version": "latest"}}
    variables = {"env": [{"name": "KEY", "value_source": reference}]}
    emulator.faults.on_deploy(trouble)
    with asking(emulator, "grpc") as api:
        assert text in str(api.failure(api.create("chat", container=variables)).message)
        assert api.updated(service(name=api.get("chat").name)).uri


# --- changes that overtake each other ---


def test_a_newer_change_does_not_wait_for_one_that_hangs(api: Asker) -> None:
    first = api.created("chat")
    probe = {"timeout_seconds": 60, "period_seconds": 60, "failure_threshold": 1}
    deaf = {"startup_probe": {**probe, "tcp_socket": {}}}
    hangs = api.update(service(name=first.name, env={"DEAF": "1"}, container=deaf))
    newer = api.updated(service(name=first.name, env={"A": "1"}))
    assert (newer.generation, newer.observed_generation, newer.reconciling) == (3, 3, False)
    assert not api.emulator.state.operations[hangs.operation.name].done
    assert "is not ready" in api.failure(hangs).message
    after = api.get("chat")
    assert after.terminal_condition.state == run_v2.Condition.State.CONDITION_SUCCEEDED
    assert after.latest_ready_revision == newer.latest_ready_revision
    assert fetch(after.uri).text.startswith(short(newer.latest_ready_revision))


def test_a_service_is_deleted_while_its_first_deploy_hangs(api: Asker) -> None:
    hangs = api.create("chat", env={"DEAF": "1"})
    api.result(api.services.delete_service(name=f"{PARENT}/services/chat"))
    assert "was deleted" in api.failure(hangs).message


@pytest.mark.parametrize("lingering", [False, True])
def test_traffic_moves_after_a_failed_deploy_whether_or_not_that_lingers(lingering: bool) -> None:
    with emulating(lingering=lingering) as emulator, asking(emulator, "grpc") as api:
        api.created("chat", template={"revision": "chat-one"})
        api.failure(api.update(service(name=f"{PARENT}/services/chat", env={"EXIT": "1"})))
        rows = [pinned("chat-one", 100, "old")]
        change = run_v2.Service(name=f"{PARENT}/services/chat", traffic=rows)
        operation = api.update(change, "traffic")
        if lingering:
            assert "is not ready and cannot serve traffic" in api.failure(operation).message
        else:
            api.result(operation)
        after = api.get("chat")
        assert [row.tag for row in after.traffic_statuses] == ["old"]
        assert (after.generation, after.observed_generation) == (3, 3)
        ready = after.terminal_condition.state == run_v2.Condition.State.CONDITION_SUCCEEDED
        assert ready is not lingering


# --- the end ---


def test_nothing_of_an_emulator_is_left() -> None:
    before = set(threading.enumerate())
    with emulating() as emulator, asking(emulator, "grpc") as api:
        made = api.created("chat", template={"revision": "chat-one"})
        tagged = api.routed("chat", pinned("chat-one", 100, "now")).traffic_statuses[0].uri
        pid = _pid_of(emulator)
        api.create("deaf", env={"DEAF": "1"})  # its probe would take 6 s
        api.create("slow", template={"revision": "slow-one"})
        ports = [urlsplit(url).port or 0 for url in (made.uri, tagged, *_endpoints(emulator))]
        with socket.create_connection(("127.0.0.1", ports[0])) as waiting:
            waiting.sendall(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
            began = time.monotonic()
            emulator.close()
            assert time.monotonic() - began < 5
    assert not is_running(pid)
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1)
    left = [thread.name for thread in set(threading.enumerate()) - before]
    assert [name for name in left if name.startswith("emulator")] == []


def test_it_runs_by_itself_until_it_is_asked_to_end() -> None:
    command = [sys.executable, "-m", "emulator", "--runtime", "process"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = dict(process.stdout.readline().split() for _ in range(2))
        assert set(told) == {"gRPC", "REST"}
        listed = fetch(f"{told['REST']}/v2/projects/p/locations/us-central1/services")
        assert (listed.status_code, listed.json()) == (200, {})
        process.terminate()
        assert process.wait(10) == 0


def _endpoints(emulator: Emulator) -> list[str]:
    return [emulator.grpc_endpoint, emulator.rest_endpoint]


def _pid_of(emulator: Emulator) -> int:
    return int(fetch(f"{emulator.state.service('chat').uri}/pid").text)
