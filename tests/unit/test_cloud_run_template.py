"""What a revision is made from: the one that serves, the loop file's fields, and its fragment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud.run_v2 import Revision, RevisionTemplate, Service

from loopctl.model.artifact import Target
from loopctl.model.plan import BuildSpec, HealthSpec, RunSpec, SecretSpec, ServiceSpec
from loopctl.platforms.cloud_run import template
from loopctl.platforms.cloud_run.deployment import is_made_of
from loopctl.platforms.cloud_run.lease_mark import (
    LEASE,
    mark_of,
    new_mark,
    prolonged,
    put,
    require_held,
)
from loopctl.platforms.cloud_run.state import made_at, state_of, wishes
from loopctl.platforms.cloud_run.template import KEY, RESTORES
from loopctl.platforms.cloud_run.verified import VERIFIED, entries_of
from loopctl.ports.leases import LeaseLost

FULL = "projects/p/locations/r/services/chat/revisions/"
NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def spec(**run: Any) -> ServiceSpec:
    return ServiceSpec("chat", BuildSpec("docker"), RunSpec(**run), HealthSpec())


def service(container: dict[str, Any] | None = None, **given: Any) -> Service:
    made = {"containers": [{"image": "old", **(container or {})}]}
    return Service(template={**made, **given.pop("template", {})}, **given)


# --- the base ---


def test_the_base_is_the_services_own_where_that_is_what_serves() -> None:
    found = service(
        latest_created_revision=f"{FULL}chat-1",
        template={"revision": "chat-1", "timeout": {"seconds": 9}, "annotations": {KEY: "a/1/b/c"}},
    )
    serving = Revision(name=f"{FULL}chat-1", annotations={KEY: "a/1/b/c"})
    base = template.base_of(found, serving)
    assert base.timeout.seconds == 9
    assert base.revision == ""
    assert KEY not in base.annotations


@pytest.mark.parametrize(
    ("created", "given"),
    [
        ("chat-2", {}),
        ("chat-2", {"revision": "chat-2"}),
        # The newest is told late.
        ("chat-1", {"revision": "chat-2"}),
        ("chat-1", {"annotations": {KEY: "of/2/chat/another"}}),
    ],
)
def test_the_base_is_the_serving_revision_where_the_template_is_anothers(
    created: str, given: dict[str, Any]
) -> None:
    found = service(
        {"image": "bad"},
        latest_created_revision=created,
        template={"timeout": {"seconds": 9}, **given},
    )
    serving = Revision(
        name=f"{FULL}chat-1",
        containers=[{"image": "good", "name": "app"}, {"image": "side"}],
        timeout={"seconds": 77},
        service_account="a@b",
        scaling={"max_instance_count": 4},
        labels={"team": "x", "run.googleapis.com/y": "z"},
        annotations={"own": "1", RESTORES: "chat-0", "serving.knative.dev/creator": "me"},
        vpc_access={"connector": "c"},
        volumes=[{"name": "v", "secret": {"secret": "s"}}],
        session_affinity=True,
        execution_environment=2,
    )
    base = template.base_of(found, serving)
    assert [each.image for each in base.containers] == ["good", "side"]
    assert base.timeout.seconds == 77
    assert base.service_account == "a@b"
    assert base.scaling.max_instance_count == 4
    assert dict(base.labels) == {"team": "x"}
    assert dict(base.annotations) == {"own": "1"}
    assert base.vpc_access.connector == "c"
    assert base.volumes[0].secret.secret == "s"
    assert base.session_affinity is True
    assert base.execution_environment == 2


# --- the loop file's fields ---


def test_nothing_named_changes_nothing_but_the_image() -> None:
    found = service({"command": ["serve"], "args": ["-v"]})
    before = Service(found)
    template.with_spec(found.template, spec(), "image@sha256:1", {})
    before.template.containers[0].image = "image@sha256:1"
    assert found == before


def test_requests_go_to_the_container_with_the_port() -> None:
    found = Service(
        template={
            "containers": [
                {"name": "proxy", "image": "proxy"},
                {"name": "app", "image": "old", "ports": [{"name": "h2c", "container_port": 81}]},
            ]
        }
    )
    template.with_spec(found.template, spec(port=82, command=("a", "b", "c")), "new", {})
    proxy, app = found.template.containers
    assert proxy.image == "proxy"
    assert (app.image, list(app.command), list(app.args)) == ("new", ["a"], ["b", "c"])
    assert (app.ports[0].name, app.ports[0].container_port) == ("h2c", 82)


def test_variables_merge_by_name() -> None:
    found = service(
        {
            "env": [
                {"name": "A", "value": "1"},
                {"name": "B", "value": "2"},
                {"name": "C", "value": "3"},
            ]
        }
    )
    wanted = spec(
        env={"A": "9", "B": None, "D": "4"},
        secrets=(
            SecretSpec("C", reference="jwt:5"),
            SecretSpec("E", reference="projects/q/secrets/s:latest"),
        ),
    )
    template.with_spec(found.template, wanted, "new", {"A": "9", "D": "4"})
    env = {each.name: each for each in found.template.containers[0].env}
    assert set(env) == {"A", "C", "D", "E"}
    assert (env["A"].value, env["D"].value) == ("9", "4")
    told = env["C"].value_source.secret_key_ref
    assert (told.secret, told.version, env["C"].value) == ("jwt", "5", "")
    assert env["E"].value_source.secret_key_ref.secret == "projects/q/secrets/s"


@pytest.mark.parametrize(
    ("resources", "run", "limits", "idle"),
    [
        (None, {"memory": 512 * 2**20}, {"memory": "512Mi"}, True),
        (None, {"cpu": "2"}, {"cpu": "2"}, True),
        (
            {"limits": {"cpu": "1"}, "cpu_idle": False},
            {"memory": 1000},
            {"cpu": "1", "memory": "1000"},
            False,
        ),
        ({"limits": {"cpu": "1"}, "cpu_idle": True}, {"cpu": "4"}, {"cpu": "4"}, True),
        (None, {}, {}, False),
    ],
)
def test_how_cpu_is_billed_stays_as_it_was(
    resources: dict[str, Any] | None, run: dict[str, Any], limits: dict[str, str], idle: bool
) -> None:
    found = service({} if resources is None else {"resources": resources})
    template.with_spec(found.template, spec(**run), "new", {})
    made = found.template.containers[0].resources
    assert (dict(made.limits), made.cpu_idle) == (limits, idle)


def test_scaling_merges_and_the_rest_is_set() -> None:
    found = service(template={"scaling": {"min_instance_count": 1, "max_instance_count": 9}})
    template.with_spec(
        found.template,
        spec(max_instances=3, concurrency=7, timeout_s=2.5, service_account="a@b"),
        "new",
        {},
    )
    made = found.template
    assert (made.scaling.min_instance_count, made.scaling.max_instance_count) == (1, 3)
    assert made.max_instance_request_concurrency == 7
    assert RevisionTemplate.pb(made).timeout == template.duration_of(2.5)
    assert made.service_account == "a@b"


# --- the fragment ---


@pytest.mark.parametrize("key", ["service_account", "serviceAccount"])
def test_a_fragment_is_taken_in_both_spellings(key: str) -> None:
    found = service()
    template.merged_fragment(found, {"template": {key: "x@y"}})
    assert found.template.service_account == "x@y"
    assert found.template.containers[0].image == "old"


def test_a_fragment_merges_maps_by_key_and_containers_by_name() -> None:
    found = service(
        {"name": "app", "resources": {"limits": {"cpu": "1"}}},
        template={"labels": {"a": "1"}},
    )
    template.merged_fragment(
        found,
        {
            "template": {
                "labels": {"snake_case": "kept"},
                "containers": [
                    {"name": "app", "resources": {"limits": {"memory": "1Gi"}}},
                    {"name": "side", "image": "s"},
                ],
            }
        },
    )
    assert dict(found.template.labels) == {"a": "1", "snake_case": "kept"}
    app, side = found.template.containers
    assert (app.image, dict(app.resources.limits)) == ("old", {"cpu": "1", "memory": "1Gi"})
    assert (side.name, side.image) == ("side", "s")


@pytest.mark.parametrize(
    "wrong", [{"tmplate": {}}, {"template": {"containers": 3}}, {"ingress": "NO"}]
)
def test_what_is_no_part_of_a_service_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        template.merged_fragment(service(), wrong)


def test_the_paths_that_a_fragment_changes() -> None:
    assert template.paths_of({"template": {}, "launchStage": "BETA", "custom_audiences": []}) == {
        "template",
        "launch_stage",
        "custom_audiences",
    }


# --- whose the newest template is ---


@pytest.mark.parametrize(
    ("found", "made_of"),
    [
        (service(template={"revision": "chat-2"}), True),
        (service(template={"revision": f"{FULL}chat-2"}), True),
        (service(latest_created_revision=f"{FULL}chat-2"), True),
        (service(latest_created_revision="chat-1"), False),
        (service(template={"revision": "chat-3"}, latest_created_revision="chat-2"), False),
        (service(template={"annotations": {KEY: "k"}}, reconciling=True), True),
        (service(template={"annotations": {KEY: "k"}}), True),
        (service(template={"annotations": {KEY: "k"}}, latest_created_revision="chat-3"), False),
        (
            service(
                template={"annotations": {RESTORES: "chat-2"}}, latest_created_revision="chat-2"
            ),
            False,
        ),
    ],
)
def test_whose_the_newest_template_is(found: Service, made_of: bool) -> None:
    assert is_made_of(found, "chat-2", "k") is made_of


# --- what the loop sees ---


def test_a_strangers_write_changes_the_token_and_our_own_notes_do_not() -> None:
    found = service(annotations={"x": "y"}, generation=3, etag='"1"')
    token = wishes(found)
    found.generation, found.etag, found.reconciling = 4, '"2"', True
    put(found, new_mark("run-1", "f", NOW, 60))
    found.annotations = {**dict(found.annotations), VERIFIED: "[]"}
    assert wishes(found) == token
    for change in ({"labels": {"a": "b"}}, {"ingress": 1}, {"annotations": {"x": "z"}}):
        assert wishes(Service(found, **change)) != token
    other = Service(found)
    other.template.containers[0].image = "another"
    assert wishes(other) != token


def test_an_address_and_a_time_that_are_not_told_are_none() -> None:
    state = state_of(Service(name="a/b/chat"), [Revision(name=f"{FULL}chat-1")])
    assert (state.service, state.url, state.traffic) == ("chat", "", {})
    assert state.revisions[0].name == "chat-1"
    assert made_at(Revision()).year == 1970
    listed = state_of(Service(name="chat", urls=["https://chat.run.app/"]), [])
    assert (listed.url, listed.ws_url) == ("https://chat.run.app", "wss://chat.run.app")


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[]", "{}", '{"v":1}', '[{"revision":1}]', "null"]
)
def test_notes_that_cannot_be_read_are_none(text: str) -> None:
    found = service(annotations={LEASE: text, VERIFIED: text})
    assert mark_of(found) is None
    assert entries_of(found) == []


def test_a_lease_is_read_as_it_was_written_and_lasts_longer_never_shorter() -> None:
    found = service()
    mark = new_mark("run-1", "f-1", NOW, 60)
    put(found, mark)
    assert mark_of(found) == mark
    assert mark.is_live(NOW + timedelta(seconds=59))
    assert not mark.is_live(NOW + timedelta(seconds=60))
    assert prolonged(mark, NOW, 30).until == mark.until
    assert prolonged(mark, NOW, 90).until == NOW + timedelta(seconds=90)
    held = mark.held((Target("cloud-run", "p/r", "chat"),))
    assert require_held(found, held, "chat") == mark
    put(found, new_mark("run-2", "f-2", NOW, 60))
    with pytest.raises(LeaseLost, match="taken by run run-2"):
        require_held(found, held, "chat")
    put(found, None)
    with pytest.raises(LeaseLost, match="somebody has released it"):
        require_held(found, held, "chat")
