"""What Cloud Run says, word for word: facts/cloud-run.md 1.1 to 1.3, 2.3, 2.4 and 7."""

from __future__ import annotations

import zlib
from typing import Final
from urllib.parse import quote

from emulator.run_names import Place

SERVICE_ID: Final = (
    "only lowercase, digits, and hyphens; must begin with letter, and cannot end with hyphen; "
    "must be less than 50 characters."
)
REVISION_ID: Final = (
    "only lowercase, digits, and hyphens; must begin with letter, and may not end with hyphen; "
    "must be less than 64 characters."
)
CPU_QUOTA: Final = "Quota exceeded for total allowable CPU per project per region."
_MORE: Final = "Logs for this revision might contain more information."

STARTING: Final = (
    "Starting new instance. Reason: DEPLOYMENT_ROLLOUT - Instance started due to traffic shifting "
    "between revisions due to deployment, traffic split adjustment, or deployment health check."
)
SCALING: Final = (
    "Starting new instance. Reason: AUTOSCALING - Instance started due to configured scaling "
    "factors (e.g. CPU utilization, request throughput, etc.) or no existing capacity for "
    "current traffic."
)
NO_INSTANCE: Final = "The request was aborted because there was no available instance."
NOT_STARTED: Final = "The request failed because the instance could not start successfully."
MALFORMED: Final = (
    "The request failed because either the HTTP response was malformed or connection to the "
    "instance had an error. Additional troubleshooting documentation can be found at: "
    "https://cloud.google.com/run/docs/troubleshooting#malformed-response-or-connection-error"
)
TIMED_OUT: Final = (
    "The request has been terminated because it has reached the maximum request timeout. To "
    "change this limit, see https://cloud.google.com/run/docs/configuring/request-timeout"
)
TOO_MUCH_MEMORY: Final = (
    "While handling this request, the container instance was found to be using too much memory "
    "and was terminated. This is likely to cause a new container instance to be used for the next "
    "request to this revision. If you see this message frequently, you may have a memory leak in "
    "your code or may need more memory. Consider creating a new revision with more memory."
)
NOT_AUTHENTICATED: Final = (
    "The request was not authenticated. Either allow unauthenticated invocations or set the "
    "proper Authorization header. Read more at "
    "https://cloud.google.com/run/docs/securing/authenticating"
)


def violation(request: str, field: str, rule: str) -> str:
    """A request whose field breaks a rule."""
    return f"Violation in {request}.{field}: {rule}"


def conflict(service_id: str, given: str, current: str) -> str:
    return (
        f"Conflict for resource '{service_id}': version '{given}' was specified but current "
        f"version is '{current}'."
    )


def revision_taken(revision: str) -> str:
    return f"Revision named '{revision}' with different configuration already exists."


def revision_absent(revision: str) -> str:
    return (
        f"Revision '{revision}' does not exist or is deleted. Update all traffic to route to "
        "currently available revisions."
    )


def deleted_meanwhile(service_id: str) -> str:
    return f"Service '{service_id}' was deleted before the operation was done."


def tag_too_long(tag: str, service_id: str) -> str:
    return (
        f"spec.traffic.tag: traffic tag '{tag}' and service name '{service_id}' together are too "
        "long. Combined traffic tag and service name cannot exceed 46 characters."
    )


def denied(permission: str, resource: str) -> str:
    return f"Permission '{permission}' denied on resource '{resource}' (or resource may not exist)."


def not_ready(revision: str, why: str) -> str:
    """How a service and an operation tell why a revision failed."""
    return f"Revision '{revision}' is not ready and cannot serve traffic. {why}"


def no_listener(place: Place, service_id: str, revision: str, port: int) -> str:
    return (
        "The user-provided container failed to start and listen on the port defined provided by "
        f"the PORT={port} environment variable within the allocated timeout. This can happen when "
        "the container port is misconfigured or if the timeout is too short. The health check "
        f"timeout can be extended. {_MORE}{_see_logs(place, service_id, revision)}"
    )


def probe_failed(place: Place, service_id: str, revision: str) -> str:
    return (
        "The user-provided container failed the configured startup probe checks. "
        f"{_MORE}{_see_logs(place, service_id, revision)}"
    )


def log_url(place: Place, service_id: str, revision: str) -> str:
    """Where the console shows a revision's log."""
    filter_ = (
        f'resource.type="cloud_run_revision"\nresource.labels.service_name="{service_id}"\n'
        f'resource.labels.revision_name="{revision}"'
    )
    return (
        f"https://console.cloud.google.com/logs/viewer?project={place.project}"
        f"&resource=cloud_run_revision/service_name/{service_id}/revision_name/{revision}"
        f"&advancedFilter={quote(filter_, safe='')}"
    )


def _see_logs(place: Place, service_id: str, revision: str) -> str:
    return (
        f"\n\nLogs URL: {log_url(place, service_id, revision)} \nFor more troubleshooting "
        "guidance, see https://cloud.google.com/run/docs/troubleshooting#container-failed-to-start"
    )


def image_absent(image: str) -> str:
    return f"Image '{image}' not found."


def image_denied(image: str, project: str) -> str:
    return (
        "Google Cloud Run Service Agent "
        f"service-{project_number(project)}@serverless-robot-prod.iam.gserviceaccount.com must "
        f"have permission to read the image, {image}. Ensure that the provided container image "
        "URL is correct and that the above account has permission to access the image. If you "
        "just enabled the Cloud Run API, the permissions might take a few minutes to propagate."
    )


def secret_absent(project: str, secret: str, version: str) -> str:
    number = project_number(project)
    return f"Secret projects/{number}/secrets/{secret}/versions/{version} was not found"


def secret_denied(project: str, container: int, env: int, secret: str, version: str) -> str:
    number = project_number(project)
    return (
        f"spec.template.spec.containers[{container}].env[{env}].value_from.secret_key_ref.name: "
        f"Permission denied on secret: projects/{number}/secrets/{secret}/versions/{version} for "
        f"Revision service account {number}-compute@developer.gserviceaccount.com. The service "
        "account used must be granted the 'Secret Manager Secret Accessor' role "
        "(roles/secretmanager.secretAccessor) at the secret, project or higher level."
    )


def max_scale(most: int) -> str:
    return (
        "spec.template.spec.containers[0].resources.limits.memory: Invalid value specified for "
        f"memory. For the specified value, maxScale may not exceed {most}."
    )


def called_exit(code: int) -> str:
    return f"Container called exit({code})."


def signalled(number: int) -> str:
    return f"Container terminated on signal {number}."


def exec_failed(program: str) -> str:
    return (
        "terminated: Application failed to start: failed to resolve binary path: error finding "
        f'executable "{program}" in PATH [/usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin '
        "/bin]: no such file or directory"
    )


def tcp_probe_failed(container: str, port: int, status: str) -> str:
    return (
        f'Default STARTUP TCP probe failed 1 time consecutively for container "{container}" on '
        f"port {port}. The instance was not started. Connection failed with status {status}."
    )


def set_probe_failed(kind: str, times: int, container: str, port: int, path: str | None) -> str:
    """A probe that the template sets; `kind` is TCP or HTTP."""
    where = f' path "{path}"' if path is not None else ""
    plural = "" if times == 1 else "s"
    return (
        f"STARTUP {kind} probe failed {times} time{plural} consecutively for container "
        f'"{container}" on port {port}{where}. The instance was not started.'
    )


def tcp_probe_passed(container: str, port: int) -> str:
    return (
        f'Default STARTUP TCP probe succeeded after 1 attempt for container "{container}" on port '
        f"{port}."
    )


def set_probe_passed(kind: str, attempts: int, container: str, port: int, path: str | None) -> str:
    where = f' path "{path}"' if path is not None else ""
    plural = "" if attempts == 1 else "s"
    return (
        f"STARTUP {kind} probe succeeded after {attempts} attempt{plural} for container "
        f'"{container}" on port {port}{where}.'
    )


def out_of_memory(limit_mib: int, used_mib: int) -> str:
    return (
        f"Memory limit of {limit_mib} MiB exceeded with {used_mib} MiB used. Consider increasing "
        "the memory limit, see https://cloud.google.com/run/docs/configuring/memory-limits"
    )


def ready_false(revision: str, why: str) -> str:
    """What the audit log tells of a revision that failed."""
    return f"Ready condition status changed to False for Revision {revision} with message: {why}"


def project_number(project: str) -> int:
    """A number for a project, the same each time: resources of other APIs are told by it."""
    return 100_000_000_000 + zlib.crc32(project.encode())
