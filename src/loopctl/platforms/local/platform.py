"""The platform port over the detached host of an environment."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from loopctl.errors import Problem, StorageError
from loopctl.evidence.blobs import read_tree, tree_digest
from loopctl.files import ensure_private_dir
from loopctl.model.artifact import (
    Artifact,
    ArtifactKind,
    DeployKey,
    Revision,
    ServiceState,
    Target,
)
from loopctl.model.plan import ServiceSpec
from loopctl.platforms.host.client import HostAbsentError, HostClient, HostSilentError
from loopctl.platforms.host.control import Fields, ProtocolError
from loopctl.platforms.host.rendezvous import Rendezvous
from loopctl.platforms.local import answers, content, launching
from loopctl.ports.leases import Held
from loopctl.ports.platform import (
    Absent,
    Dead,
    PlatformError,
    Present,
    Ready,
    Starting,
    Traffic,
    Unknown,
)
from loopctl.process import Stop
from loopctl.redact import Secret

# The host waits for processes within these verbs: copying and starting, restarting, stopping.
_DEPLOY_S: Final = 120.0
_ROUTE_S: Final = 60.0
_STOP_S: Final = 30.0


@contextlib.contextmanager
def _only_port_errors() -> Iterator[None]:
    """An answer that is none of the protocol, or not whole, is the platform's error."""
    try:
        yield
    except ProtocolError as error:
        raise PlatformError(error.what, where=error.where, hint=error.hint) from None


class LocalPlatform:
    """Services as processes of this machine, owned by the environment's host.

    `secrets` are all values that must not reach a log, by name; `patterns` are the user's own.
    Verbs that change something raise `LeaseLost` when `held` is not the lease any more, and then
    have changed nothing.
    """

    accepts = ArtifactKind.FOLDER

    def __init__(
        self,
        place: Rendezvous,
        secrets: Mapping[str, Secret] | None = None,
        patterns: Sequence[str] = (),
    ) -> None:
        self._place = place
        self._host = HostClient(place)
        self._secrets = secrets or {}
        self._patterns = tuple(patterns)

    def check(self, specs: Sequence[ServiceSpec], stop: Stop) -> Sequence[Problem]:
        """What is missing to run these; empty when nothing is."""
        found = [problem for spec in specs for problem in launching.problems(spec)]
        try:
            self._place.prepare()
            ensure_private_dir(self._place.state)
            with contextlib.suppress(HostAbsentError):
                self._call("hello", {}, stop)
        except PlatformError as error:
            found.append(Problem(error.what, where=error.where, hint=error.hint))
        except StorageError as error:
            hint = error.hint or "mend its permissions, or choose another with --runs-dir"
            found.append(Problem(error.what, where=error.where, hint=hint))
        return found

    def target(self, service: str) -> Target:
        """The identity that is locked: real project root, environment and service."""
        return self._place.target(service)

    @_only_port_errors()
    def observe(self, service: str, stop: Stop) -> ServiceState | Absent:
        """Who serves the service now; without a host nobody does."""
        try:
            state = self._call("observe", {"service": service}, stop).part_or_none("service")
        except HostAbsentError:
            return Absent()
        return Absent() if state is None else answers.service_state(state)

    @_only_port_errors()
    def find(self, key: DeployKey, stop: Stop) -> Present | Absent | Unknown:
        """Whether this deployment was made and its host still has it."""
        try:
            answer = self._call("find", {"service": key.service, "key": str(key)}, stop)
        except HostAbsentError:
            return Absent()
        except HostSilentError as error:
            return Unknown(error.what)
        found = answer.part_or_none("revision")
        if found is not None:
            return Present(answers.revision(found))
        return Unknown("it is being deployed") if answer.flag("deploying") else Absent()

    @_only_port_errors()
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
            "artifact": artifact.location,
            "command": list(launching.command(spec)),
            "environment": launching.environment(spec, env),
            "hidden": {**values, **launching.hidden(spec)},
            "patterns": list(self._patterns),
            "share": share,
            "fence": held.fence,
        }
        try:
            self._ensure(stop)
            answer = self._call("deploy", args, stop, _DEPLOY_S)
        except HostAbsentError:
            # It ended under our hands, as after the `down` of its last service. The key makes
            # asking twice safe.
            self._ensure(stop)
            answer = self._call("deploy", args, stop, _DEPLOY_S)
        return answers.revision(answer.part("revision"))

    @_only_port_errors()
    def status(self, revision: Revision, stop: Stop) -> Starting | Ready | Dead:
        """How far a revision is; with its host it is dead."""
        args = {"service": revision.service, "revision": revision.name}
        try:
            return answers.status(self._call("status", args, stop), revision)
        except HostAbsentError:
            return answers.gone(revision)

    @_only_port_errors()
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

    @_only_port_errors()
    def route(self, service: str, want: Traffic, held: Held, stop: Stop) -> ServiceState:
        """Send the service's traffic there; a revision that was stopped is started again first."""
        args = {"service": service, "traffic": dict(want), "fence": held.fence}
        return answers.service_state(self._call("route", args, stop, _ROUTE_S).part("service"))

    def discard(self, candidate: Revision, held: Held, stop: Stop) -> None:
        """Remove a revision that has no traffic; its log stays."""
        args = {
            "service": candidate.service,
            "revision": candidate.name,
            "fence": held.fence,
        }
        with contextlib.suppress(HostAbsentError):
            self._call("discard", args, stop, _STOP_S)

    def down(self, service: str, held: Held, stop: Stop) -> None:
        """Stop the service and all its revisions; the host ends with its last service."""
        with contextlib.suppress(HostAbsentError):
            self._call("down", {"service": service, "fence": held.fence}, stop, _STOP_S)

    def close(self, keep: bool, stop: Stop) -> None:
        """The run is over. Without `keep` the services live on until no run has held a lease on
        the environment for 15 minutes; with it until `down`.
        """
        with contextlib.suppress(HostAbsentError):
            self._call("close", {"keep": keep}, stop)

    def _ensure(self, stop: Stop) -> None:
        with _only_port_errors():
            self._host.ensure(stop)

    def _call(
        self, verb: str, args: Mapping[str, object], stop: Stop, timeout_s: float = 10.0
    ) -> Fields:
        with _only_port_errors():
            return self._host.call(verb, args, stop, timeout_s)
