"""Who shows end to end that each known cause is recognised, platform by platform.

A witness is `module::test`, or `module::test[row]` of a table. What stands in brackets alone is why
there is none. Rows on docker say no more than those on local where nothing but the platform's name
differs: services run by the same host, their logs are read in the same way.
"""
# ruff: noqa: E501 - names of tests are as long as their promises

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LOCAL = "test_known_causes.py::test_a_cause_is_known_by_its_proof_and_users_keep_what_they_had"
EXAMPLE = "test_faults.py::test_a_fault_is_explained_by_the_line_that_proves_it_and_users_keep_what_they_had"
EXAMPLE_DOCKER = (
    "test_docker_services.py::test_a_fault_of_the_example_has_the_same_signature_as_on_local"
)
EXAMPLE_CLOUD = "test_cloud_run_example_faults.py::test_a_fault_on_cloud_run_is_explained_by_its_proof_and_users_keep_what_they_had"
BAD = "test_docker_services.py::test_a_bad_container_is_explained_by_its_proof_and_users_keep_what_they_had"
CLOUD = "test_cloud_run_faults.py::test_a_revision_that_cannot_be_leaves_users_what_they_had"
KINDS = "test_suite_kinds.py::test_the_first_screen_and_the_findings_name_what_was_broken"
RULES = "test_suite_rules.py::test_a_suite_that_did_not_run_its_tests_is_not_green"
LOGS = "test_triage_logs.py::test_a_cause_is_known_from_an_export_of_its_log"

AS_LOCAL = "(no other than on local: the host, the suites and the catalogue are the same)"
NO_DOCKER = "(there is no engine and no image)"
NO_REGISTRY = "(there is no registry)"
NO_LIMIT = "(processes of this machine have no limit of memory)"
NO_FRONT = "(there is no front end of Google's)"
NO_PLATFORM = "(a platform that asks nobody has nothing to refuse)"
OF_TESTS = "(of the tests alone: the platform has no part in it)"


@dataclass(frozen=True, slots=True)
class Shown:
    """The witnesses of one cause, or why there is none: by `run` or `triage LOOP`, and by logs."""

    local: str
    docker: str = AS_LOCAL
    cloud: str = "(no other than on local, from logs that are read the same way)"
    logs: str = "(no line of a log tells it)"


def example(fault: str, logs: str = LOGS) -> Shown:
    """One that the example has a FAULT for: on all three."""
    row = f"[{fault}]"
    return Shown(EXAMPLE + row, EXAMPLE_DOCKER + row, EXAMPLE_CLOUD + row, logs)


def of_tests(local: str, logs: str = "(no line of a log tells it)") -> Shown:
    """One that is seen in what the tests did, wherever the service is."""
    return Shown(local, OF_TESTS, OF_TESTS, logs)


def cloud_only(row: str, logs: str = LOGS) -> Shown:
    """One that only a platform with accounts and quotas can say."""
    return Shown(NO_PLATFORM, NO_PLATFORM, f"{CLOUD}[{row}]", logs)


MATRIX: Mapping[str, Shown] = {
    "build.step-failed": Shown(
        NO_DOCKER,
        "test_docker_builds.py::test_a_step_that_fails_is_quoted_with_its_exit_code_and_its_last_forty_lines",
        "(images for it are built by the same engine)",
        LOGS,
    ),
    "build.base-absent": Shown(
        NO_DOCKER,
        "test_docker_builds.py::test_a_base_image_that_nobody_has_is_named",
        "(images for it are built by the same engine)",
    ),
    "dependency.database": Shown(f"{LOCAL}[database in the body]", logs=LOGS),
    "dependency.cache": Shown(f"{LOCAL}[cache in the body]", logs=LOGS),
    "dependency.down": Shown(
        "test_dependencies.py::test_a_dependency_that_goes_down_meanwhile_is_named_and_nothing_is_tried"
    ),
    "dependency.cannot-reach": Shown(
        "test_dependencies.py::test_a_target_that_no_test_reached_is_unproven_and_nothing_is_tried"
    ),
    "deploy.exit-code": example("exit-3"),
    "deploy.killed": Shown(f"{LOCAL}[killed]", logs=LOGS),
    "deploy.import-time-error": example("import-error"),
    "deploy.startup-error": Shown(f"{LOCAL}[raises at start]", logs=LOGS),
    "deploy.wrong-port": example("wrong-port"),
    "deploy.loopback-only": Shown(
        "(what listens on this machine's loopback is reached)",
        f"{BAD}[is shut in]",
        "(the platform tells no address that a process listens on; its log may)",
        LOGS,
    ),
    "deploy.port-in-use": Shown(
        f"{LOCAL}[port in use]",
        "(a container has all ports to itself)",
        "(a container has all ports to itself)",
        LOGS,
    ),
    "deploy.missing-configuration": example("missing-config"),
    "deploy.stale-image": Shown(
        NO_DOCKER,
        "test_docker_stale_image.py::test_an_image_made_from_the_old_one_is_named_rebuilt_and_green_in_one_run",
        "(images for it are built and compared by the same engine)",
        LOGS,
    ),
    "deploy.not-as-named": Shown(
        NO_REGISTRY,
        "test_docker_image.py::test_a_registry_that_lies_ends_unproven_and_one_without_the_image_in_preflight",
        "test_cloud_run_image.py::test_a_layer_that_is_another_ends_unproven_and_nothing_was_sent",
    ),
    "deploy.out-of-memory": Shown(NO_LIMIT, f"{BAD}[is starved]", f"{CLOUD}[out-of-memory]", LOGS),
    "deploy.client-timed-out": Shown(
        "(no client of another's waits)",
        "(no client of another's waits)",
        "(loopctl's own operations end in their time: health.never-ready; a script's logs tell it)",
        LOGS,
    ),
    "health.redirect": example("health-307"),
    "health.not-admitted": Shown(
        NO_FRONT,
        NO_FRONT,
        "test_tokens.py::test_a_service_that_google_keeps_to_itself_fails_at_once_in_health",
    ),
    "health.unstable": example("503-after-healthy"),
    "health.latency": example("slow", "(no line of a log tells it)"),
    "health.never-ready": Shown(f"{LOCAL}[never ready]", AS_LOCAL, f"{CLOUD}[never-ready]", LOGS),
    "platform.engine-gone": Shown(
        NO_DOCKER,
        "test_docker_registry.py::test_an_engine_that_dies_in_mid_build_is_named_and_the_run_ends_in_time",
        NO_DOCKER,
        LOGS,
    ),
    "platform.registry-refused": Shown(
        NO_REGISTRY,
        "test_docker_registry.py::test_a_registry_that_may_not_be_written_leaves_all_as_it_was",
        "(images are pushed by the same engine)",
    ),
    "platform.secret-denied": cloud_only("secret-denied"),
    "platform.permission-denied": cloud_only("act-as"),
    "platform.quota": cloud_only("cpu-quota"),
    "platform.image-missing": cloud_only("image-absent"),
    "platform.refused": cloud_only("api-disabled-meanwhile"),
    "platform.no-instance": Shown(
        NO_FRONT,
        NO_FRONT,
        "test_cloud_run_faults.py::test_requests_that_find_no_instance_are_told_apart_from_errors_of_the_service",
        LOGS,
    ),
    "environment.moved": Shown(
        "test_two_runs.py::test_a_holder_that_slept_past_its_lease_changes_nothing_more",
        "test_docker_operating.py::test_who_is_robbed_changes_nothing_more_and_the_next_run_clears_up",
        "test_cloud_run_two_runs.py::test_who_is_robbed_is_named_first_and_changes_nothing_after",
    ),
    "http.500-novel": Shown(
        f"{LOCAL}[500]",
        "test_seen_again.py::test_in_containers_too_a_fault_is_the_same_in_the_next_run",
        logs=LOGS,
    ),
    "http.redirect": Shown(KINDS),
    "test.changed-shape": of_tests(KINDS),
    "service.traceback": Shown(f"{LOCAL}[traceback beside a 200]", logs=LOGS),
    "service.interface-changed": Shown(
        f"{LOCAL}[keyword]",
        AS_LOCAL,
        "test_triage_cloud_run.py::test_errors_in_a_healthy_service_are_traced_to_the_line_that_raises",
        LOGS,
    ),
    "service.timeout": Shown(f"{LOCAL}[time limit within]", logs=LOGS),
    "ws.closed-1000": example("ws-1000"),
    "ws.closed-1011": example("ws-1011"),
    "ws.message-format": example("message-wrapper"),
    "ws.wrapped-event": of_tests(f"{LOCAL}[wrapped event]"),
    "test.broken": of_tests(f"{LOCAL}[NameError in a test]", LOGS),
    "test.nothing-collected": of_tests(f"{LOCAL}[all deselected]", LOGS),
    "test.deselected": of_tests(
        "(a run counts its tests itself: what is left out there is test.nothing-collected)", LOGS
    ),
    "test.mocked": of_tests(f"{LOCAL}[mocked]", LOGS),
    "test.localhost": of_tests(
        "(the target of a local run is on localhost, of others the receipts tell)", LOGS
    ),
    "test.no-result": of_tests(KINDS),
    "test.report-cut-off": of_tests(KINDS),
    "test.process-died": of_tests(f"{RULES}[os._exit(0)]"),
    "test.not-evidence": of_tests(f"{LOCAL}[met nobody]"),
    "test.vacuous": of_tests(
        "test_control.py::test_a_vacuous_test_is_contradicted_and_only_what_has_changed_is_run_again"
    ),
    "test.flaky": of_tests(
        "test_shards.py::test_a_segfault_costs_one_test_which_is_flaky_where_it_may_be_repeated"
    ),
    "test.too-few-samples": of_tests(
        "test_limits_and_quarantine.py::test_too_few_samples_are_no_green_and_decide_nothing_in_a_partial_run"
    ),
    "test.timeout": of_tests(f"{LOCAL}[cancelled behind a time-out]", LOGS),
}
