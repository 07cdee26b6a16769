"""One deployment of a service: what it writes, and how its traces are told from another's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Literal

from google.cloud.run_v2 import RevisionTemplate, Service

from loopctl.model.artifact import Artifact, DeployKey, Revision
from loopctl.model.plan import ServiceSpec
from loopctl.platforms.cloud_run import template
from loopctl.platforms.cloud_run.names import revision_name, short


@dataclass(frozen=True, slots=True)
class Deployment:
    """What it is made of, and the name that only its revision can have."""

    spec: ServiceSpec
    artifact: Artifact
    key: DeployKey
    env: Mapping[str, str]
    share: Literal["none", "all"]

    @property
    def name(self) -> str:
        """The name of its revision."""
        return revision_name(self.key)

    def write(self, service: Service, base: RevisionTemplate) -> list[str]:
        """Write its template into the service; the paths changed."""
        service.template = base
        fragment = self.spec.run.cloud_run or {}
        if fragment:
            template.merged_fragment(service, fragment)
        template.with_spec(service.template, self.spec, self.artifact.location, self.env)
        service.template.revision = self.name
        service.template.annotations = {
            **dict(service.template.annotations),
            template.KEY: str(self.key),
        }
        beside = template.paths_of(fragment) - {"template", "traffic", "annotations"}
        return ["template", *sorted(beside)]


def is_made_of(found: Service, revision: str, key: str | None = None) -> bool:
    """Whether the newest template of a service is that of a revision.

    A server may drop the name from the template once it has taken it, and tell of the new revision
    only later: until then the deployment's key tells.
    """
    if found.template.annotations.get(template.RESTORES) == revision:
        return False
    if found.template.revision:
        return short(found.template.revision) == revision
    if short(found.latest_created_revision) == revision:
        return True
    told = found.template.annotations.get(template.KEY)
    late = found.reconciling or not found.latest_created_revision
    return late and key is not None and told == key


def written(service: Service, key: DeployKey, digest: str) -> Revision:
    """The revision that a write to the service makes, before it is there to be looked at."""
    at = Service.pb(service).update_time.ToDatetime(UTC)
    return Revision(key.service, revision_name(key), digest, at, key=str(key))
