"""Every trouble of Cloud Run ends with its exit code, its cause, what mends it, and users unharmed.

The texts and errors are those of facts/cloud-run.md sections 2.3, 2.4 and 7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from cloud_run_project import CloudProject, Serving, Transport, cloud_opened
from rig import Ran, until

from emulator import log_faults as of_logs
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
from emulator.rpc import RpcFault

Arrange = Callable[[CloudProject], object]
SA = "runner@p.iam.gserviceaccount.com"
KEY = {"WEB_KEY": {"secret": "web-key:latest"}}


def nothing(_: CloudProject) -> None:
    """All that is wrong stands in the loop."""


def deploys(trouble: DeployTrouble) -> Arrange:
    """The next revision fails so."""
    return lambda cloud: cloud.emulator.faults.on_deploy(trouble, service="web")


def calls(method: str, *faults: Fault | RpcFault | Drop, times: int | None = 1) -> Arrange:
    """The next calls of a method end so, one after the other."""

    def arrange(cloud: CloudProject) -> None:
        for fault in faults:
            cloud.emulator.faults.on(method, fault, times=times)

    return arrange


def reading_logs(fault: of_logs.LogFault, times: int = 1000) -> Arrange:
    return lambda cloud: cloud.emulator.log_faults.next("list", fault, times)


FINE = Fault()
"""For a call that comes before the one that is meant: that of the lease."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """`says`: what stands on the screen, the cause and what mends it, each in one line of it.

    `known`: the signature of the likely cause, empty where that is not what it is about.
    """

    name: str
    code: int
    says: tuple[str, ...]
    arrange: Arrange = nothing
    loop: Mapping[str, Any] = field(default_factory=dict)
    quick: bool = False
    known: str = ""


DIES = "print('no DATABASE_URL, giving up', file=sys.stderr)\nsys.exit(3)\n"
PROBE = {"startupProbe": {"httpGet": {"path": "/up"}, "periodSeconds": 1, "failureThreshold": 3}}
FRAGMENT = {"template": {"containers": [{"name": "", **PROBE}]}}

DEPLOYS = (
    Trouble(
        "exit-3", 5, ("exit code 3", "deploy.exit-code", "no DATABASE_URL, giving up"),
        loop={"prelude": DIES}, quick=True,
        known="deploy.exit-code",
    ),
    Trouble(
        "wrong-port", 5, ("did not listen on the port", "0.0.0.0:$PORT"),
        loop={"prelude": "os.environ['PORT'] = '0'\n"},
        known="health.never-ready",
    ),
    Trouble("never-ready", 5, ("503",),
        loop={"prelude": "STATUS = 503\n", "health": {"timeout": "2s"}},
        known="health.never-ready",
    ),
    Trouble(
        "out-of-memory", 5, ("Memory limit of 64 MiB exceeded",),
        loop={"prelude": "hog = b'x' * (200 << 20)\ntime.sleep(30)\n", "run": {"memory": "64Mi"}},
        known="deploy.out-of-memory",
    ),
    Trouble(
        "image-absent", 5, ("is not in the registry", "gcloud artifacts docker images describe"),
        loop={"image": f"registry.example.test/apps/web@sha256:{'0' * 64}"},
        quick=True,
        known="platform.image-missing",
    ),
    Trouble(
        "image-denied", 5, ("may not read the image", "roles/artifactregistry.reader"),
        deploys(DeployTrouble.IMAGE_DENIED),
        known="platform.permission-denied",
    ),
    Trouble(
        "secret-absent", 5, ("version latest of the secret no-such-key", "gcloud secrets versions"),
        loop={"run": {"secrets": {"WEB_KEY": {"secret": "no-such-key:latest"}}}},
        known="platform.secret-denied",
    ),
    Trouble(
        "secret-denied", 5, ("may not read the secret web-key", "secretmanager.secretAccessor"),
        deploys(DeployTrouble.SECRET_DENIED), {"run": {"secrets": KEY}},
        known="platform.secret-denied",
    ),
    Trouble(
        "cpu-quota", 5, ("quota of CPU", "max_instances"), deploys(DeployTrouble.CPU_QUOTA),
        known="platform.quota",
    ),
    Trouble(
        "max-scale", 5, ("at most 83 instances", "run.max_instances to 83"),
        deploys(DeployTrouble.MAX_SCALE),
        known="platform.quota",
    ),
    Trouble(
        "act-as", 5, (f"may not act as {SA}", "roles/iam.serviceAccountUser"),
        calls("UpdateService", FINE, act_as_denied(SA)),
        known="platform.permission-denied",
    ),
    Trouble(
        "api-disabled-meanwhile", 5, ("Cloud Run Admin API is not enabled",),
        calls("UpdateService", FINE, api_disabled(77)), known="platform.refused",
    ),
)  # fmt: skip

PREFLIGHT = (
    Trouble(
        "act-as-for-the-lease", 4, (f"may not act as {SA}", "roles/iam.serviceAccountUser"),
        calls("UpdateService", act_as_denied(SA), times=None),
    ),
    Trouble(
        "get-denied", 4, ("lacks the permission run.services.get", "roles/run.developer"),
        calls("GetService", permission_denied("run.services.get", "web"), times=None), quick=True,
    ),
    Trouble(
        "api-disabled", 4, ("Cloud Run Admin API is not enabled", "gcloud services enable"),
        calls("*", api_disabled(77), times=None),
    ),
    Trouble(
        "wrong-region", 4, ("the region europe-west1 does not offer this", "gcloud run regions"),
        loop={"place": {"region": "europe-west1"}},
    ),
    Trouble(
        "logs-denied", 4, ("logging.logEntries.list", "roles/logging.viewer"),
        reading_logs(of_logs.permission_denied("p")),
    ),
    Trouble(
        "log-api-disabled", 4, ("Cloud Logging API is not enabled", "gcloud services enable"),
        reading_logs(of_logs.service_disabled("77")),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProject]:
    """A project with a green run, which serves all the time."""
    with cloud_opened(tmp_path_factory.mktemp("faults")) as cloud:
        cloud.green()
        yield cloud


@pytest.fixture
def cloud(shared: CloudProject) -> Iterator[CloudProject]:
    """It, with nothing that goes wrong yet; after the test all is as it was."""
    yield shared
    shared.emulator.faults.clear()
    shared.emulator.log_faults.clear()
    shared.transport = "grpc"
    Serving.of(shared).holds()


def parameters(*troubles: Trouble) -> list[object]:
    """All but the most telling are slow."""
    return [
        pytest.param(each, id=each.name, marks=() if each.quick else pytest.mark.slow)
        for each in troubles
    ]


def told(ran: Ran, trouble: Trouble) -> None:
    """The code, and cause and remedy on the first screen."""
    assert ran.code == trouble.code, str(ran)
    for words in trouble.says:
        assert words in ran.out, f"{words!r} is not in\n{ran}"
    if trouble.known:
        assert trouble.known in ran.line("LIKELY CAUSE"), str(ran)


@pytest.mark.parametrize("trouble", parameters(*DEPLOYS))
def test_a_revision_that_cannot_be_leaves_users_what_they_had(
    cloud: CloudProject, trouble: Trouble
) -> None:
    before = Serving.of(cloud)
    cloud.loop(**trouble.loop)
    trouble.arrange(cloud)
    ran = cloud.project.run("web")
    told(ran, trouble)
    before.told(ran)


ASKS_ON = """
def test_it_is_there_again_and_again():
    for _ in range(100):
        assert 'healthy' in ask()
        time.sleep(0.05)
"""


@pytest.mark.slow
def test_requests_that_find_no_instance_are_told_apart_from_errors_of_the_service(
    cloud: CloudProject,
) -> None:
    before = Serving.of(cloud)
    cloud.loop(prelude="# crowded\n", tests=ASKS_ON)
    going = cloud.project.start("run", "web", "-q", "--remediate", "off")
    until(lambda: cloud.was_asked("/hello"))
    cloud.emulator.faults.no_instance.add("web")
    ran = going.end()
    cloud.emulator.faults.clear()
    assert ran.code == 1, str(ran)
    assert "platform.no-instance" in ran.line("LIKELY CAUSE"), str(ran)
    before.told(ran)


@pytest.mark.parametrize("trouble", parameters(*PREFLIGHT))
def test_what_is_missing_is_named_before_anything_is_changed(
    cloud: CloudProject, trouble: Trouble
) -> None:
    before = Serving.of(cloud)
    made = cloud.revisions()
    cloud.loop(**trouble.loop)
    trouble.arrange(cloud)
    ran = cloud.project.run("web")
    told(ran, trouble)
    cloud.emulator.faults.clear()
    before.holds()
    assert cloud.revisions() == made


def forbid_operations(cloud: CloudProject) -> None:
    """Nobody may ask how far a change is."""
    for method in ("WaitOperation", "GetOperation"):
        calls(method, permission_denied("run.operations.get", "o"), times=None)(cloud)


AWAY = unavailable()
PASSING = (
    Trouble("unavailable", 0, (), calls("*", AWAY, times=3)),
    Trouble(
        "lost-answers", 0, (),
        calls("UpdateService", *(Fault(deadline_exceeded(), after=True) for _ in range(3))),
        quick=True,
    ),
    Trouble("unavailable-write", 0, (), calls("UpdateService", AWAY, FINE, AWAY)),
    Trouble("late-reads", 0, (), calls("GetService", deadline_exceeded(), times=3)),
    Trouble("conflicts", 0, (), calls("UpdateService", aborted("web"), times=2)),
    Trouble(
        "conflicts-later", 0, (), calls("UpdateService", FINE, aborted("web"), aborted("web")),
    ),
    Trouble("quota-of-writes", 0, (), calls("UpdateService", FINE, quota_exceeded())),
    Trouble("quota-of-reads", 0, (), calls("GetService", quota_exceeded(), times=2)),
    Trouble("dropped", 0, (), calls("GetService", Drop(), times=2)),
    Trouble(
        "dropped-answers", 0, (), calls("UpdateService", FINE, Fault(Drop(), after=True)),
    ),
    Trouble("no-operations", 0, (), forbid_operations),
    Trouble("logs-away", 0, (), reading_logs(of_logs.unavailable(), 3)),
    Trouble("logs-dropped", 0, (), reading_logs(of_logs.dropped(), 3)),
)  # fmt: skip


def by_both(*troubles: Trouble) -> Iterator[object]:
    """Each over both transports; the quick ones take turns, the other way is slow."""
    for number, each in enumerate(troubles):
        for transport in ("rest", "grpc"):
            is_turn = transport == ("rest", "grpc")[number % 2]
            marks = () if each.quick and is_turn else pytest.mark.slow
            yield pytest.param(each, transport, id=f"{each.name}-{transport}", marks=marks)


@pytest.mark.parametrize(("trouble", "transport"), [*by_both(*PASSING)])
def test_what_passes_is_waited_for_and_done_once(
    cloud: CloudProject, trouble: Trouble, transport: Transport
) -> None:
    cloud.transport = transport
    made = cloud.revisions()
    cloud.loop(prelude=f"# {trouble.name}\n")
    trouble.arrange(cloud)
    ran = cloud.project.run("web")
    told(ran, trouble)
    cloud.before = ran
    assert_done_once(cloud, made)


def assert_done_once(cloud: CloudProject, made: list[str]) -> None:
    """The run has made one revision, whatever it had to send again, and it is all that serves."""
    assert cloud.before is not None
    new = cloud.before.service("web")["revision"]
    assert cloud.revisions() == [*made, new]
    Serving.of(cloud).holds()


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_an_operation_that_is_stuck_is_not_waited_for_for_ever(
    cloud: CloudProject, transport: Transport
) -> None:
    before = Serving.of(cloud)
    cloud.transport = transport
    cloud.loop(prelude="# stuck\n", health={"timeout": "4s"})
    calls("UpdateService", FINE, Fault(stuck=True))(cloud)
    ran = cloud.project.run("web")
    assert ran.code == 5, str(ran)
    assert "within 4 s" in ran.line("FAILED"), str(ran)
    before.told(ran)


def test_names_that_are_too_long_are_refused_before_anything_is_sent(cloud: CloudProject) -> None:
    sent = len(cloud.emulator.calls)
    long = "a-service-whose-name-leaves-no-room-for-a-tag"
    cloud.loop(name=long)
    ran = cloud.project.run("web")
    assert ran.code == 2, str(ran)
    assert "web.yaml:" in ran.err
    assert "together are too long: Cloud Run takes 46" in ran.err, str(ran)
    assert "strategy: direct" in ran.err, str(ran)
    assert len(cloud.emulator.calls) == sent


@pytest.mark.slow
def test_without_credentials_nothing_is_asked(cloud: CloudProject) -> None:
    """A door with TLS wants to know who asks, and here nobody is logged in."""
    door = cloud.endpoint.replace("http:", "https:")
    cloud.loop(place={"endpoint": door})
    ran = cloud.project.run("web", env={"NO_GCE_CHECK": "true"})
    assert ran.code == 4, str(ran)
    assert "no usable Google credentials" in ran.out, str(ran)
    assert "gcloud auth application-default login" in ran.out, str(ran)


def test_a_health_path_that_google_keeps_is_refused(cloud: CloudProject) -> None:
    cloud.loop(health={"path": "/healthz"})
    ran = cloud.project.run("web")
    assert ran.code == 2, str(ran)
    assert "/healthz" in ran.err, str(ran)


@pytest.mark.slow
def test_a_private_service_is_not_met_and_its_mending_is_named(cloud: CloudProject) -> None:
    before = Serving.of(cloud)
    cloud.emulator.make_private("web")
    try:
        cloud.loop()
        ran = cloud.project.run("web")
    finally:
        cloud.emulator.state.invokers.clear()
    assert ran.code == 4, str(ran)
    assert "403" in ran.out, str(ran)
    assert "auth:" in ran.out or "gcloud run services add-iam-policy-binding" in ran.out, str(ran)
    before.holds()


@pytest.mark.slow
def test_a_quota_of_log_reads_that_others_use_up_is_told_and_costs_no_green(
    cloud: CloudProject,
) -> None:
    cloud.loop(prelude="# quota\n")
    cloud.emulator.read_quota.limit = 3
    try:
        ran = cloud.project.run("web", timeout=400)
    finally:
        cloud.emulator.read_quota.limit = 100_000
    assert ran.code == 0, str(ran)
    cloud.before = ran
