"""What `doctor` finds on Cloud Run, over either transport; everything that is wrong at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import grpc  # type: ignore[import-untyped]
import pytest
from emulator_rig import asking, emulating
from platform_rig import environment
from token_server import ACCOUNT, TokenServer, token_server

from emulator.faults import api_disabled, permission_denied
from emulator.rpc import RpcFault
from emulator.server import Emulator
from loopctl.found import Found
from loopctl.model.artifact import Target
from loopctl.model.plan import (
    BuildSpec,
    CloudRunPlace,
    Environment,
    HealthSpec,
    PlatformKind,
    RunSpec,
    SecretSpec,
    ServiceSpec,
)
from loopctl.platforms.cloud_run.api import Api
from loopctl.platforms.cloud_run.clients import Clients
from loopctl.platforms.cloud_run.leases import AnnotationLeases
from loopctl.platforms.cloud_run.names import Names
from loopctl.platforms.cloud_run.other_apis import OtherApis
from loopctl.platforms.cloud_run.secret_versions import absent_secrets
from loopctl.platforms.cloud_run.server_clock import AskedClock
from loopctl.platforms.cloud_run.site import checkup
from loopctl.platforms.cloud_run.who_asks import who_asks
from loopctl.process import Stop

Transport = Literal["grpc", "rest"]
IMAGE = f"registry.example.test/chat@sha256:{'0' * 64}"
DEPLOYER = "deployer@shop.iam.gserviceaccount.com"
BOTH = pytest.mark.parametrize("transport", ["grpc", "rest"])


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """One without services, that keeps a secret `key` in two versions."""
    with emulating() as running:
        running.secrets["key"] = {"1": "old", "2": "new"}
        yield running


def place(emulator: Emulator, transport: Transport = "rest", **given: Any) -> CloudRunPlace:
    rest = transport == "rest"
    door = emulator.rest_endpoint if rest else emulator.grpc_endpoint
    return CloudRunPlace("p", "us-central1", **{"endpoint": door, "transport": transport, **given})


def a_service(name: str = "chat", image: str | None = IMAGE, *secrets: str) -> ServiceSpec:
    refers = tuple(SecretSpec(f"S{n}", reference=each) for n, each in enumerate(secrets))
    run = RunSpec(secrets=refers)
    return ServiceSpec(name, BuildSpec("docker"), run, HealthSpec(), image=image)


def looked(where: CloudRunPlace, *specs: ServiceSpec) -> dict[str, Found]:
    staging = Environment("staging", PlatformKind.CLOUD_RUN, cloud_run=where)
    found = checkup(staging, None, specs or (a_service(),), Stop(60))
    assert len({each.name for each in found}) == len(found), found
    return {each.name: each for each in found}


def missing(found: dict[str, Found]) -> dict[str, str]:
    return {name: each.hint or "" for name, each in found.items() if not each.ok}


@BOTH
def test_an_environment_that_lacks_nothing_says_what_it_has(
    emulator: Emulator, transport: Transport
) -> None:
    with asking(emulator, transport) as api:
        made = api.created("chat")
    writes = len(emulator.calls)
    found = looked(place(emulator, transport), a_service("chat"), a_service("new"))
    assert missing(found) == {}
    assert found["region us-central1"].known
    assert found["service chat"].said == f"{made.latest_ready_revision.rpartition('/')[2]} 100 %"
    assert found["service new"].said.startswith("is not there yet")
    assert found["permissions on chat"].said == "run.services.get and run.services.update"
    assert found["permissions on new"].said == "run.services.get and run.services.create"
    assert found["lease of chat"].said == "nobody holds it"
    assert found["Cloud Logging API"].known
    assert found["log reads"].said.startswith("60 a minute")
    changing = ("Create", "Update", "Delete", "Write")
    assert not [each for each in emulator.calls[writes:] if each.method.startswith(changing)]


@BOTH
def test_all_that_is_wrong_is_told_at_once(emulator: Emulator, transport: Transport) -> None:
    with asking(emulator, transport) as api:
        api.created("chat")
    emulator.faults.lacking.add("run.services.update")
    off = api_disabled(77, "logging.googleapis.com")
    emulator.faults.on("ListLogEntries", off, times=None)
    long = "a-service-whose-name-leaves-no-room-for-a-tag"
    nowhere = place(emulator, transport, repository="127.0.0.1:9/apps")
    found = looked(nowhere, a_service("chat", None), a_service(long))
    assert {name: hint.partition(" --")[0] for name, hint in missing(found).items()} == {
        f"service {long}": "take a name of at most 38, or strategy: direct",
        "permissions on chat": "gcloud projects add-iam-policy-binding p",
        "Cloud Logging API": "gcloud services enable logging.googleapis.com",
        "registry": "mend `repository` of this environment",
    }
    assert "127.0.0.1:9/apps does not answer" in found["registry"].said


@BOTH
def test_an_api_that_is_off_is_told_once_for_all_services(
    emulator: Emulator, transport: Transport
) -> None:
    emulator.faults.on("GetService", api_disabled(77), times=None)
    found = looked(place(emulator, transport), a_service("chat"), a_service("pay"))
    assert missing(found) == {
        "Cloud Run API": "gcloud services enable run.googleapis.com --project=p"
    }


@BOTH
def test_who_may_not_look_is_told_the_role(emulator: Emulator, transport: Transport) -> None:
    emulator.faults.on("GetService", permission_denied("run.services.get", "x"), times=None)
    found = looked(place(emulator, transport), a_service("chat"), a_service("pay"))
    assert list(missing(found)) == ["service chat"]
    assert "roles/run.developer" in missing(found)["service chat"]
    denied = permission_denied("logging.logEntries.list", "projects/p")
    emulator.faults.clear()
    emulator.faults.on("ListLogEntries", denied, times=None)
    found = looked(place(emulator, transport))
    assert "roles/logging.viewer" in missing(found)["Cloud Logging API"]


@BOTH
def test_another_region_is_named_with_how_to_see_which_there_are(
    emulator: Emulator, transport: Transport
) -> None:
    found = looked(replace(place(emulator, transport), region="mars-north1"))
    assert "gcloud run regions list" in missing(found)["region mars-north1"]


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INTERNAL]
)
@BOTH
def test_a_server_that_tells_no_permissions_is_no_fault(
    emulator: Emulator, transport: Transport, code: grpc.StatusCode
) -> None:
    emulator.faults.on("TestIamPermissions", RpcFault(code, "what is that?"), times=None)
    found = looked(place(emulator, transport))
    assert missing(found) == {}
    assert not found["permissions on chat"].known


def test_a_server_that_grants_nothing_at_all_tells_nothing(emulator: Emulator) -> None:
    """That the service may be looked at is known: an answer that denies it is no answer."""
    emulator.faults.lacking |= {"run.services.get", "run.services.create"}
    found = looked(place(emulator))
    assert missing(found) == {}
    assert "cannot be told" in found["permissions on chat"].said


def test_what_a_new_service_needs_is_the_right_to_make_it(emulator: Emulator) -> None:
    emulator.faults.lacking.add("run.services.create")
    said = looked(place(emulator))["permissions on chat"].said
    assert said == "this account lacks run.services.create"


def test_secrets_are_there_or_not_and_their_values_are_not_asked_for(emulator: Emulator) -> None:
    emulator.secret_states["key", "1"] = "DISABLED"
    emulator.secrets["gone"] = {"1": "x"}
    emulator.secret_states["gone", "1"] = "DESTROYED"
    wanted = ("key:latest", "key:2", "key:1", "key:7", "none:latest", "gone:1")
    found = looked(place(emulator), a_service("chat", IMAGE, *wanted))
    assert missing(found) == {
        "secret key:1": "gcloud secrets versions enable 1 --secret=key --project=p",
        "secret key:7": "gcloud secrets versions add key --data-file=FILE --project=p",
        "secret none:latest": "gcloud secrets create none --data-file=FILE --project=p "
        "(`gcloud secrets versions add` where it is there without a version)",
        "secret gone:1": "gcloud secrets versions add gone --data-file=FILE --project=p",
    }
    assert found["secret key:latest"].known
    assert {call.method for call in emulator.calls if "Secret" in call.method} == {
        "GetSecretVersion"
    }


def test_secrets_of_an_api_that_is_off_or_closed(emulator: Emulator) -> None:
    secret = a_service("chat", IMAGE, "key:latest")
    emulator.faults.on("GetSecretVersion", api_disabled(77, "secretmanager.googleapis.com"))
    hints = missing(looked(place(emulator), secret))
    assert hints == {
        "secret key:latest": "gcloud services enable secretmanager.googleapis.com --project=p"
    }
    emulator.faults.on("GetSecretVersion", permission_denied("secretmanager.versions.get", "x"))
    found = looked(place(emulator), secret)["secret key:latest"]
    assert (found.ok, found.known) == (True, False)
    assert "roles/secretmanager.viewer" in str(found.hint)


def test_a_door_that_has_never_heard_of_secrets_tells_nothing(emulator: Emulator) -> None:
    """Many say of each path that they do not know that it is not found, in Google's form."""
    secret = a_service("chat", IMAGE, "none:latest")
    for text in ("Not found", "/v1/projects/p/secrets/none/versions/latest not found"):
        fault = RpcFault(grpc.StatusCode.NOT_FOUND, text)
        emulator.faults.on("GetSecretVersion", fault, times=2)
        assert not looked(place(emulator), secret)["secret none:latest"].known
        apis = OtherApis(Clients(place(emulator)))
        assert absent_secrets(apis, "p", [secret], Stop(10)) == []


def test_over_grpc_without_tls_nobody_is_asked_for_secrets(emulator: Emulator) -> None:
    found = looked(place(emulator, "grpc"), a_service("chat", IMAGE, "none:latest", "key:1"))
    assert [found[f"secret {name}"].known for name in ("none:latest", "key:1")] == [False, False]


def test_who_holds_a_service_is_named(emulator: Emulator) -> None:
    with asking(emulator, "rest") as api:
        api.created("chat")
    clients = Clients(place(emulator))
    leases = AnnotationLeases(Api(clients, Names("p", "us-central1")), AskedClock(clients))
    held = leases.acquire([Target("cloud-run", "p/us-central1", "chat")], "run-7", 900, Stop(20))
    try:
        said = looked(place(emulator))["lease of chat"]
    finally:
        leases.release(held)
        clients.close()
    assert said.ok
    assert "run run-7 (process" in said.said
    assert "exit 6" in said.said


@pytest.mark.slow
def test_a_server_that_is_away_is_told_once(emulator: Emulator) -> None:
    found = looked(replace(place(emulator), endpoint="http://127.0.0.1:9"), a_service("chat"))
    assert "Cloud Run API" in missing(found)
    assert "service chat" not in found


@pytest.mark.slow
def test_a_read_quota_that_is_used_up_is_no_fault(emulator: Emulator) -> None:
    emulator.read_quota.limit = 0
    found = looked(place(emulator))
    assert missing(found) == {}
    assert not found["log reads"].known


@pytest.mark.parametrize("sort", ["nobody", "refused"])
def test_without_credentials_nobody_is_asked(tmp_path: Path, sort: str) -> None:
    """A door with TLS wants to know who asks."""
    where = CloudRunPlace("p", "us-central1", endpoint="https://127.0.0.1:9")
    with token_server() as server:
        key = server.key_file(tmp_path)
        server.answer = (400, b'{"error": "invalid_grant", "error_description": "no such"}')
        path = tmp_path / "none.json" if sort == "nobody" else key
        with environment(GOOGLE_APPLICATION_CREDENTIALS=str(path)):
            found = looked(where, a_service("chat"), a_service("a" * 60))
    hint = "gcloud auth application-default login"
    assert missing(found)["credentials"] == hint
    assert list(missing(found)) == ["credentials", f"service {'a' * 60}"], "what needs no asking"
    assert not found["Google Cloud"].known


def test_who_asks_is_told_by_the_accounts_name(tmp_path: Path) -> None:
    where = CloudRunPlace("p", "us-central1", endpoint="https://127.0.0.1:9")
    with token_server() as server, credentials_of(server, tmp_path):
        assert who_asks(Clients(where), Stop(20)).said == ACCOUNT
        other = replace(where, impersonate=DEPLOYER)
        assert who_asks(Clients(other), Stop(20)).said == f"{ACCOUNT}, acting as {DEPLOYER}"
        assert str(server.asked[-1]["path"]).endswith(f"{DEPLOYER}:generateAccessToken")


def test_an_account_that_may_not_be_acted_as_is_told_with_the_grant(tmp_path: Path) -> None:
    where = CloudRunPlace("p", "us-central1", None, "https://127.0.0.1:9", impersonate=DEPLOYER)
    with token_server() as server, credentials_of(server, tmp_path):
        server.refusing = ":generateAccessToken"
        found = who_asks(Clients(where), Stop(20))
    assert found.said.startswith(f"{ACCOUNT} may not act as {DEPLOYER}: ")
    assert found.hint == (
        f"gcloud iam service-accounts add-iam-policy-binding {DEPLOYER} "
        f"--member=serviceAccount:{ACCOUNT} --role=roles/iam.serviceAccountTokenCreator"
    )


def credentials_of(server: TokenServer, folder: Path) -> Any:
    key = str(server.key_file(folder))
    return environment(GOOGLE_APPLICATION_CREDENTIALS=key, **server.iam_environment(folder))
