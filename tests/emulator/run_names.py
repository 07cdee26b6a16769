"""Names of resources: how they are built, and which are allowed."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Final

_SERVICE_ID: Final = re.compile(r"[a-z](?:[a-z0-9-]{0,47}[a-z0-9])?")
_REVISION_ID: Final = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_TAG: Final = re.compile(r"[a-z](?:[a-z0-9-]{0,44}[a-z0-9])?")
# The letters of names that Kubernetes makes: no vowels, so that no words come of it.
_SAFE: Final = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(frozen=True, slots=True)
class Place:
    """A project and a region."""

    project: str
    region: str

    @property
    def parent(self) -> str:
        return f"projects/{self.project}/locations/{self.region}"

    def service(self, service_id: str) -> str:
        return f"{self.parent}/services/{service_id}"


def short(name: str) -> str:
    """The last part of a resource's name."""
    return name.rpartition("/")[2]


def service_of(revision: str) -> str:
    """The service that a revision's full name stands below."""
    return revision.rpartition("/revisions/")[0]


def is_service_id(text: str) -> bool:
    return _SERVICE_ID.fullmatch(text) is not None


def is_revision_id(text: str, service_id: str) -> bool:
    """Whether a revision of this service may be called so."""
    return _REVISION_ID.fullmatch(text) is not None and text.startswith(f"{service_id}-")


def is_tag(text: str) -> bool:
    return _TAG.fullmatch(text) is not None


def automatic_revision(service_id: str, generation: int) -> str:
    """What a revision is called whose template gives no name."""
    return f"{service_id}-{generation:05d}-{''.join(random.choices(_SAFE, k=3))}"
