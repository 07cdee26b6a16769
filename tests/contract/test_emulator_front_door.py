"""The URLs of the emulated services: who gets in, what comes back, what is logged of it."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from emulator_rig import (
    PARENT,
    Asker,
    asking,
    awaited,
    emulating,
    fetch,
    pinned,
    service,
    short,
    texts,
)

from emulator.server import Emulator

REQUESTS = "run.googleapis.com%2Frequests"
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with emulating() as running:
        yield running


@pytest.fixture
def api(emulator: Emulator) -> Iterator[Asker]:
    with asking(emulator, "grpc") as asker:
        yield asker


@pytest.fixture
def url(api: Asker) -> str:
    return str(api.created("chat").uri)


def token(audience: str) -> dict[str, str]:
    claims = base64.urlsafe_b64encode(json.dumps({"aud": audience}).encode()).decode().rstrip("=")
    return {"Authorization": f"Bearer e30.{claims}.none"}


def shouting(url: str) -> socket.socket:
    """A connection that has left HTTP: what is sent comes back in upper case."""
    line = socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=10)
    line.sendall(
        b"GET /raw HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\nfirst"
    )
    head = b""
    while b"\r\n\r\n" not in head or not head.endswith(b"FIRST"):
        head += line.recv(1024)
    assert head.startswith(b"HTTP/1.1 101 ")
    return line


# --- requests and answers ---


def test_bodies_go_both_ways_over_one_connection(url: str) -> None:
    with httpx.Client(trust_env=False) as http:
        large = "x" * 300_000
        assert http.post(f"{url}/", content=large).text == large
        assert http.post(f"{url}/", content=iter([b"o", b"ne"])).text == ""  # no Content-Length
        assert http.get(f"{url}/chunks").text == "onetwo"
        assert http.head(f"{url}/x").status_code == 501


def test_an_instance_may_answer_before_it_has_heard_all(url: str) -> None:
    unread = iter([b"x" * 65_536] * 40)  # by a container that looks at Content-Length alone
    assert httpx.post(f"{url}/", content=unread, trust_env=False).status_code == 200


def test_a_request_is_told_whom_it_comes_from_and_of_its_trace(url: str) -> None:
    seen = fetch(f"{url}/headers", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    told = {name.lower(): value for name, value in seen.json().items()}
    assert told["x-forwarded-for"] == "127.0.0.1"
    assert told["x-cloud-trace-context"].startswith(f"{TRACE}/")
    assert told["host"] == urlsplit(url).netloc
    assert seen.headers["server"] == "Google Frontend"


def test_another_protocol_is_relayed_byte_by_byte(url: str) -> None:
    with shouting(url) as line:
        line.sendall(b"hello")
        assert line.recv(100) == b"HELLO"


def test_a_container_knows_what_it_is(api: Asker, url: str) -> None:
    environment = fetch(f"{url}/environment").json()
    revision = short(api.get("chat").latest_ready_revision)
    assert environment["K_SERVICE"] == environment["K_CONFIGURATION"] == "chat"
    assert environment["K_REVISION"] == revision
    assert environment["PORT"].isdigit()


def test_healthz_is_googles_own(emulator: Emulator, url: str) -> None:
    answer = fetch(f"{url}/healthz")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "was not found on this server" in answer.text
    assert fetch(f"{url}/healthz/").text.endswith(" /healthz/")
    seen = [entry.http_request.request_url for entry in awaited(emulator, REQUESTS)]
    assert seen == [f"{url}/healthz/"]


def test_a_private_service_wants_a_token_for_its_own_url(
    emulator: Emulator, api: Asker, url: str
) -> None:
    revision = api.get("chat").latest_ready_revision
    tagged = api.routed("chat", pinned(revision, 100, "now")).traffic_statuses[0].uri
    emulator.make_private("chat")
    assert fetch(url).status_code == 403
    assert "does not have permission" in fetch(url).text
    assert fetch(tagged, headers=token(url)).status_code == 200
    assert fetch(tagged, headers=token(tagged)).status_code == 401
    emulator.state.invokers["chat"].add("allUsers")
    assert fetch(url).status_code == 200


def test_the_url_of_a_tag_that_was_taken_away_is_not_found(api: Asker, url: str) -> None:
    revision = api.get("chat").latest_ready_revision
    tagged = api.routed("chat", pinned(revision, 100, "now")).traffic_statuses[0].uri
    assert fetch(tagged).status_code == 200
    api.routed("chat", pinned(revision, 100))
    assert fetch(tagged).status_code == 404
    assert api.routed("chat", pinned(revision, 100, "now")).traffic_statuses[0].uri == tagged


# --- instances ---


def test_an_instance_is_started_when_a_request_needs_one(
    emulator: Emulator, api: Asker, url: str
) -> None:
    emulator.fleet.scale_to_zero(api.get("chat").latest_ready_revision)
    assert fetch(url).status_code == 200
    starts = [text for text in texts(emulator) if text.startswith("Starting new instance.")]
    assert [text.split()[4] for text in starts] == ["DEPLOYMENT_ROLLOUT", "AUTOSCALING"]


def test_an_instance_that_dies_under_a_request_is_a_503_and_is_replaced(
    emulator: Emulator, url: str
) -> None:
    assert fetch(f"{url}/die").status_code == 503
    assert fetch(url).status_code == 200
    said = awaited(emulator, REQUESTS)[0]
    assert said.http_request.status == 503
    assert said.text_payload == (
        "The request failed because either the HTTP response was malformed or connection to the "
        "instance had an error. Additional troubleshooting documentation can be found at: "
        "https://cloud.google.com/run/docs/troubleshooting#malformed-response-or-connection-error"
    )
    assert "Container called exit(5)." in texts(emulator)


def test_an_instance_that_does_not_start_is_a_500(emulator: Emulator, api: Asker) -> None:
    emulator.secrets["word"] = {"1": ""}
    reference = {"secret_key_ref": {"secret": "word", "version": "latest"}}
    variables = {"env": [{"name": "WORD", "value_source": reference}]}
    made = api.created("later", container=variables)
    emulator.fleet.scale_to_zero(made.latest_ready_revision)
    emulator.secrets.clear()
    assert fetch(made.uri).status_code == 500
    assert awaited(emulator, REQUESTS)[0].text_payload == (
        "The request failed because the instance could not start successfully."
    )


def test_no_instance_is_a_429(emulator: Emulator, url: str) -> None:
    emulator.faults.no_instance.add("chat")
    assert fetch(url).status_code == 429
    said = awaited(emulator, REQUESTS)[0]
    assert said.text_payload == ("The request was aborted because there was no available instance.")
    assert said.severity == 400
    emulator.faults.clear()
    assert fetch(url).status_code == 200


def test_a_request_that_takes_too_long_is_a_504(emulator: Emulator, api: Asker) -> None:
    made = api.created("slow", template={"timeout": {"seconds": 20}})  # 0.5 s here
    assert fetch(f"{made.uri}/hang").status_code == 504
    said = awaited(emulator, REQUESTS)[0]
    assert said.severity == 500
    assert said.text_payload.startswith(
        "The request has been terminated because it has reached the maximum request timeout."
    )


def test_a_stream_of_another_protocol_is_cut_when_its_time_is_over(api: Asker) -> None:
    made = api.created("slow", template={"timeout": {"seconds": 20}})
    with shouting(made.uri) as line:
        assert line.recv(100) == b""


def test_a_stream_stays_on_its_revision_when_traffic_moves(api: Asker, url: str) -> None:
    with shouting(url) as line:
        second = api.updated(service(name=f"{PARENT}/services/chat", env={"A": "1"}))
        assert fetch(url).text.startswith(short(second.latest_ready_revision))
        line.sendall(b"still")
        assert line.recv(100) == b"STILL"


# --- the request log ---


def test_a_request_entry_tells_all_of_the_request(emulator: Emulator, api: Asker, url: str) -> None:
    headers = {"User-Agent": "probe/1", "X-Cloud-Trace-Context": f"{TRACE}/7;o=1"}
    answer = fetch(f"{url}/words?n=1", headers=headers)
    entry = awaited(emulator, REQUESTS)[0]
    told = entry.http_request
    assert (told.request_method, told.request_url) == ("GET", f"{url}/words?n=1")
    assert (told.status, told.user_agent, told.remote_ip) == (200, "probe/1", "127.0.0.1")
    assert told.response_size == len(answer.content)
    assert told.latency.ToNanoseconds() > 0
    assert entry.trace == f"projects/p/traces/{TRACE}"
    assert not entry.text_payload
    labels = dict(entry.resource.labels)
    revision = short(api.get("chat").latest_ready_revision)
    assert entry.resource.type == "cloud_run_revision"
    assert labels == {
        "project_id": "p",
        "location": "us-central1",
        "service_name": "chat",
        "revision_name": revision,
        "configuration_name": "chat",
    }


def test_traces_may_be_left_out() -> None:
    with emulating(keep_traces=False) as emulator, asking(emulator, "grpc") as api:
        made = api.created("chat")
        fetch(made.uri, headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
        assert [entry.trace for entry in awaited(emulator, REQUESTS)] == [""]
