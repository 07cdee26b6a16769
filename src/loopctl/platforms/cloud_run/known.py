"""Texts of Cloud Run that are known, with what mends each: a table of data.

The texts: facts/cloud-run.md sections 2.3 and 7. Matched anywhere in a text, in any case.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from loopctl.inert import one_line
from loopctl.model.finding import FaultKind
from loopctl.platforms.cloud_run.errors import ApiError, Code
from loopctl.platforms.cloud_run.names import Names

_LONGEST: Final = 160
_UNUSED: Final = "has not been used in project"
_OVERVIEW: Final = re.compile(r"/apis/api/(?P<api>[a-z0-9.-]+)/overview")


@dataclass(frozen=True, slots=True)
class Advice:
    """What a known text means: in one line, and the command or the step that mends it."""

    cause: str
    fix: str
    kind: FaultKind = FaultKind.CONTROL_PLANE


@dataclass(frozen=True, slots=True)
class _Known:
    """`pattern` finds it; `cause` and `fix` may name its groups, `project`, `region`, `service`."""

    pattern: str
    cause: str
    fix: str
    kind: FaultKind = FaultKind.CONTROL_PLANE


_KNOWN: Final = (
    _Known(
        r"failed the configured (?P<which>startup|liveness|readiness) probe",
        "its container failed the {which} probe that the service configures",
        "see its logs: loopctl logs; the probe stands in the service's template",
        FaultKind.NEVER_READY,
    ),
    _Known(
        r"failed to start and (?:then )?listen on the port",
        "its container did not listen on the port that the PORT variable names",
        "see its last lines: it must listen on 0.0.0.0:$PORT within the startup time",
        FaultKind.NEVER_READY,
    ),
    _Known(
        r"Image '(?P<image>[^']+)' not found",
        "the image {image} is not in the registry",
        "gcloud artifacts docker images describe {image} --project={project}",
    ),
    _Known(
        r"Service Agent (?P<agent>\S+) must have permission to read the image,? "
        r"(?P<image>\S+?)\. ",
        "Cloud Run's service agent may not read the image {image}",
        "gcloud projects add-iam-policy-binding {project} --member=serviceAccount:{agent} "
        "--role=roles/artifactregistry.reader",
    ),
    _Known(
        r"must have permission to read the image,? (?P<image>[^\s]+?)\. ",
        "whoever deploys may not read the image {image}",
        "grant roles/artifactregistry.reader on its repository to the deploying account",
    ),
    _Known(
        r"Permission denied on secret: projects/[^/\s]+/secrets/(?P<secret>[^/\s]+)/versions/\S+ "
        r"for Revision service account (?P<account>[^\s,]+?)\.?\s",
        "{account} may not read the secret {secret}",
        "gcloud secrets add-iam-policy-binding {secret} --member=serviceAccount:{account} "
        "--role=roles/secretmanager.secretAccessor --project={project}",
    ),
    _Known(
        r"Secret projects/[^/\s]+/secrets/(?P<secret>[^/\s]+)/versions/(?P<version>\S+) "
        r"was not found",
        "there is no version {version} of the secret {secret}",
        "gcloud secrets versions list {secret} --project={project}",
    ),
    _Known(
        r"Quota exceeded for total allowable (?P<what>CPU|memory) per project per region",
        "the project's quota of {what} in {region} is used up",
        "lower run.max_instances or run.cpu, or ask for more: "
        "https://console.cloud.google.com/iam-admin/quotas?project={project}",
    ),
    _Known(
        r"maxScale may not exceed (?P<most>\d+)",
        "with that memory or CPU the region's quota allows at most {most} instances",
        "set run.max_instances to {most} or less",
    ),
    _Known(
        r"Container import failed|error during container import",
        "Cloud Run could not import the image",
        "try again; if it stays, push the image anew: gcloud artifacts docker images list",
    ),
    _Known(
        r"iam\.serviceaccounts\.actAs' denied on service account (?P<account>[^\s,]+)",
        "the deploying account may not act as {account}",
        "gcloud iam service-accounts add-iam-policy-binding {account} --project={project} "
        "--member=user:YOU --role=roles/iam.serviceAccountUser",
    ),
    _Known(
        r"Permission '(?P<permission>run\.[^']+)' denied",
        "the account lacks the permission {permission} on {service}, or there is none such",
        "gcloud projects add-iam-policy-binding {project} --member=user:YOU "
        "--role=roles/run.developer",
    ),
    _Known(
        r"(?:^|\s)(?P<api>\S[\w .-]*?) has not been used in project (?P<number>\S+) before",
        "{api} is not enabled in the project {number}",
        "gcloud services enable run.googleapis.com logging.googleapis.com --project={project}",
    ),
    _Known(
        r"Combined traffic tag and service name cannot exceed (?P<most>\d+)",
        "the service's name and a traffic tag are longer than {most} characters together",
        "take a shorter name, or strategy: direct",
    ),
    _Known(
        r"Revision '(?P<revision>[^']+)' does not exist or is deleted",
        "traffic or a tag leads to {revision}, which is gone",
        "gcloud run services update-traffic {service} --region={region} --project={project} "
        "--clear-tags",
    ),
    _Known(
        r"feature is not supported in the declared launch stage",
        "a field of the service asks for a feature of another launch stage",
        "set run.cloud_run.launchStage: BETA (or ALPHA), or leave the field out",
    ),
    _Known(
        r"Operation is not implemented, or supported, or enabled",
        "the region {region} does not offer this",
        "look at the environment's region: gcloud run regions list --project={project}",
    ),
    _Known(
        r"Quota exceeded for quota metric '(?P<metric>[^']+)' and limit '(?P<limit>[^']+)'",
        "the quota {limit} is used up",
        "wait a minute and resume the run; or ask for more: "
        "https://console.cloud.google.com/iam-admin/quotas?project={project}",
    ),
    _Known(
        r"connection was cut before the answer|failed to connect to all addresses|"
        r"Connection refused|Name or service not known|Max retries exceeded|DNS resolution failed",
        "the API cannot be reached",
        "see that the network and its proxies lead to Google, or mend the environment's `endpoint`",
    ),
    _Known(
        r"Received message larger than max",
        "an answer of the API was larger than this client takes",
        "this is a fault of loopctl: report it",
    ),
)
_COMPILED: Final = tuple((re.compile(known.pattern, re.IGNORECASE), known) for known in _KNOWN)


def enable(api: str, project: str) -> str:
    """The command that switches an API on, named as `run` or `run.googleapis.com`."""
    full = api if "." in api else f"{api}.googleapis.com"
    return f"gcloud services enable {full} --project={project}"


def disabled(error: ApiError, asked: str) -> str | None:
    """The API that is off in the project, by its full name; None for another fault.

    `asked` is the one that was asked, for a text that does not name it.
    """
    if error.reason != "SERVICE_DISABLED" and _UNUSED not in error.text:
        return None
    named = _OVERVIEW.search(error.text)
    return error.metadata.get("service") or (named["api"] if named else f"{asked}.googleapis.com")


def advice_on(text: str, names: Names, service: str) -> Advice | None:
    """What a text of the API means and what mends it, None for one that is not known."""
    for pattern, known in _COMPILED:
        found = pattern.search(text)
        if found is not None:
            facts = {"project": names.project, "region": names.region, "service": service}
            facts |= {k: one_line(v, limit=_LONGEST) for k, v in found.groupdict("").items()}
            return Advice(known.cause.format_map(facts), known.fix.format_map(facts), known.kind)
    return None


@contextlib.contextmanager
def explained(names: Names, service: str) -> Iterator[None]:
    """An `ApiError` that passes gets the advice on its text; a permission at least a place."""
    try:
        yield
    except ApiError as error:
        told = " ".join([error.text, *(wrong for _, wrong in error.fields)])
        advice = advice_on(f"{told} ", names, service)
        if advice is not None:
            error.what = f"{advice.cause} ({error.what})"
            error.hint = advice.fix
        elif error.hint is None and error.code is Code.PERMISSION_DENIED:
            error.hint = (
                f"gcloud projects get-iam-policy {names.project}: roles/run.developer and "
                "roles/logging.viewer are needed"
            )
        raise
