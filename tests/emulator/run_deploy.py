"""The deploy of one revision: its image, its secrets, its first instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from emulator import run_texts as texts
from emulator.faults import DeployTrouble, Faults
from emulator.run_conditions import Failure
from emulator.run_entries import Entries
from emulator.run_fleet import Fleet, NotStarted
from emulator.run_messages import CommonReason, RevisionPb, RevisionReason
from emulator.run_names import Place, service_of, short
from emulator.run_runtime import ImageTrouble, Instance
from emulator.run_secrets import Secrets

_MOST_INSTANCES = 83


@dataclass(frozen=True, slots=True)
class Deployer:
    """Revisions to instances, or to the reason why not."""

    place: Place
    fleet: Fleet
    secrets: Secrets
    faults: Faults
    entries: Entries

    def deploy(self, revision: RevisionPb) -> Failure | None:
        """Health-check a new revision, whatever traffic it is to get."""
        trouble = self.faults.of_deploy(short(service_of(revision.name)))
        if trouble is not None:
            return self._troubled(trouble, revision)
        for container in revision.containers:
            try:
                container.image = self.fleet.resolve(container.image)
            except ImageTrouble as found:
                return self._image_failure(found.image, denied=found.denied)
        environment = self.secrets.environment(revision)
        if isinstance(environment, Failure):
            return environment
        return self.fleet.deploy(revision, environment)

    def instance(self, revision: RevisionPb) -> Instance:
        """An instance for a request. Raises `NotStarted`."""
        environment = self.secrets.environment(revision)
        if isinstance(environment, Failure):
            raise NotStarted(revision.name)
        return self.fleet.instance(revision, environment)

    def tell_failure(self, revision: RevisionPb, failure: Failure) -> None:
        """Into the audit log."""
        self.entries.not_ready(revision.name, failure.text)

    def remove(self, revision: str) -> None:
        self.fleet.remove(revision)

    def _image_failure(self, image: str, *, denied: bool) -> Failure:
        if denied:
            text = texts.image_denied(image, self.place.project)
            return Failure(text, CommonReason.CONTAINER_PERMISSION_DENIED)
        return Failure(texts.image_absent(image), CommonReason.CONTAINER_MISSING)

    def _troubled(self, trouble: DeployTrouble, revision: RevisionPb) -> Failure:
        image = revision.containers[0].image
        match trouble:
            case DeployTrouble.IMAGE_ABSENT:
                return self._image_failure(image, denied=False)
            case DeployTrouble.IMAGE_DENIED:
                return self._image_failure(image, denied=True)
            case DeployTrouble.SECRET_DENIED:
                return self.secrets.denied(revision)
            case DeployTrouble.CPU_QUOTA:
                return Failure(texts.CPU_QUOTA, RevisionReason.ACTIVE_REVISION_LIMIT_REACHED)
            case DeployTrouble.MAX_SCALE:
                return Failure(texts.max_scale(_MOST_INSTANCES), CommonReason.REVISION_FAILED)
            case _:
                assert_never(trouble)
