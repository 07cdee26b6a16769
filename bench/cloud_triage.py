"""A look at an environment on Cloud Run

`loopctl triage` of a service that serves what was verified, on the emulator, with one that failed
to start beside it; over gRPC. Beside it a script that asks the same of the emulator with Google's
own clients, one after the other, as a person would by `gcloud`: the service, its revisions, the
failed one, the log of each, the requests, and the health check. Each is a process with its start,
and both ask an emulator that answers at once: of Cloud Run's own latency there is none in either.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from bench.cloud_calls import write_loop
from bench.cloud_rig import PROJECT, REGION, cloud_run
from bench.project import Project, project
from bench.table import Row, in_turn, seconds, timed
from bench.tiny import SERVICE

PART = "u"
_ROUNDS = 3
_MOST_S = 15.0
_IMAGES = tuple(f"registry.example.test/apps/web@sha256:{n:064x}" for n in range(2))

_BY_HAND = """
import sys, urllib.request
import grpc
from google.cloud.run_v2 import RevisionsClient, ServicesClient
from google.cloud.run_v2.services.revisions.transports import RevisionsGrpcTransport
from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
from google.cloud.logging_v2.services.logging_service_v2.transports import (
    LoggingServiceV2GrpcTransport)

door, project, region = sys.argv[1:]
channel = grpc.insecure_channel(door, options=[("grpc.enable_http_proxy", 0)])
services = ServicesClient(transport=ServicesGrpcTransport(channel=channel))
revisions = RevisionsClient(transport=RevisionsGrpcTransport(channel=channel))
logging = LoggingServiceV2Client(transport=LoggingServiceV2GrpcTransport(channel=channel))
name = f"projects/{project}/locations/{region}/services/web"
service = services.get_service(name=name, retry=None)
found = list(revisions.list_revisions(parent=name, retry=None))
newest = max(found, key=lambda each: each.create_time)
revisions.get_revision(name=newest.name, retry=None)
shorts = [each.name.rpartition("/")[2] for each in found[:2]]
queries = [f'resource.labels.revision_name="{short}"' for short in shorts]
queries.append('log_id("run.googleapis.com/requests")')
for query in queries:
    request = {"resource_names": [f"projects/{project}"], "filter": query, "page_size": 1000}
    list(logging.list_log_entries(request=request, retry=None))
urllib.request.urlopen(service.uri + "/health").read()
"""


def rows() -> Iterator[Row]:
    """One comparison, after one of each that does not count."""
    with project("looked-at", "staging") as made:
        made.write("web/service.py", SERVICE)
        made.write("by_hand.py", _BY_HAND)
        starts, dies = _IMAGES
        images = {starts: _program(made, crash=False), dies: _program(made, crash=True)}
        with cloud_run("process", images, reads=100_000) as cloud:
            for image, code in ((starts, 0), (dies, 5)):
                write_loop(made, cloud, image, red=False)
                made.loopctl("run", code=code)
            door = cloud.grpc.removeprefix("http://")
            by_hand = ("by_hand.py", door, PROJECT, REGION)
            ours = lambda: timed(lambda: made.loopctl("triage", code=1))  # noqa: E731
            theirs = lambda: timed(lambda: made.python(*by_hand))  # noqa: E731
            in_turn(ours, theirs, 1)
            pair = in_turn(ours, theirs, _ROUNDS)
    yield Row(
        PART,
        "`loopctl triage` on an emulated Cloud Run",
        seconds(pair.ours),
        pair.beside(seconds, "the same reads one after the other by Google's clients"),
        f"≤ {seconds(_MOST_S)}",
        pair.ours <= _MOST_S,
    )


def _program(made: Project, *, crash: bool) -> dict[str, object]:
    env = {"MOMENT": str(made.folder / "moment"), "AFTER": "0", "CRASH": "1" if crash else ""}
    argv = [sys.executable, "-S", "service.py"]
    return {"argv": argv, "cwd": str(made.folder / "web"), "env": env}
