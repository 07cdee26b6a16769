"""The emulator of Cloud Run, and Google's own clients that ask it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc  # type: ignore[import-untyped]
import httpx
from google.api_core.exceptions import GoogleAPICallError
from google.auth.credentials import AnonymousCredentials
from google.cloud import run_v2
from google.cloud.run_v2.services.revisions.transports import (
    RevisionsGrpcTransport,
    RevisionsRestTransport,
)
from google.cloud.run_v2.services.services.transports import (
    ServicesGrpcTransport,
    ServicesRestTransport,
)
from google.protobuf.field_mask_pb2 import FieldMask

from emulator.log_store import Entry
from emulator.run_runtime import Runtime
from emulator.run_runtime_process import ProcessRuntime, Program
from emulator.server import Emulator

PARENT: Final = "projects/p/locations/us-central1"
IMAGE: Final = "europe-docker.pkg.dev/p/r/app:1"
LATEST: Final = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
PINNED: Final = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
_APP: Final = Path(__file__).with_name("emulator_app.py")
_OPTIONS: Final = [("grpc.enable_http_proxy", 0)]
DONE_S: Final = 30


@contextmanager
def emulating(**settings: Any) -> Iterator[Emulator]:
    """An emulator whose revisions are processes of `emulator_app`; probes take 6 s at most."""
    runtime: Runtime = ProcessRuntime({IMAGE: Program((sys.executable, "-S", str(_APP)))})
    quick = {"runtime": runtime, "time_scale": 1 / 40, "pause_s": 0.02}
    with Emulator(**{**quick, **settings}) as running:
        yield running


@dataclass
class Asker:
    """Google's clients over one transport, and short ways to ask them."""

    emulator: Emulator
    services: run_v2.ServicesClient
    revisions: run_v2.RevisionsClient

    def create(self, service_id: str, **given: Any) -> Any:
        """The operation."""
        return self.services.create_service(
            parent=PARENT, service_id=service_id, service=service(**given)
        )

    def created(self, service_id: str, **given: Any) -> Any:
        return self.result(self.create(service_id, **given))

    def get(self, service_id: str) -> run_v2.Service:
        return self.services.get_service(name=f"{PARENT}/services/{service_id}")

    def update(self, changed: run_v2.Service, *mask: str) -> Any:
        """The operation; the template's own name is cleared, as it has to be."""
        changed.template.revision = ""
        return self.send(changed, *mask)

    def send(self, changed: run_v2.Service, *mask: str) -> Any:
        """The operation; the service goes as it is."""
        request = run_v2.UpdateServiceRequest(service=changed)
        if mask:
            request.update_mask = FieldMask(paths=mask)
        return self.services.update_service(request=request)

    def updated(self, changed: run_v2.Service, *mask: str) -> Any:
        return self.result(self.update(changed, *mask))

    def routed(self, service_id: str, *traffic: Mapping[str, Any]) -> Any:
        """The service with this traffic and nothing else new."""
        changed = run_v2.Service(name=f"{PARENT}/services/{service_id}", traffic=traffic)
        return self.updated(changed, "traffic")

    def result(self, operation: Any) -> Any:
        """What an operation comes to. The emulator is asked when, for clients sleep between."""
        operations = self.emulator.state.operations
        name = operation.operation.name
        assert self.emulator.state.wait_until(lambda: operations[name].done, DONE_S)
        return operation.result(timeout=DONE_S)

    def failure(self, operation: Any) -> GoogleAPICallError:
        """What an operation that fails raises."""
        try:
            self.result(operation)
        except GoogleAPICallError as error:
            return error
        raise AssertionError("the operation came to a good end")

    def revision(self, revision: str) -> run_v2.Revision:
        name = f"{PARENT}/services/{revision.rsplit('-', 2)[0]}/revisions/{short(revision)}"
        return self.revisions.get_revision(name=revision if "/" in revision else name)


@contextmanager
def asking(emulator: Emulator, transport: str) -> Iterator[Asker]:
    """`transport` is `grpc` or `rest`."""
    if transport == "grpc":
        with grpc.insecure_channel(_host(emulator.grpc_endpoint), _OPTIONS) as channel:
            yield Asker(
                emulator,
                run_v2.ServicesClient(transport=ServicesGrpcTransport(channel=channel)),
                run_v2.RevisionsClient(transport=RevisionsGrpcTransport(channel=channel)),
            )
        return
    host: dict[str, Any] = {
        "host": _host(emulator.rest_endpoint),
        "url_scheme": "http",
        "credentials": AnonymousCredentials(),  # type: ignore[no-untyped-call]
    }
    services, revisions = ServicesRestTransport(**host), RevisionsRestTransport(**host)
    for each in (services, revisions):
        each._session.trust_env = False
    with closing(services), closing(revisions):
        yield Asker(
            emulator,
            run_v2.ServicesClient(transport=services),
            run_v2.RevisionsClient(transport=revisions),
        )


def service(
    env: Mapping[str, str] | None = None,
    image: str = IMAGE,
    container: Mapping[str, Any] | None = None,
    template: Mapping[str, Any] | None = None,
    **given: Any,
) -> run_v2.Service:
    """A service of one container; what is given is of the service."""
    variables = [{"name": name, "value": value} for name, value in (env or {}).items()]
    one = {"image": image, "env": variables, **(container or {})}
    return run_v2.Service(template={"containers": [one], **(template or {})}, **given)


def short(name: str) -> str:
    return name.rpartition("/")[2]


def set_variable(changed: run_v2.Service, name: str, value: str) -> None:
    changed.template.containers[0].env.append(run_v2.EnvVar(name=name, value=value))


def pinned(revision: str, percent: int, tag: str = "") -> dict[str, Any]:
    return {"type_": PINNED, "revision": short(revision), "percent": percent, "tag": tag}


def fetch(url: str, **given: Any) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=20) as client:
        return client.get(url, **given)


def message(error: GoogleAPICallError) -> str:
    """The server's text: over REST the client writes the request before it, and details behind."""
    told = str(error.message)
    return told.partition("enum-encoding%3Dint: ")[2] or told


def condition(resource: Any, kind: str) -> Any:
    return next(found for found in resource.conditions if found.type_ == kind)


def entries(emulator: Emulator, log: str = "") -> list[Any]:
    """All log entries, or those of one log by its id's end, in the order of their times."""
    emulator.logs.flush()
    rows = emulator.logs.rows(0, 2**63 - 1)
    found = [Entry.FromString(row.data) for row in rows]
    return [entry for entry in found if entry.log_name.endswith(log)]


def awaited(emulator: Emulator, log: str, count: int = 1) -> list[Any]:
    """A log's entries once there are so many: that of a request comes after its answer."""
    deadline = time.monotonic() + DONE_S
    while len(found := entries(emulator, log)) < count:
        assert time.monotonic() < deadline, found
        emulator.logs.wait(0.1)
    return found


def texts(emulator: Emulator, log: str = "") -> list[str]:
    return [entry.text_payload for entry in entries(emulator, log)]


def _host(endpoint: str) -> str:
    return endpoint.removeprefix("http://")
