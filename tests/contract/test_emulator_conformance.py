"""The emulator of Cloud Run answers Google's own clients as facts/cloud-run.md says.

Only what is marked P, D or W there is asserted, over gRPC and over REST.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from emulator_rig import (
    IMAGE,
    LATEST,
    PARENT,
    Asker,
    asking,
    condition,
    emulating,
    fetch,
    message,
    pinned,
    service,
    set_variable,
    short,
)
from google.api_core.exceptions import (
    Aborted,
    AlreadyExists,
    BadRequest,
    Conflict,
    FailedPrecondition,
    Forbidden,
    MethodNotImplemented,
    NotFound,
)
from google.cloud import run_v2
from google.longrunning import operations_pb2

from emulator.server import Emulator

State = run_v2.Condition.State
BAD = {"EXIT": "3", "SAY_ERROR": "no such table: words"}


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with emulating() as running:
        yield running


@pytest.fixture(params=["grpc", "rest"])
def api(request: pytest.FixtureRequest, emulator: Emulator) -> Iterator[Asker]:
    with asking(emulator, request.param) as asker:
        yield asker


# --- a service's life ---


def test_a_new_service_serves_its_first_revision_at_its_url(api: Asker) -> None:
    operation = api.create("chat")
    assert operation.metadata.name == f"{PARENT}/services/chat"
    assert re.fullmatch(rf"{PARENT}/operations/[\w-]+", operation.operation.name)
    made = api.result(operation)
    assert (made.generation, made.observed_generation, made.reconciling) == (1, 1, False)
    assert re.fullmatch(r"chat-00001-[a-z0-9]{3}", short(made.latest_ready_revision))
    assert made.latest_ready_revision == made.latest_created_revision
    assert made.terminal_condition.type_ == "Ready"
    assert made.terminal_condition.state == State.CONDITION_SUCCEEDED
    assert {each.type_ for each in made.conditions} == {"RoutesReady", "ConfigurationsReady"}
    assert list(made.urls) == [made.uri]
    assert fetch(f"{made.uri}/x").text == f"{short(made.latest_ready_revision)} /x"


def test_until_its_operation_is_done_a_service_reconciles(emulator: Emulator) -> None:
    with emulating(pause_s=5.0) as slow, asking(slow, "grpc") as api:
        operation = api.create("chat")
        assert not operation.done()
        seen = api.get("chat")
        assert seen.reconciling
        assert (seen.generation, seen.observed_generation) == (1, 0)
        assert seen.latest_created_revision
        assert not seen.latest_ready_revision
        assert not seen.uri


@pytest.mark.parametrize("service_id", ["Chat", "1chat", "chat-", "c" * 50, "ch_at", ""])
def test_an_id_that_no_service_may_have_is_refused(api: Asker, service_id: str) -> None:
    with pytest.raises(BadRequest) as raised:
        api.create(service_id)
    assert message(raised.value).startswith(
        "Violation in CreateServiceRequest.service_id: only lowercase, digits, and hyphens; must "
        "begin with letter, and cannot end with hyphen; must be less than 50 characters."
    )


def test_the_longest_id_is_taken(api: Asker) -> None:
    assert api.created("c" * 49).latest_ready_revision


def test_a_service_is_created_once(api: Asker) -> None:
    api.created("chat")
    with pytest.raises(Conflict):
        api.create("chat")


def test_what_is_not_there_is_not_found(api: Asker) -> None:
    with pytest.raises(NotFound):
        api.get("nobody")
    with pytest.raises(NotFound):
        api.revision("nobody-00001-abc")
    with pytest.raises(NotFound):
        api.services.get_operation(
            operations_pb2.GetOperationRequest(name=f"{PARENT}/operations/none")
        )
    with pytest.raises(NotFound):
        api.update(service(name=f"{PARENT}/services/nobody"))


def test_an_update_makes_what_is_missing_where_it_may(api: Asker) -> None:
    request = run_v2.UpdateServiceRequest(
        service=service(name=f"{PARENT}/services/chat"), allow_missing=True
    )
    made = api.result(api.services.update_service(request=request))
    assert made.generation == 1


def test_validate_only_changes_nothing(api: Asker) -> None:
    request = run_v2.CreateServiceRequest(
        parent=PARENT, service_id="chat", service=service(), validate_only=True
    )
    api.result(api.services.create_service(request=request))
    with pytest.raises(NotFound):
        api.get("chat")
    request.service_id = "Chat"
    with pytest.raises(BadRequest):
        api.services.create_service(request=request)


def test_services_are_listed_in_pages(api: Asker) -> None:
    for name in ("a", "b", "c"):
        api.create(name)
    request = run_v2.ListServicesRequest(parent=PARENT, page_size=2)
    pages = list(api.services.list_services(request=request).pages)
    assert [[short(one.name) for one in page.services] for page in pages] == [["a", "b"], ["c"]]


def test_a_deleted_service_is_gone_with_its_revisions(api: Asker) -> None:
    made = api.created("chat")
    operation = api.services.delete_service(name=made.name)
    assert api.result(operation).name == made.name
    with pytest.raises(NotFound):
        api.get("chat")
    with pytest.raises(NotFound):
        api.revision(made.latest_ready_revision)
    assert fetch(made.uri).status_code == 404


def test_permissions_that_are_asked_for_are_told(api: Asker) -> None:
    asked = ["run.services.get", "run.services.update"]
    answer = api.services.test_iam_permissions(
        {"resource": f"{PARENT}/services/chat", "permissions": asked}
    )
    assert list(answer.permissions) == asked
    api.emulator.faults.lacking.add("run.services.update")
    answer = api.services.test_iam_permissions(
        {"resource": f"{PARENT}/services/chat", "permissions": asked}
    )
    assert list(answer.permissions) == asked[:1]


def test_another_region_is_not_implemented_and_another_project_is_denied(api: Asker) -> None:
    with pytest.raises(MethodNotImplemented):
        api.services.get_service(name="projects/p/locations/mars-north1/services/chat")
    with pytest.raises(Forbidden, match=r"Permission 'run\.services\.get' denied on"):
        api.services.get_service(name="projects/q/locations/us-central1/services/chat")


# --- updates ---


def test_an_update_of_the_template_makes_a_revision_and_a_generation(api: Asker) -> None:
    first = api.created("chat", client="loopctl", client_version="1")
    changed = api.get("chat")
    set_variable(changed, "WORD", "two")
    second = api.updated(changed)
    assert (second.generation, second.observed_generation) == (2, 2)
    assert short(second.latest_ready_revision).startswith("chat-00002-")
    assert second.latest_ready_revision != first.latest_ready_revision
    assert (second.client, second.client_version) == ("loopctl", "1")
    assert (second.uri, second.uid) == (first.uri, first.uid)
    assert second.etag != first.etag
    assert fetch(second.uri).text.startswith(short(second.latest_ready_revision))


def test_a_masked_update_changes_nothing_but_what_it_names(api: Asker) -> None:
    first = api.created("chat", labels={"team": "a"})
    changed = run_v2.Service(
        name=first.name,
        description="told",
        traffic=[pinned(first.latest_ready_revision, 100, "now")],
    )
    second = api.updated(changed, "traffic")
    assert second.description == ""
    assert second.labels == {"team": "a"}
    assert second.template == first.template
    assert second.latest_created_revision == first.latest_created_revision
    assert second.generation == 2
    assert [row.tag for row in second.traffic_statuses] == ["now"]


def test_an_update_without_a_mask_replaces_everything(api: Asker) -> None:
    first = api.created("chat", labels={"team": "a"}, description="told")
    second = api.updated(service(name=first.name))
    assert (dict(second.labels), second.description) == ({}, "")


def test_an_old_etag_is_a_conflict_and_none_is_not(api: Asker) -> None:
    first = api.created("chat")
    api.updated(service(name=first.name, description="newer"))
    first.description = "older"
    with pytest.raises(Conflict) as raised:
        api.update(first)
    assert re.fullmatch(
        r"Conflict for resource 'chat': version '.+' was specified but current version is '.+'\.",
        message(raised.value),
    )
    first.etag = ""
    assert api.updated(first).description == "older"


def test_over_grpc_a_conflict_is_aborted_and_a_taken_name_already_exists(
    emulator: Emulator,
) -> None:
    with asking(emulator, "grpc") as api:
        first = api.created("chat", template={"revision": "chat-one"})
        first.etag = '"1"'
        with pytest.raises(Aborted):
            api.update(first)
        taken = service(name=first.name, env={"A": "1"}, template={"revision": "chat-one"})
        with pytest.raises(AlreadyExists):
            api.send(taken)


@pytest.mark.parametrize(
    "namespace",
    [
        "run.googleapis.com",
        "cloud.googleapis.com",
        "serving.knative.dev",
        "autoscaling.knative.dev",
    ],
)
@pytest.mark.parametrize("field", ["labels", "annotations"])
def test_labels_and_annotations_of_the_system_are_refused(
    api: Asker, namespace: str, field: str
) -> None:
    with pytest.raises(BadRequest):
        api.create("chat", **{field: {f"{namespace}/x": "y"}})
    with pytest.raises(BadRequest):
        api.create("chat", template={field: {f"{namespace}/x": "y"}})


def test_a_probe_whose_timeout_is_longer_than_its_period_is_refused(api: Asker) -> None:
    probe = {"timeout_seconds": 11, "period_seconds": 10, "tcp_socket": {}}
    with pytest.raises(BadRequest):
        api.create("chat", container={"startup_probe": probe})
    long = {"timeout_seconds": 1, "period_seconds": 100, "failure_threshold": 3, "tcp_socket": {}}
    with pytest.raises(BadRequest):
        api.create("chat", container={"startup_probe": long})


def test_more_than_one_port_is_refused(api: Asker) -> None:
    ports = [{"container_port": 80}, {"container_port": 81}]
    with pytest.raises(BadRequest):
        api.create("chat", container={"ports": ports})


# --- revisions ---


def test_a_revision_may_have_a_name_of_its_own_once(api: Asker) -> None:
    first = api.created("chat", template={"revision": "chat-one"})
    assert short(first.latest_ready_revision) == "chat-one"
    again = api.get("chat")
    set_variable(again, "WORD", "two")
    with pytest.raises(Conflict) as raised:
        api.send(again)
    assert message(raised.value) == (
        "Revision named 'chat-one' with different configuration already exists."
    )
    again.template.revision = "chat-two"
    assert short(api.result(api.send(again)).latest_ready_revision) == "chat-two"


@pytest.mark.parametrize("name", ["one", "other-one", "chat-One", "chat-", "chat-" + "x" * 59])
def test_a_name_that_no_revision_of_the_service_may_have_is_refused(api: Asker, name: str) -> None:
    with pytest.raises(BadRequest) as raised:
        api.create("chat", template={"revision": name})
    assert message(raised.value).endswith(
        "only lowercase, digits, and hyphens; must begin with letter, and may not end with "
        "hyphen; must be less than 64 characters."
    )


def test_a_revision_keeps_its_template_and_has_no_terminal_condition(api: Asker) -> None:
    made = api.created("chat", env={"A": "1"}, template={"labels": {"run": "r1"}})
    revision = api.revision(made.latest_ready_revision)
    assert short(revision.service) == "chat"
    assert revision.labels == {"run": "r1"}
    assert revision.containers[0].env[0].value == "1"
    assert revision.containers[0].image.startswith(f"{IMAGE.rpartition(':')[0]}@sha256:")
    assert made.template.containers[0].image == IMAGE
    assert condition(revision, "Ready").state == State.CONDITION_SUCCEEDED
    assert not hasattr(revision, "terminal_condition")


def test_a_healthy_revision_without_traffic_is_retired_and_yet_ready(api: Asker) -> None:
    first = api.created("chat")
    api.updated(service(name=first.name, env={"A": "1"}))
    old = api.revision(first.latest_ready_revision)
    ready, active = condition(old, "Ready"), condition(old, "Active")
    assert ready.state == State.CONDITION_SUCCEEDED
    assert ready.revision_reason == run_v2.Condition.RevisionReason.RETIRED
    assert active.state == State.CONDITION_FAILED
    assert active.severity == run_v2.Condition.Severity.INFO
    minimum = condition(old, "MinInstancesProvisioned")
    assert minimum.severity == run_v2.Condition.Severity.INFO


def test_revisions_are_listed_and_only_retired_ones_are_deleted(api: Asker) -> None:
    first = api.created("chat")
    second = api.updated(service(name=first.name, env={"A": "1"}))
    listed = api.revisions.list_revisions(parent=first.name)
    assert {one.name for one in listed} == {
        first.latest_ready_revision,
        second.latest_ready_revision,
    }
    with pytest.raises(BadRequest):  # FailedPrecondition is one
        api.revisions.delete_revision(name=second.latest_ready_revision)
    operation = api.revisions.delete_revision(name=first.latest_ready_revision)
    assert api.result(operation).name == first.latest_ready_revision
    with pytest.raises(NotFound):
        api.revision(first.latest_ready_revision)


# --- traffic ---


def test_traffic_goes_to_the_latest_where_nothing_else_is_said(api: Asker) -> None:
    made = api.created("chat")
    assert [(row.type_, row.percent) for row in made.traffic_statuses] == [(LATEST, 100)]


def test_a_candidate_gets_a_url_of_its_own_and_no_traffic(api: Asker) -> None:
    first = api.created("chat", template={"revision": "chat-one"})
    rows = [pinned("chat-one", 100), pinned("chat-two", 0, "next")]
    changed = service(
        name=first.name, env={"A": "1"}, template={"revision": "chat-two"}, traffic=rows
    )
    second = api.result(api.send(changed))
    candidate = second.traffic_statuses[1]
    assert (candidate.revision, candidate.percent, candidate.tag) == ("chat-two", 0, "next")
    assert fetch(candidate.uri).text.startswith("chat-two ")
    assert fetch(second.uri).text.startswith("chat-one ")
    assert short(second.latest_ready_revision) == "chat-two"
    promoted = api.routed("chat", pinned("chat-two", 100, "next"))
    assert promoted.traffic_statuses[0].uri == candidate.uri
    assert fetch(second.uri).text.startswith("chat-two ")


def test_a_pin_stays_where_it_is_when_a_newer_revision_is_deployed(api: Asker) -> None:
    first = api.created("chat")
    api.routed("chat", pinned(first.latest_ready_revision, 100))
    changed = api.get("chat")
    set_variable(changed, "A", "1")
    second = api.updated(changed)
    assert second.latest_ready_revision != first.latest_ready_revision
    assert fetch(second.uri).text.startswith(short(first.latest_ready_revision))


def test_a_split_serves_both(api: Asker) -> None:
    first = api.created("chat", template={"revision": "chat-one"})
    changed = service(name=first.name, env={"A": "1"}, template={"revision": "chat-two"})
    api.result(api.send(changed))
    split = api.routed("chat", pinned("chat-one", 50), pinned("chat-two", 50))
    with httpx.Client(trust_env=False) as http:
        seen = {http.get(split.uri).text.split()[0] for _ in range(20)}
    assert seen == {"chat-one", "chat-two"}


def test_a_tag_that_is_too_long_for_its_service_is_refused(api: Asker) -> None:
    first = api.created("chat")
    tag = "t" * 43
    with pytest.raises(BadRequest) as raised:
        api.routed("chat", pinned(first.latest_ready_revision, 100, tag))
    assert message(raised.value) == (
        f"spec.traffic.tag: traffic tag '{tag}' and service name 'chat' together are too long. "
        "Combined traffic tag and service name cannot exceed 46 characters."
    )
    assert raised.value.details
    routed = api.routed("chat", pinned(first.latest_ready_revision, 100, "t" * 42))
    assert routed.traffic_statuses[0].tag == "t" * 42


def test_traffic_that_is_not_all_of_it_is_refused(api: Asker) -> None:
    first = api.created("chat")
    with pytest.raises(BadRequest):
        api.routed("chat", pinned(first.latest_ready_revision, 50))


def test_traffic_to_a_missing_revision_fails_and_nothing_moves(api: Asker) -> None:
    first = api.created("chat")
    changed = run_v2.Service(name=first.name, traffic=[pinned("chat-nobody", 100)])
    error = api.failure(api.update(changed, "traffic"))
    assert error.message == (
        "Revision 'chat-nobody' does not exist or is deleted. Update all traffic to route to "
        "currently available revisions."
    )
    after = api.get("chat")
    assert after.traffic_statuses == first.traffic_statuses
    assert after.traffic[0].revision == "chat-nobody"
    assert (after.generation, after.observed_generation) == (2, 1)
    assert fetch(first.uri).status_code == 200


def test_a_tag_of_a_deleted_revision_blocks_later_changes_of_traffic(api: Asker) -> None:
    first = api.created("chat", template={"revision": "chat-one"})
    changed = service(name=first.name, env={"A": "1"}, template={"revision": "chat-two"})
    api.result(api.send(changed))
    api.routed("chat", pinned("chat-two", 100), pinned("chat-one", 0, "old"))
    api.result(api.revisions.delete_revision(name=first.latest_ready_revision))
    blocked = run_v2.Service(
        name=first.name, traffic=[pinned("chat-two", 100, "new"), pinned("chat-one", 0, "old")]
    )
    assert "does not exist or is deleted" in api.failure(api.update(blocked, "traffic")).message
    assert api.routed("chat", pinned("chat-two", 100)).reconciling is False


# --- failed deploys ---


def test_a_failed_deploy_leaves_what_serves_and_keeps_the_bad_template(api: Asker) -> None:
    first = api.created("chat")
    error = api.failure(api.update(service(name=first.name, env=BAD)))
    after = api.get("chat")
    bad = short(after.latest_created_revision)
    text = (
        "The user-provided container failed to start and listen on the port defined provided by "
        "the PORT=8080 environment variable within the allocated timeout."
    )
    assert error.message.startswith(f"Revision '{bad}' is not ready and cannot serve traffic. ")
    assert text in error.message
    assert "Logs URL: https://console.cloud.google.com/logs/viewer?project=p" in error.message
    assert after.template.containers[0].env[0].name == "EXIT"
    assert after.latest_ready_revision == first.latest_ready_revision
    assert after.traffic_statuses == first.traffic_statuses
    assert (after.generation, after.observed_generation, after.reconciling) == (2, 1, False)
    assert after.terminal_condition.state == State.CONDITION_FAILED
    assert text in condition(after, "RoutesReady").message
    assert fetch(first.uri).text.startswith(short(first.latest_ready_revision))


def test_a_failed_revision_tells_that_its_container_is_unhealthy(api: Asker) -> None:
    api.failure(api.create("chat", env=BAD))
    made = api.get("chat")
    assert (made.latest_ready_revision, made.uri, list(made.traffic_statuses)) == ("", "", [])
    revision = api.revision(made.latest_created_revision)
    assert condition(revision, "Ready").state == State.CONDITION_FAILED
    assert condition(revision, "ContainerReady").state == State.CONDITION_SUCCEEDED
    unhealthy = condition(revision, "ContainerHealthy")
    assert unhealthy.state == State.CONDITION_FAILED
    assert unhealthy.revision_reason == (
        run_v2.Condition.RevisionReason.HEALTH_CHECK_CONTAINER_ERROR
    )


def test_a_failed_start_is_a_failed_precondition(emulator: Emulator) -> None:
    with asking(emulator, "grpc") as api:
        operation = api.create("chat", env=BAD)
        assert isinstance(api.failure(operation), FailedPrecondition)
        assert operation.operation.error.code == 9
        assert operation.metadata.name == f"{PARENT}/services/chat"


def test_a_revision_without_traffic_is_health_checked_too(api: Asker) -> None:
    first = api.created("chat")
    api.routed("chat", pinned(first.latest_ready_revision, 100))
    changed = api.get("chat")
    set_variable(changed, "EXIT", "1")
    assert "is not ready and cannot serve traffic" in api.failure(api.update(changed)).message


def test_an_image_that_is_not_there(api: Asker) -> None:
    error = api.failure(api.create("chat", image="europe-docker.pkg.dev/p/r/none:1"))
    bad = short(api.get("chat").latest_created_revision)
    assert error.message == (
        f"Revision '{bad}' is not ready and cannot serve traffic. Image "
        "'europe-docker.pkg.dev/p/r/none:1' not found."
    )


def test_a_configured_probe_that_fails_has_a_text_of_its_own(api: Asker) -> None:
    probe = {"period_seconds": 10, "failure_threshold": 2, "http_get": {"path": "/hang"}}
    error = api.failure(api.create("chat", container={"startup_probe": probe}))
    assert (
        "The user-provided container failed the configured startup probe checks. Logs for this "
        "revision might contain more information." in error.message
    )


def test_the_next_deploy_after_a_failed_one_is_the_third(api: Asker) -> None:
    first = api.created("chat")
    api.failure(api.update(service(name=first.name, env=BAD)))
    third = api.updated(service(name=first.name, env={"A": "1"}))
    assert (third.generation, third.observed_generation) == (3, 3)
    assert short(third.latest_ready_revision).startswith("chat-00003-")


# --- secrets ---


def secret_variable(version: str = "latest") -> dict[str, object]:
    reference = {"secret_key_ref": {"secret": "key", "version": version}}
    return {"env": [{"name": "KEY", "value_source": reference}]}


def test_a_secret_is_in_the_environment(api: Asker) -> None:
    api.emulator.secrets["key"] = {"1": "old", "2": "new"}
    made = api.created("chat", container=secret_variable())
    assert fetch(f"{made.uri}/environment").json()["KEY"] == "new"


def test_a_secret_that_is_not_there(api: Asker) -> None:
    error = api.failure(api.create("chat", container=secret_variable()))
    assert re.search(
        r"Secret projects/\d+/secrets/key/versions/latest was not found", error.message
    )


# --- operations ---


def test_operations_are_waited_for_listed_and_forgotten(api: Asker) -> None:
    operation = api.create("chat")
    name = operation.operation.name
    waited = api.services.wait_operation({"name": name, "timeout": {"seconds": 20}})
    if isinstance(waited, bytes):  # gRPC's client leaves it unread
        waited = operations_pb2.Operation.FromString(waited)
    assert waited.done
    listed = api.services.list_operations({"name": PARENT})
    assert name in {one.name for one in listed.operations}
    api.services.delete_operation({"name": name})
    with pytest.raises(NotFound):
        api.services.get_operation({"name": name})


def test_operations_cannot_be_cancelled(emulator: Emulator) -> None:
    with asking(emulator, "grpc") as api:
        operation = api.create("chat")
        with pytest.raises(MethodNotImplemented):
            operation.cancel()


# --- the calls themselves ---


def test_every_call_is_recorded_with_its_routing_header(emulator: Emulator) -> None:
    with asking(emulator, "grpc") as api:
        api.created("chat")
        api.get("chat")
    methods = [call.method for call in emulator.calls]
    assert methods[0] == "CreateService"
    assert methods[-1] == "GetService"
    assert emulator.calls[0].call.headers["x-goog-request-params"] == "location=us-central1"


def test_enums_unknown_fields_and_names_over_plain_http(emulator: Emulator) -> None:
    """PATCH with names or numbers of enums, and fields that nobody knows."""
    with asking(emulator, "rest") as api, httpx.Client(trust_env=False, timeout=20) as http:
        made = api.created("chat", template={"revision": "chat-one"})
        url = f"{emulator.rest_endpoint}/v2/{made.name}"
        for kind in ("TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", 2):
            row = {"type": kind, "revision": "chat-one", "percent": 100, "colour": "blue"}
            answer = http.patch(f"{url}?updateMask=traffic", json={"traffic": [row]})
            assert answer.status_code == 200
        asked = {"update_mask": "launch_stage,description"}
        assert http.patch(url, params=asked, json={"launchStage": "BETA"}).status_code == 200
        read = http.get(url).json()
        assert read["traffic"][0]["type"] == "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
        assert (read["launchStage"], read["generation"].isdigit()) == ("BETA", True)
        missing = http.get(f"{emulator.rest_endpoint}/v2/{PARENT}/services/nobody")
        assert missing.status_code == 404
        assert missing.json()["error"]["status"] == "NOT_FOUND"
        assert missing.json()["error"]["code"] == 404
        broken = http.post(f"{emulator.rest_endpoint}/v2/{PARENT}/services", content=b"{")
        assert broken.json()["error"]["status"] == "INVALID_ARGUMENT"
