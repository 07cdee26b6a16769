"""Names on Cloud Run: of what is there, and of what loopctl makes. Pure.

Rules and lengths: facts/cloud-run.md sections 1.1 to 1.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from loopctl.errors import Problem
from loopctl.model.artifact import DeployKey
from loopctl.model.cloud_run_names import LONGEST_TAGGED, OWN_TAG, OWN_TAG_LENGTH
from loopctl.model.plan import CloudRunPlace

LONGEST_SERVICE: Final = 49

_SERVICE: Final = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Names:
    """Full resource names of one place."""

    project: str
    region: str

    @staticmethod
    def of(place: CloudRunPlace) -> Names:
        """Those of a loop file's place."""
        return Names(place.project, place.region)

    @property
    def parent(self) -> str:
        """What services are made in."""
        return f"projects/{self.project}/locations/{self.region}"

    def service(self, service: str) -> str:
        """A service by its short name."""
        return f"{self.parent}/services/{service}"

    def revision(self, service: str, revision: str) -> str:
        """A revision by its short name."""
        return f"{self.service(service)}/revisions/{revision}"


def short(name: str) -> str:
    """The last part: the API says some names in full and others in short."""
    return name.rpartition("/")[2]


def revision_name(key: DeployKey) -> str:
    """The one name that a deployment's revision can have: sent twice, it is made once."""
    return f"{key.service}-c{key.cycle}-{_digest(str(key), 8)}"


def restored_name(service: str, candidate: str) -> str:
    """The name of the revision that a template gets which is put back after `candidate`."""
    return f"{service}-back-{_digest(candidate, 8)}"


def tag_of(revision: str) -> str:
    """The traffic tag of a candidate: never one that another revision had."""
    return f"lc-{_digest(revision, 5)}"


def is_own_tag(tag: str) -> bool:
    """Whether loopctl gave that tag."""
    return OWN_TAG.fullmatch(tag) is not None


def name_problems(service: str, *, tagged: bool) -> Iterator[Problem]:
    """What Cloud Run would refuse of a service's name; `tagged`: its candidates get a tag."""
    if _SERVICE.fullmatch(service) is None:
        yield Problem(
            "Cloud Run takes only lower-case letters, digits and hyphens in a service's name, "
            "a letter first and no hyphen last",
            where=service,
            hint="name the service in the loop file as it is named on Cloud Run",
        )
    if len(service) > LONGEST_SERVICE:
        yield Problem(
            f"the service's name has {len(service)} characters, Cloud Run takes {LONGEST_SERVICE}",
            where=service,
            hint="give it a shorter name",
        )
    elif tagged and len(service) + OWN_TAG_LENGTH > LONGEST_TAGGED:
        yield Problem(
            f"the service's name ({len(service)} characters) and a candidate's tag "
            f"({OWN_TAG_LENGTH}) together are too long: Cloud Run takes {LONGEST_TAGGED}",
            where=service,
            hint=f"take a name of at most {LONGEST_TAGGED - OWN_TAG_LENGTH}, or strategy: direct",
        )


def _digest(text: str, length: int) -> str:
    return sha256(text.encode()).hexdigest()[:length]
