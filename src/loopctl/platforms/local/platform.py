"""The platform port on processes of this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from loopctl.errors import Problem
from loopctl.evidence.blobs import read_tree, tree_digest
from loopctl.model.artifact import Artifact, ArtifactKind, DeployKey, Revision
from loopctl.model.plan import ServiceSpec
from loopctl.model.references import Endpoint
from loopctl.platforms.host.rendezvous import Rendezvous
from loopctl.platforms.hosted.platform import HostedPlatform, only_port_errors
from loopctl.platforms.local import content, launching
from loopctl.ports.leases import Held
from loopctl.ports.platform import PlatformError
from loopctl.process import Stop
from loopctl.redact import Secret


class LocalPlatform(HostedPlatform):
    """Services as processes of this machine, owned by the environment's host.

    `secrets` are all values that must not reach a log, by name; `patterns` are the user's own.
    """

    accepts = ArtifactKind.FOLDER

    def __init__(
        self,
        place: Rendezvous,
        secrets: Mapping[str, Secret] | None = None,
        patterns: Sequence[str] = (),
    ) -> None:
        super().__init__(place)
        self._secrets = secrets or {}
        self._patterns = tuple(patterns)

    def check(self, specs: Sequence[ServiceSpec], stop: Stop) -> Sequence[Problem]:
        """What is missing to run these; empty when nothing is."""
        found = [problem for spec in specs for problem in launching.problems(spec)]
        return [*found, *self._host_problems(stop)]

    def from_within(self, endpoint: Endpoint) -> Endpoint:
        """A process of this machine reaches what the loop reaches."""
        return endpoint

    def deploy(
        self,
        spec: ServiceSpec,
        artifact: Artifact,
        key: DeployKey,
        env: Mapping[str, str],
        share: Literal["none", "all"],
        held: Held,
        stop: Stop,
    ) -> Revision:
        """Start a revision and return once it is accepted; the host is started if need be."""
        values = {name: secret.reveal() for name, secret in self._secrets.items()}
        args = {
            "service": spec.name,
            "key": str(key),
            "digest": artifact.digest,
            "workload": "process",
            "artifact": artifact.location,
            "command": list(launching.command(spec)),
            "environment": launching.environment(spec, env),
            "hidden": {**values, **launching.hidden(spec)},
            "patterns": list(self._patterns),
            "share": share,
            "fence": held.fence,
        }
        return self._deploy(args, stop)

    @only_port_errors()
    def serves_content(self, revision: Revision, artifact: Artifact, stop: Stop) -> str | None:
        """None while the revision's own folder holds the artifact's files, else what differs."""
        try:
            stored = Path(artifact.location)
            if tree_digest(read_tree(stored)) != artifact.digest:
                return f"the stored image is not {artifact.digest} any more"
            running = self._host.state(stop) / "revisions" / revision.name
            return content.difference(stored, running, stop)
        except OSError as error:
            raise PlatformError(
                f"the artifact cannot be read: {error.strerror}", where=artifact.location
            ) from None
