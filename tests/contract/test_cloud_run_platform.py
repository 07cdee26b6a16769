"""What only the platform on Cloud Run promises: of other people's settings, tags and writes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from cloud_run_rig import ProcessCloudRunRig, cloud_run_rig
from emulator_rig import Asker, asking, entries, pinned, short
from google.cloud import run_v2
from platform_rig import SERVE, get

from emulator.faults import Fault, aborted, deadline_exceeded, overtaken, unavailable
from loopctl.model.artifact import Revision, ServiceState
from loopctl.model.finding import FaultKind
from loopctl.model.plan import SecretSpec
from loopctl.platforms.cloud_run.names import revision_name, tag_of
from loopctl.platforms.cloud_run.template import KEY, RESTORES, duration_of
from loopctl.ports.leases import HeldByOther, LeaseLost
from loopctl.ports.platform import Dead, PlatformError, Present, Ready, Unknown

EXITS = "import sys\nprint('no such table: rooms', file=sys.stderr)\nsys.exit(3)\n"
WRITES = ("CreateService", "UpdateService")


@pytest.fixture
def rig() -> Iterator[ProcessCloudRunRig]:
    with cloud_run_rig({"jwt-key": "s3cr3t-value-of-the-test"}) as made:
        made.emulator.secrets["jwt-key"] = {"1": "s3cr3t-value-of-the-test"}
        yield made


@pytest.fixture
def person(rig: ProcessCloudRunRig) -> Iterator[Asker]:
    """Somebody with gcloud: writes to the service without loopctl."""
    with asking(rig.emulator, "grpc") as made:
        yield made


def state_of(rig: ProcessCloudRunRig) -> ServiceState:
    state = rig.platform.observe("chat", rig.stop)
    assert isinstance(state, ServiceState)
    return state


def revisions(rig: ProcessCloudRunRig) -> list[str]:
    return [short(name) for name in rig.emulator.state.revisions]


def template_of(rig: ProcessCloudRunRig) -> Any:
    return rig.emulator.state.service("chat").template


def count(rig: ProcessCloudRunRig, method: str) -> int:
    return sum(1 for call in rig.emulator.calls if call.method == method)


def existing(rig: ProcessCloudRunRig, person: Asker, **template: Any) -> Revision:
    """A service that a person made, with much that no loop file names."""
    artifact = rig.artifact(SERVE)
    main = {
        "name": "app",
        "image": artifact.location,
        "command": ["python3", "main.py"],
        "env": [{"name": "MODE", "value": "old"}, {"name": "KEEP", "value": "me"}],
        "ports": [{"name": "http1", "container_port": 9000}],
        "resources": {
            "limits": {"cpu": "2", "memory": "1Gi"},
            "cpu_idle": False,
            "startup_cpu_boost": True,
        },
        "volume_mounts": [{"name": "cloudsql", "mount_path": "/cloudsql"}],
        "startup_probe": {
            "tcp_socket": {"port": 9000},
            "period_seconds": 7,
            "failure_threshold": 34,
        },
    }
    made = {
        "containers": [main, {"name": "proxy", "image": artifact.location, "args": ["--tunnel"]}],
        "labels": {"team": "rooms"},
        "annotations": {"example.com/owner": "rooms@example.com"},
        "vpc_access": {"connector": "projects/p/locations/r/connectors/c", "egress": 1},
        "volumes": [
            {"name": "cloudsql", "cloud_sql_instance": {"instances": ["p:us-central1:rooms"]}}
        ],
        "service_account": "rooms@p.iam.gserviceaccount.com",
        "timeout": {"seconds": 77},
        "max_instance_request_concurrency": 17,
        "session_affinity": True,
        **template,
    }
    begun = person.services.create_service(
        parent=rig.emulator.state.place.parent,
        service_id="chat",
        service=run_v2.Service(
            template=made, labels={"cost": "42"}, annotations={"example.com/x": "y"}
        ),
    )
    person.result(begun)
    (made_of_it,) = state_of(rig).revisions
    return made_of_it


# --- what the loop file does not name ---


def test_of_an_existing_service_only_what_is_named_changes(
    rig: ProcessCloudRunRig, person: Asker
) -> None:
    old = existing(rig, person)
    before = rig.emulator.state.service("chat")
    new = rig.deploy(SERVE, rig.hold(), env={"MODE": "new"}, memory=2 * 2**30)
    rig.ready(new)
    after = rig.emulator.state.service("chat")
    app, had = after.template.containers[0], before.template.containers[0]
    assert list(app.command) == [rig.command[0]]
    assert dict(app.resources.limits) == {"cpu": "2", "memory": "2048Mi"}
    assert app.resources.cpu_idle is False
    assert app.resources.startup_cpu_boost is True
    for name in ("name", "ports", "volume_mounts", "startup_probe"):
        assert getattr(app, name) == getattr(had, name), name
    assert after.template.containers[1] == before.template.containers[1]
    for name in (
        "labels",
        "vpc_access",
        "volumes",
        "service_account",
        "timeout",
        "max_instance_request_concurrency",
        "session_affinity",
    ):
        assert getattr(after.template, name) == getattr(before.template, name), name
    told = dict(after.template.annotations)
    assert told.pop(KEY).startswith("run-1/")
    assert told == {"example.com/owner": "rooms@example.com"}
    assert dict(after.labels) == {"cost": "42"}
    assert after.annotations["example.com/x"] == "y"
    assert state_of(rig).traffic == {old.name: 100}


def test_variables_merge_null_removes_and_secrets_are_references(
    rig: ProcessCloudRunRig, person: Asker
) -> None:
    existing(rig, person)
    artifact = rig.artifact(SERVE)
    spec = rig.spec(env={"KEEP": None, "MODE": "${not for here}"})
    assert spec.run.secrets == (SecretSpec("jwt-key", reference="jwt-key:latest"),)
    held = rig.hold()
    made = rig.platform.deploy(
        spec, artifact, rig.key(artifact), {"MODE": "new"}, "none", held, rig.stop
    )
    rig.ready(made)
    env = {each.name: each for each in template_of(rig).containers[0].env}
    assert set(env) == {"MODE", "jwt-key"}
    assert env["MODE"].value == "new"
    assert env["jwt-key"].value_source.secret_key_ref.secret == "jwt-key"
    assert env["jwt-key"].value_source.secret_key_ref.version == "latest"
    sent = b"".join(
        call.request.SerializeToString() for call in rig.emulator.calls if call.request is not None
    )
    assert b"s3cr3t-value" not in sent
    assert not any("s3cr3t-value" in str(entry) for entry in entries(rig.emulator))


def test_a_fragment_is_merged_deep_and_by_name(rig: ProcessCloudRunRig, person: Asker) -> None:
    existing(rig, person)
    fragment = {
        "ingress": "INGRESS_TRAFFIC_INTERNAL_ONLY",
        "template": {
            "sessionAffinity": False,
            "vpc_access": {"egress": "ALL_TRAFFIC"},
            "containers": [{"name": "proxy", "args": ["--quiet"]}],
        },
    }
    rig.ready(rig.deploy(SERVE, rig.hold(), cloud_run=fragment))
    found = rig.emulator.state.service("chat")
    assert found.ingress == 2
    assert found.template.session_affinity is False
    assert found.template.vpc_access.connector == "projects/p/locations/r/connectors/c"
    assert found.template.vpc_access.egress == 1
    assert [each.name for each in found.template.containers] == ["app", "proxy"]
    assert list(found.template.containers[1].args) == ["--quiet"]
    assert found.template.containers[1].image


def test_the_base_is_what_serves_and_never_a_failed_template(
    rig: ProcessCloudRunRig, person: Asker
) -> None:
    existing(rig, person)
    broken = person.get("chat")
    broken.template.containers[0].env.append(run_v2.EnvVar(name="BROKEN", value="1"))
    broken.template.containers[0].command = ["no-such-program"]
    broken.template.timeout = duration_of(5)
    person.failure(person.update(broken, "template"))
    rig.ready(rig.deploy(SERVE, rig.hold()))
    template = template_of(rig)
    assert template.timeout.seconds == 77
    assert "BROKEN" not in {each.name for each in template.containers[0].env}


def test_the_tags_of_others_stay_also_those_of_the_newest(
    rig: ProcessCloudRunRig, person: Asker
) -> None:
    old = existing(rig, person)
    latest: dict[str, Any] = {"type_": 1, "percent": 0, "tag": "newest"}
    person.routed("chat", pinned(old.name, 100), pinned(old.name, 0, "theirs"), latest)
    held = rig.hold()
    new = rig.deploy(SERVE, held)
    rig.ready(new)
    rig.platform.route("chat", {new.name: 100}, held, rig.stop)
    rig.verified.record(new, "run-1", held, rig.stop)
    rows = {row.tag: row for row in rig.emulator.state.service("chat").traffic}
    assert set(rows) == {"", "theirs", "newest"}
    assert rows["theirs"].revision == old.name
    assert rows["newest"].type_ == 1
    assert (rows[""].revision, rows[""].percent) == (new.name, 100)


# --- what is sent ---


def test_every_deployment_names_its_revision_and_traffic_alone_makes_none(
    rig: ProcessCloudRunRig,
) -> None:
    held = rig.hold()
    old = rig.deploy(SERVE, held, share="all")
    rig.ready(old)
    new = rig.deploy(SERVE, held)
    rig.ready(new)
    for name in (new.name, old.name, new.name):
        rig.platform.route("chat", {name: 100}, held, rig.stop)
    rig.verified.record(new, "run-1", held, rig.stop)
    assert revisions(rig) == [old.name, new.name]
    for call in rig.emulator.calls:
        if call.method == "UpdateService":
            request: Any = call.request
            masked = "template" in request.update_mask.paths
            assert bool(request.service.template.revision) == masked
            assert request.service.etag


def test_with_nobody_served_the_next_revision_takes_all_traffic(rig: ProcessCloudRunRig) -> None:
    held = rig.hold()
    bad = rig.deploy(EXITS, held, share="all")
    assert rig.dead(bad).fault.value == "3"
    rig.platform.discard(bad, held, rig.stop)
    assert revisions(rig) == [bad.name], "there is nothing to put back"
    assert state_of(rig).traffic == {}
    good = rig.deploy(SERVE, held)
    assert get(rig.ready(good).url) == (200, good.name)
    assert state_of(rig).traffic == {good.name: 100}


# --- conflicts and unknown outcomes ---


def test_a_conflict_is_read_again_and_applied_again(rig: ProcessCloudRunRig) -> None:
    held = rig.hold()
    rig.ready(rig.deploy(SERVE, held, share="all"))
    rig.emulator.faults.on("UpdateService", aborted("chat"), times=2)
    new = rig.deploy(SERVE, held)
    rig.ready(new)
    assert len(revisions(rig)) == 2
    rig.emulator.faults.on("UpdateService", aborted("chat"), times=2)
    assert rig.platform.route("chat", {new.name: 100}, held, rig.stop).traffic == {new.name: 100}


def test_a_conflict_that_only_the_operation_tells_is_applied_again(
    rig: ProcessCloudRunRig,
) -> None:
    held = rig.hold()
    old = rig.deploy(SERVE, held, share="all")
    rig.ready(old)
    rig.emulator.faults.on("UpdateService", overtaken("chat"), times=2)
    new = rig.deploy(SERVE, held)
    assert get(rig.ready(new).url) == (200, new.name)
    rig.emulator.faults.on("UpdateService", overtaken("chat"), times=2)
    assert rig.platform.route("chat", {new.name: 100}, held, rig.stop).traffic == {new.name: 100}
    rig.emulator.faults.on("UpdateService", overtaken("chat"), times=2)
    rig.verified.record(new, "run-1", held, rig.stop)
    assert rig.verified.recall("chat", rig.stop) == [new.name]
    assert revisions(rig) == [old.name, new.name]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("fault", [unavailable(), deadline_exceeded()], ids=["away", "late"])
def test_an_unknown_outcome_makes_nothing_twice(
    rig: ProcessCloudRunRig, fault: Any, after: bool
) -> None:
    for method in WRITES:
        rig.emulator.faults.on(method, Fault(fault, after=after))
    held = rig.hold()
    old = rig.deploy(SERVE, held, share="all")
    rig.ready(old)
    rig.emulator.faults.on("UpdateService", Fault(fault, after=after))
    new = rig.deploy(SERVE, held)
    rig.ready(new)
    rig.emulator.faults.on("UpdateService", Fault(fault, after=after))
    rig.platform.route("chat", {new.name: 100}, held, rig.stop)
    assert revisions(rig) == [old.name, new.name]
    assert state_of(rig).traffic == {new.name: 100}


@pytest.mark.slow
def test_a_stuck_operation_hides_no_readiness(rig: ProcessCloudRunRig) -> None:
    held = rig.hold()
    rig.ready(rig.deploy(SERVE, held, share="all"))
    done = threading.Event()

    def stick() -> None:
        """Operations that never end, although what they stand for is done."""
        state = rig.emulator.state
        while not done.wait(0.01):
            with state.changed:
                for operation in state.operations.values():
                    operation.done = False

    thread = threading.Thread(target=stick)
    thread.start()
    try:
        new = rig.deploy(SERVE, held)
        assert isinstance(rig.settled(new, 20), Ready)
        assert rig.platform.route("chat", {new.name: 100}, held, rig.stop).traffic == {
            new.name: 100
        }
    finally:
        done.set()
        thread.join()


@pytest.mark.slow
def test_without_waiting_an_operation_is_asked_for_once_a_second_at_most(
    rig: ProcessCloudRunRig,
) -> None:
    rig.emulator.quirks.cannot_wait = True
    held = rig.hold()
    rig.ready(rig.deploy(SERVE, held, share="all"))
    rig.dead(rig.deploy("import time\ntime.sleep(60)\n", held))
    written, asked = 0.0, dict[str, int]()
    for call in rig.emulator.calls:
        if call.method in ("CreateService", "UpdateService"):
            written = call.at
        elif call.method == "GetOperation":
            name = call.request.name
            asked[name] = asked.get(name, 0) + 1
            assert asked[name] <= call.at - written
    assert max(asked.values()) > 1


def test_what_the_end_of_an_operation_tells_is_not_asked_for_again(
    rig: ProcessCloudRunRig,
) -> None:
    held = rig.hold()
    rig.ready(rig.deploy(SERVE, held, share="all"))
    candidate = rig.deploy(SERVE, held)
    asked = len(rig.emulator.calls)
    rig.ready(candidate)
    assert [call.method for call in rig.emulator.calls[asked:]] in (["WaitOperation"], [])


# --- readiness ---


def test_a_healthy_revision_without_traffic_is_ready_though_not_active(
    rig: ProcessCloudRunRig,
) -> None:
    held = rig.hold()
    rig.ready(rig.deploy(SERVE, held, share="all"))
    new = rig.deploy(SERVE, held)
    rig.ready(new)
    told = {each.type_: each for each in rig.emulator.state.revision(new.name).conditions}
    assert (told["Active"].state, told["Active"].severity) == (3, 3)


def test_a_deployment_that_was_made_is_found_by_another_machine(rig: ProcessCloudRunRig) -> None:
    held = rig.hold()
    artifact = rig.artifact(SERVE)
    made = rig.deploy_artifact(artifact, held, share="all")
    rig.connect()
    found = rig.platform.find(rig.key(artifact), rig.stop)
    assert found == Present(made)
    assert isinstance(rig.ready(made), Ready)


@pytest.mark.slow
def test_a_deployment_that_nobody_can_be_asked_about_is_unknown(rig: ProcessCloudRunRig) -> None:
    artifact = rig.artifact(SERVE)
    rig.emulator.faults.on("GetRevision", unavailable(), times=None)
    try:
        found = rig.platform.find(rig.key(artifact), rig.stop)
    finally:
        rig.emulator.faults.clear("GetRevision")
    assert isinstance(found, Unknown)


def test_an_image_that_is_not_there_is_a_death_that_names_it(rig: ProcessCloudRunRig) -> None:
    held = rig.hold()
    old = rig.deploy(SERVE, held, share="all")
    rig.ready(old)
    artifact = rig.artifact(EXITS)
    del rig.programs[artifact.location]
    fault = rig.dead(rig.deploy_artifact(artifact, held)).fault
    assert fault.kind is FaultKind.CONTROL_PLANE
    assert artifact.location in fault.summary
    assert "is not in the registry" in fault.summary
    assert state_of(rig).traffic == {old.name: 100}


@pytest.mark.slow
def test_nothing_on_the_port_is_told_with_the_port(rig: ProcessCloudRunRig) -> None:
    fault = rig.dead(rig.deploy("import time\ntime.sleep(60)\n", rig.hold())).fault
    assert fault.kind is FaultKind.NEVER_READY
    assert "did not listen on the port" in fault.summary
    assert any("PORT=8080" in quote.quote for quote in fault.quotes)


@pytest.mark.slow
def test_a_container_that_ate_its_memory_is_told_so(rig: ProcessCloudRunRig) -> None:
    greedy = "kept = [b'x' * 2**20 for _ in range(200)]\nimport time\ntime.sleep(60)\n"
    fault = rig.dead(rig.deploy(greedy, rig.hold(), memory=64 * 2**20)).fault
    assert fault.kind is FaultKind.OUT_OF_MEMORY
    assert "Memory limit of 64 MiB exceeded with " in fault.summary


def test_a_traceback_is_told_by_what_was_raised(rig: ProcessCloudRunRig) -> None:
    fault = rig.dead(rig.deploy("raise ValueError('no JWT_KEY')\n", rig.hold())).fault
    assert (fault.kind, fault.value) == (FaultKind.EXIT_CODE, "1")
    assert rig.last_words(fault) == ["ValueError: no JWT_KEY"]
    assert fault.hint is not None
    assert fault.hint.endswith(" --region=us-central1 --project=p")


def test_traffic_is_not_sent_to_a_revision_that_failed(rig: ProcessCloudRunRig) -> None:
    held = rig.hold()
    old = rig.deploy(SERVE, held, share="all")
    rig.ready(old)
    bad = rig.deploy(EXITS, held)
    rig.dead(bad)
    before = state_of(rig)
    with pytest.raises(PlatformError, match=f"{bad.name} cannot take traffic"):
        rig.platform.route("chat", {bad.name: 100}, held, rig.stop)
    assert state_of(rig) == before


# --- leases and strangers ---


def test_with_a_lost_lease_nothing_is_written(rig: ProcessCloudRunRig) -> None:
    held = rig.hold()
    old = rig.deploy(SERVE, held, share="all")
    rig.ready(old)
    rig.leases.release(held)
    written = count(rig, "UpdateService")
    with pytest.raises(LeaseLost):
        rig.deploy(SERVE, held)
    with pytest.raises(LeaseLost):
        rig.verified.record(old, "run-1", held, rig.stop)
    assert count(rig, "UpdateService") == written
    assert revisions(rig) == [old.name]


def test_a_strangers_write_is_seen_and_a_renewal_is_not(
    rig: ProcessCloudRunRig, person: Asker
) -> None:
    held = rig.hold()
    old = rig.deploy(SERVE, held, share="all")
    rig.ready(old)
    before = state_of(rig)
    rig.leases.release(held)
    held = rig.hold("run-2")
    assert state_of(rig).generation == before.generation
    with pytest.raises(HeldByOther, match="run-2"):
        rig.hold("run-3")
    person.routed("chat", pinned(old.name, 100), pinned(old.name, 0, "theirs"))
    assert state_of(rig).generation != before.generation


# --- putting back, and verified revisions ---


@pytest.mark.parametrize("main", [EXITS, SERVE], ids=["failed", "red"])
def test_the_template_of_what_serves_is_put_back_once(rig: ProcessCloudRunRig, main: str) -> None:
    held = rig.hold()
    old = rig.deploy(SERVE, held, share="all", env={"MODE": "good"})
    rig.ready(old)
    served = template_of(rig)
    bad = rig.deploy(main, held, env={"MODE": "bad"}, concurrency=7)
    rig.settled(bad)
    rig.platform.discard(bad, held, rig.stop)
    rig.platform.discard(bad, held, rig.stop)
    back = template_of(rig)
    assert back.annotations[RESTORES] == bad.name
    assert KEY not in back.annotations
    for name in ("containers", "max_instance_request_concurrency", "timeout", "scaling"):
        assert getattr(back, name) == getattr(served, name), name
    assert len(revisions(rig)) == 3
    assert state_of(rig).traffic == {old.name: 100}
    tags = [row.tag for row in rig.emulator.state.service("chat").traffic if row.tag]
    assert tag_of(bad.name) not in tags


def test_another_machine_knows_where_to_go_back_to(rig: ProcessCloudRunRig) -> None:
    held = rig.hold()
    names = []
    for share in ("all", "none"):
        made = rig.deploy(SERVE, held, share=share)
        rig.ready(made)
        rig.platform.route("chat", {made.name: 100}, held, rig.stop)
        rig.verified.record(made, f"run-{made.name[-3:]}", held, rig.stop)
        names.append(made.name)
    rig.leases.release(held)
    rig.connect()
    assert list(rig.verified.recall("chat", rig.stop)) == names[::-1]
    held = rig.hold("run-2")
    back = rig.platform.route("chat", {names[0]: 100}, held, rig.stop)
    assert get(back.url) == (200, names[0])
    told = json.loads(rig.emulator.state.service("chat").annotations["loopctl.dev/verified"])
    assert [each["revision"] for each in told] == names[::-1]


def test_a_name_is_the_deployments_own(rig: ProcessCloudRunRig) -> None:
    artifact = rig.artifact(SERVE)
    made = rig.deploy_artifact(artifact, rig.hold(), share="all")
    assert made.name == revision_name(rig.key(artifact))
    assert made.key == str(rig.key(artifact))
    assert not isinstance(rig.settled(made), Dead)
