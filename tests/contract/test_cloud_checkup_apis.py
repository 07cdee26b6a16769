"""What `doctor` is told by Google's other APIs: a server that answers in their words."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from google.cloud.run_v2 import RevisionTemplate, Service

from loopctl.found import Found
from loopctl.model.plan import BuildSpec, CloudRunPlace, HealthSpec, RunSpec, ServiceSpec
from loopctl.platforms.cloud_run.act_as import act_as_found, project_number, runs_as
from loopctl.platforms.cloud_run.clients import Clients
from loopctl.platforms.cloud_run.other_apis import OtherApis
from loopctl.platforms.cloud_run.repository import repository_found
from loopctl.platforms.cloud_run.secret_versions import SecretVersion, secrets_found
from loopctl.platforms.cloud_run.who_asks import named
from loopctl.process import Stop

SA = "runner@p.iam.gserviceaccount.com"
PREFIX = "europe-west1-docker.pkg.dev/images/apps"
REPOSITORY = "artifactregistry/v1/projects/images/locations/europe-west1/repositories/apps"
PUSH = "artifactregistry.repositories.uploadArtifacts"
PULL = "artifactregistry.repositories.downloadArtifacts"
ACTS = f"iam/v1/projects/-/serviceAccounts/{SA}:testIamPermissions"
NOT_FOUND: Mapping[str, Any] = {"error": {"code": 404, "message": "no", "status": "NOT_FOUND"}}


@dataclass
class Google:
    """`answers` by path; what is not among them is a page of HTML that says 404."""

    url: str = ""
    answers: dict[str, tuple[int, Mapping[str, Any]]] = field(default_factory=dict)


class _Handler(BaseHTTPRequestHandler):
    rig: Google

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers["content-length"] or 0))
        status, document = self.rig.answers.get(self.path.lstrip("/"), (404, None))
        body = b"<html>404</html>" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class GooglesOwn(OtherApis):
    """Those of the server, as if it were Google."""

    def __init__(self, url: str) -> None:
        super().__init__(Clients(CloudRunPlace("p", "us-central1", endpoint=url)))
        self._url = url

    @property
    def are_googles(self) -> bool:
        return True

    def _root(self, api: str) -> str:
        return f"{self._url}/{api}"


@pytest.fixture
def google() -> Iterator[Google]:
    rig = Google()
    handler = type("Handler", (_Handler,), {"rig": rig})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        rig.url = f"http://127.0.0.1:{running.server_address[1]}"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield rig
        running.shutdown()
        thread.join()


def off(api: str) -> tuple[int, Mapping[str, Any]]:
    said = f"{api} has not been used in project 7 before or it is disabled. Enable it by …"
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED"}]
    error = {"code": 403, "message": said, "status": "PERMISSION_DENIED", "details": details}
    return 403, {"error": error}


def registry(google: Google) -> Found:
    [found] = repository_found(GooglesOwn(google.url), PREFIX, Stop(10), lambda *_: None)
    return found


def acts_as(google: Google, account: str | None = SA) -> Found:
    [found] = act_as_found(GooglesOwn(google.url), "p", {"chat": account, "pay": account}, Stop(10))
    assert found.name == "account of chat, pay"
    return found


def test_a_repository_that_takes_pushes_is_well(google: Google) -> None:
    google.answers[REPOSITORY] = (200, {"name": "apps", "format": "DOCKER"})
    google.answers[f"{REPOSITORY}:testIamPermissions"] = (200, {"permissions": [PUSH, PULL]})
    found = registry(google)
    assert (found.ok, found.known) == (True, True)
    assert PREFIX in found.said


@pytest.mark.parametrize(("held", "lacks"), [([PULL], [PUSH]), ([], [PUSH, PULL])])
def test_who_may_not_push_is_told_the_role(
    google: Google, held: list[str], lacks: list[str]
) -> None:
    google.answers[f"{REPOSITORY}:testIamPermissions"] = (
        200,
        {"permissions": held} if held else {},
    )
    found = registry(google)
    assert found.said == f"this account lacks {' and '.join(lacks)} on {PREFIX}"
    assert found.hint == (
        "gcloud artifacts repositories add-iam-policy-binding apps --location=europe-west1 "
        "--project=images --member=user:YOU --role=roles/artifactregistry.writer"
    )


def test_a_repository_that_is_not_there_is_made(google: Google) -> None:
    google.answers[REPOSITORY] = (404, NOT_FOUND)
    found = registry(google)
    assert not found.ok
    assert found.hint == (
        "gcloud artifacts repositories create apps --repository-format=docker "
        "--location=europe-west1 --project=images"
    )


def test_artifact_registry_that_is_off_is_switched_on_where_the_images_are(google: Google) -> None:
    google.answers[REPOSITORY] = off("Artifact Registry API")
    assert registry(google).hint == (
        "gcloud services enable artifactregistry.googleapis.com --project=images"
    )


def test_a_repository_that_nobody_may_ask_about_is_no_fault(google: Google) -> None:
    found = registry(google)
    assert (found.ok, found.known) == (True, False)


def test_who_may_act_as_the_account(google: Google) -> None:
    google.answers[ACTS] = (200, {"permissions": ["iam.serviceAccounts.actAs"]})
    assert acts_as(google).said == f"this account may act as {SA}"
    google.answers[ACTS] = (200, {})
    lacks = acts_as(google)
    assert not lacks.ok
    assert lacks.hint == (
        f"gcloud iam service-accounts add-iam-policy-binding {SA} --project=p --member=user:YOU "
        "--role=roles/iam.serviceAccountUser"
    )
    google.answers[ACTS] = (404, NOT_FOUND)
    assert acts_as(google).hint == "gcloud iam service-accounts create runner --project=p"
    google.answers[ACTS] = off("Identity and Access Management (IAM) API")
    assert not acts_as(google).known, "nobody needs that API for acting"
    assert not acts_as(google, None).known


def test_at_another_door_a_refusal_is_none(google: Google) -> None:
    """A server that knows no IAM may well answer an empty object."""
    place = CloudRunPlace("p", "us-central1", endpoint=google.url, transport="rest")
    google.answers[ACTS.removeprefix("iam/")] = (200, {})
    [found] = act_as_found(OtherApis(Clients(place)), "p", {"chat": SA}, Stop(10))
    assert (found.ok, found.known) == (True, False)


def test_a_secret_that_google_has_not_is_missing_in_whatever_words(google: Google) -> None:
    google.answers["secretmanager/v1/projects/p/secrets/s/versions/latest"] = (404, NOT_FOUND)
    wanted = SecretVersion.of("p", "s")
    [found] = secrets_found(GooglesOwn(google.url), [wanted], Stop(10))
    assert not found.ok
    [page] = secrets_found(GooglesOwn(google.url), [SecretVersion.of("p", "t:1")], Stop(10))
    assert page.known is False, "a page of HTML is not Secret Manager's answer"


def test_a_secret_of_another_project_is_looked_for_there() -> None:
    named_so = SecretVersion.of("p", "projects/q/secrets/s:3")
    assert named_so.path == "v1/projects/q/secrets/s/versions/3"


def test_the_account_is_the_loop_files_the_services_or_the_projects_own() -> None:
    def spec(**run: Any) -> ServiceSpec:
        return ServiceSpec("chat", BuildSpec("docker"), RunSpec(**run), HealthSpec())

    found = Service(
        template=RevisionTemplate(service_account=SA),
        urls=["https://chat-1234567890.us-central1.run.app", "https://chat-abc-uc.a.run.app"],
    )
    number = project_number([Service(uri="https://chat-abc-uc.a.run.app"), found])
    assert number == "1234567890"
    assert runs_as(spec(), found, number) == SA
    assert runs_as(spec(service_account="a@b"), found, number) == "a@b"
    fragment = {"template": {"serviceAccount": "c@d"}}
    assert runs_as(spec(cloud_run=fragment), found, number) == "c@d"
    default = "1234567890-compute@developer.gserviceaccount.com"
    assert runs_as(spec(), None, number) == default
    assert runs_as(spec(), None, None) is None


@pytest.mark.parametrize("hint", ["x --member=user:YOU y", "x --member=user:YOU@EXAMPLE.COM y"])
def test_a_command_names_the_account_where_it_is_known(hint: str) -> None:
    found = Found("a", ok=False, said="b", hint=hint)
    assert named(found, f"serviceAccount:{SA}").hint == f"x --member=serviceAccount:{SA} y"
    assert named(found, None) is found
