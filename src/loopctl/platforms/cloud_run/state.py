"""A service of Cloud Run as the loop sees it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from google.cloud.run_v2 import Revision as CloudRevision
from google.cloud.run_v2 import Service

from loopctl.model.artifact import Revision, ServiceState
from loopctl.model.references import Endpoint
from loopctl.platforms.cloud_run import traffic
from loopctl.platforms.cloud_run.lease_mark import LEASE
from loopctl.platforms.cloud_run.names import short
from loopctl.platforms.cloud_run.template import KEY
from loopctl.platforms.cloud_run.verified import VERIFIED

_WISHES: Final = (
    "labels",
    "annotations",
    "client",
    "client_version",
    "ingress",
    "launch_stage",
    "template",
    "traffic",
    "scaling",
    "custom_audiences",
    "default_uri_disabled",
    "invoker_iam_disabled",
)
"""What somebody asked for, as against what the service reports: changed only by a write."""


def state_of(service: Service, revisions: Sequence[CloudRevision]) -> ServiceState:
    """Who serves, which revisions there are, and a token of everything that was asked for."""
    name = short(service.name)
    endpoint = Endpoint.of(address_of(service))
    return ServiceState(
        service=name,
        url=endpoint.url,
        ws_url=endpoint.ws_url,
        traffic=traffic.serving(service),
        revisions=tuple(revision_of(name, each) for each in revisions),
        generation=wishes(service),
    )


def address_of(service: Service) -> str:
    """Where the service is met; empty until the API has said it."""
    return service.uri or next(iter(service.urls), "")


def revision_of(service: str, revision: CloudRevision) -> Revision:
    """A revision as the loop knows it."""
    return Revision(
        service=service,
        name=short(revision.name),
        digest=image_of(revision).partition("@")[2],
        created_at=made_at(revision),
        key=revision.annotations.get(KEY),
    )


def made_at(revision: CloudRevision) -> datetime:
    """When it was made."""
    made: datetime = CloudRevision.pb(revision).create_time.ToDatetime(UTC)
    return made


def image_of(revision: CloudRevision) -> str:
    """The image of the container that requests go to."""
    ingress = [each for each in revision.containers if each.ports] or list(revision.containers)
    return ingress[0].image if ingress else ""


def wishes(service: Service) -> str:
    """Tells whether anybody has written to the service, other than loopctl its own notes.

    The service's `generation` would not do: it counts the renewals of a lease, too.
    """
    kept = Service.pb(Service())
    told = Service.pb(service)
    for name in _WISHES:
        field = kept.DESCRIPTOR.fields_by_name.get(name)
        if field is None:
            continue
        if field.is_repeated:
            getattr(kept, name).MergeFrom(getattr(told, name))
        elif field.message_type is not None:
            getattr(kept, name).CopyFrom(getattr(told, name))
        else:
            setattr(kept, name, getattr(told, name))
    for own in (LEASE, VERIFIED):
        kept.annotations.pop(own, None)
    return sha256(kept.SerializeToString(deterministic=True)).hexdigest()[:16]
