"""What Cloud Run says when something is wrong, as it was seen: facts 2.3 and 7."""

from __future__ import annotations

from typing import Final, NamedTuple

_MORE: Final = "Logs for this revision might contain more information."
_PREFIX: Final = "Revision 'chat-00007-zun' is not ready and cannot serve traffic. "
_APPENDED: Final = (
    "\n\nLogs URL: https://console.cloud.google.com/logs/viewer?project=p&resource=cloud_run_revision"
    "/service_name/chat/revision_name/chat-00007-zun&advancedFilter=x\nFor more troubleshooting "
    "guidance, see https://cloud.google.com/run/docs/troubleshooting#container-failed-to-start"
)
_LISTEN: Final = (
    "The user-provided container failed to start and listen on the port defined provided by the "
    "PORT=8080 environment variable"
)
_AGENT: Final = "service-42@serverless-robot-prod.iam.gserviceaccount.com"
_ACCOUNT: Final = "42-compute@developer.gserviceaccount.com"
_DENIED: Final = (
    "Permission denied on secret: projects/42/secrets/jwt-key/versions/latest for Revision service "
    f"account {_ACCOUNT}. The service account used must be granted the 'Secret Manager Secret "
    "Accessor' role (roles/secretmanager.secretAccessor) at the secret, project or higher level."
)


class Said(NamedTuple):
    """A text, and parts of the cause and of the fix that are told for it."""

    text: str
    cause: str
    fix: str


TEXTS: Final = {
    "listen-2019": Said(
        "Cloud Run error: Container failed to start. Failed to start and then listen on the port "
        f"defined by the PORT environment variable. {_MORE}",
        "did not listen on the port",
        "0.0.0.0:$PORT",
    ),
    "listen-2023": Said(
        f"{_PREFIX}{_LISTEN}. {_MORE}", "did not listen on the port", "0.0.0.0:$PORT"
    ),
    "listen-2025": Said(
        f"{_PREFIX}{_LISTEN} within the allocated timeout. This can happen when the container port "
        "is misconfigured or if the timeout is too short. The health check timeout can be "
        f"extended. {_MORE}{_APPENDED}",
        "did not listen on the port",
        "0.0.0.0:$PORT",
    ),
    "listen-without-prefix": Said(
        f"{_LISTEN} within the allocated timeout. {_MORE}",
        "did not listen on the port",
        "0.0.0.0:$PORT",
    ),
    "configured-probe": Said(
        f"The user-provided container failed the configured startup probe checks. {_MORE}",
        "failed the startup probe",
        "loopctl logs",
    ),
    "image-absent": Said(
        f"{_PREFIX}Image 'eu-docker.pkg.dev/p/r/chat:1' not found.",
        "eu-docker.pkg.dev/p/r/chat:1 is not in the registry",
        "gcloud artifacts docker images describe eu-docker.pkg.dev/p/r/chat:1",
    ),
    "image-of-the-agent": Said(
        f"Google Cloud Run Service Agent {_AGENT} must have permission to read the image, "
        "eu-docker.pkg.dev/p/r/chat@sha256:00. Ensure that the provided container image URL is "
        "correct and that the above account has permission to access the image. If you just "
        "enabled the Cloud Run API, the permissions might take a few minutes to propagate. Note "
        "that the image is from project [a], which is not the same as this project [p].",
        "may not read the image eu-docker.pkg.dev/p/r/chat@sha256:00",
        f"--member=serviceAccount:{_AGENT} --role=roles/artifactregistry.reader",
    ),
    "image-of-the-user": Said(
        "User must have permission to read the image, eu-docker.pkg.dev/p/r/chat. Ensure that ...",
        "may not read the image eu-docker.pkg.dev/p/r/chat",
        "roles/artifactregistry.reader",
    ),
    "secret-denied": Said(
        f"spec.template.spec.containers[0].env[0].value_from.secret_key_ref.name: {_DENIED}",
        f"{_ACCOUNT} may not read the secret jwt-key",
        "gcloud secrets add-iam-policy-binding jwt-key --member=serviceAccount:" + _ACCOUNT,
    ),
    "secret-absent": Said(
        "Secret projects/42/secrets/jwt-key/versions/latest was not found",
        "no version latest of the secret jwt-key",
        "gcloud secrets versions list jwt-key --project=p",
    ),
    "cpu-quota": Said(
        "Quota exceeded for total allowable CPU per project per region.",
        "quota of CPU in us-central1 is used up",
        "run.max_instances",
    ),
    "memory-and-scale": Said(
        "spec: Invalid value specified for memory. For the specified value, maxScale may not "
        "exceed 83. Consider ...",
        "at most 83 instances",
        "run.max_instances to 83",
    ),
    "import-short": Said("Container import failed.", "could not import the image", "try again"),
    "import-long": Said(
        "The service has encountered an error during container import. Please try again later. "
        "Resource readiness deadline exceeded.",
        "could not import the image",
        "try again",
    ),
    "act-as": Said(
        f"Permission 'iam.serviceaccounts.actAs' denied on service account {_ACCOUNT} (or it may "
        "not exist).",
        f"may not act as {_ACCOUNT}",
        f"gcloud iam service-accounts add-iam-policy-binding {_ACCOUNT}",
    ),
    "permission": Said(
        "Permission 'run.services.get' denied on resource 'projects/p/locations/r/services/chat' "
        "(or resource may not exist).",
        "lacks the permission run.services.get on chat",
        "roles/run.developer",
    ),
    "api-disabled": Said(
        "Cloud Run Admin API has not been used in project 42 before or it is disabled. Enable it "
        "by visiting https://console.developers.google.com/apis/api/run.googleapis.com/overview"
        "?project=42 then retry.",
        "is not enabled in the project 42",
        "gcloud services enable",
    ),
    "tag-too-long": Said(
        "spec.traffic.tag: traffic tag 't' and service name 's' together are too long. Combined "
        "traffic tag and service name cannot exceed 46 characters.",
        "longer than 46 characters together",
        "shorter name",
    ),
    "revision-gone": Said(
        "Revision 'chat-00003-abc' does not exist or is deleted. Update all traffic to route to "
        "currently available revisions.",
        "chat-00003-abc, which is gone",
        "gcloud run services update-traffic chat",
    ),
    "launch-stage": Said(
        "The feature is not supported in the declared launch stage",
        "another launch stage",
        "run.cloud_run.launchStage",
    ),
    "wrong-region": Said(
        "Operation is not implemented, or supported, or enabled.",
        "region us-central1 does not offer this",
        "gcloud run regions list",
    ),
    "log-quota": Said(
        "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute' of "
        "service 'logging.googleapis.com' for consumer 'project_number:42'.",
        "quota Read requests per minute is used up",
        "wait a minute",
    ),
    "too-large": Said(
        "Received message larger than max (5242880 vs. 4194304)", "larger than", "report it"
    ),
}
