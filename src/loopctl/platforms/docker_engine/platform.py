"""The platform port on containers of this machine's Docker engine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal
from urllib.parse import urlsplit, urlunsplit

from loopctl.engine import containers
from loopctl.engine.connection import Engine
from loopctl.engine.containers import MACHINE, ContainerState
from loopctl.engine.errors import EngineError, EngineGoneError, NotInEngineError
from loopctl.engine.images import find_image, pull_image
from loopctl.errors import Problem, Stopped
from loopctl.inert import one_line
from loopctl.model.artifact import Artifact, ArtifactKind, DeployKey, Revision
from loopctl.model.plan import PlatformKind, ServiceSpec
from loopctl.model.references import Endpoint
from loopctl.platforms.docker_engine import limits
from loopctl.platforms.docker_engine.engine_problems import address_problems, engine_problems
from loopctl.platforms.docker_engine.served import served_otherwise
from loopctl.platforms.host.leftovers import LABEL, remove_orphans
from loopctl.platforms.host.rendezvous import Rendezvous
from loopctl.platforms.hosted.platform import HostedPlatform
from loopctl.platforms.hosted.secrets import valueless, values_of
from loopctl.ports.leases import Held
from loopctl.ports.platform import PlatformError
from loopctl.process import Stop
from loopctl.redact import Secret

#: The port that a service is told where the loop file names none, as on Cloud Run.
DEFAULT_PORT: Final = 8080
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1", "0.0.0.0")  # noqa: S104 - names, not listened on
_NAMED: Final = 5
#: Seconds for an image that was built elsewhere.
_PULL_S: Final = 900.0


class DockerPlatform(HostedPlatform):
    """Services as containers, owned by the environment's host.

    `secrets` are all values that must not reach a log, by name; `patterns` are the user's own;
    `loop` is the loop's name, for the containers' labels.
    """

    accepts = ArtifactKind.IMAGE

    def __init__(
        self,
        place: Rendezvous,
        engine: Engine,
        secrets: Mapping[str, Secret] | None = None,
        patterns: Sequence[str] = (),
        loop: str = "",
    ) -> None:
        super().__init__(place)
        self._engine = engine
        self._secrets = secrets or {}
        self._patterns = tuple(patterns)
        self._loop = loop

    def check(self, specs: Sequence[ServiceSpec], stop: Stop) -> Sequence[Problem]:
        """What is missing to run these; empty when nothing is."""
        found = [problem for spec in specs for problem in valueless(spec, PlatformKind.DOCKER)]
        found.extend(address_problems(self._engine) or self._asked(specs, stop))
        return [*found, *self._host_problems(stop)]

    def _asked(self, specs: Sequence[ServiceSpec], stop: Stop) -> list[Problem]:
        """What the engine itself tells to be missing."""
        try:
            machine = self._engine.about(stop)
        except EngineError as error:
            return [Problem(error.what, where=error.where, hint=error.hint)]
        found = engine_problems(self._engine, machine, stop)
        return [*found, *(each for spec in specs for each in limits.problems(spec, machine))]

    def from_within(self, endpoint: Endpoint) -> Endpoint:
        """A container reaches this machine's front doors by a name of its own for the machine."""
        return Endpoint(_from_container(endpoint.url), _from_container(endpoint.ws_url))

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
        """Start a revision and return once it is accepted; the host is started if need be.

        An image that was built elsewhere is pulled first, where the engine does not have it.
        """
        if artifact.elsewhere:
            self._fetch(artifact, stop)
        hidden = values_of(spec, PlatformKind.DOCKER)
        values = {name: secret.reveal() for name, secret in self._secrets.items()}
        args = {
            "service": spec.name,
            "key": str(key),
            "digest": artifact.digest,
            "workload": "container",
            "artifact": artifact.location,
            "engine": self._engine.environ,
            "command": list(spec.run.command or ()),
            "environment": {**env, **hidden},
            "port": spec.run.port or DEFAULT_PORT,
            "memory": spec.run.memory,
            "cpus": limits.processors(spec.run.cpu),
            "labels": {"loop": self._loop, "run": key.run_id},
            "hidden": {**values, **hidden},
            "patterns": list(self._patterns),
            "share": share,
            "fence": held.fence,
        }
        return self._deploy(args, stop)

    def serves_content(self, revision: Revision, artifact: Artifact, stop: Stop) -> str | None:
        """None while the revision's own container runs the artifact's image and has left alone
        what source was copied to; else what differs.
        """
        with self._engine_errors():
            state = self._container(revision, stop)
            if state is None:
                return f"there is no container of {revision.name} any more"
            wanted = self._names_of(artifact, stop)
            if state.image not in wanted:
                return f"its container runs {one_line(state.image)}, not {' or '.join(wanted)}"
            differing = served_otherwise(self._engine, state.id, state.image, artifact.roots, stop)
        if not differing:
            return None
        more = f" and {len(differing) - _NAMED} more" if len(differing) > _NAMED else ""
        return ", ".join(map(one_line, differing[:_NAMED])) + more

    def down(self, service: str, held: Held, stop: Stop) -> bool:
        """Stop the service and all its revisions; also what a killed host has left of it."""
        was_up = super().down(service, held, stop)
        with self._engine_errors():
            return remove_orphans(self._engine, self._place.key, stop, service) > 0 or was_up

    def _fetch(self, artifact: Artifact, stop: Stop) -> None:
        with self._engine_errors(), stop.child(_PULL_S) as limited:
            if find_image(self._engine, artifact.location, limited) is not None:
                return
            try:
                pull_image(self._engine, artifact.location, limited)
            except EngineGoneError:
                raise
            except EngineError as error:
                raise PlatformError(
                    f"the engine cannot pull {artifact.location}: {error.what}",
                    where=artifact.service,
                    hint=error.hint or "see that the engine reaches the registry, and has room",
                    mend=f"docker pull {artifact.location}",
                ) from None
            except Stopped:
                stop.remaining(0)
                raise PlatformError(
                    f"the engine has not pulled {artifact.location} within {_PULL_S:g} s",
                    where=artifact.service,
                    hint="pull it by hand, and run again",
                    mend=f"docker pull {artifact.location}",
                ) from None

    def _names_of(self, artifact: Artifact, stop: Stop) -> tuple[str, ...]:
        """What an engine may call the image: after its configuration, or after its manifest."""
        if not artifact.elsewhere:
            return (artifact.image_id or artifact.digest,)
        if artifact.image_id is not None:
            return (artifact.image_id, artifact.digest)
        # Nobody has asked the registry; the engine has verified what it pulled by this name.
        pulled = find_image(self._engine, artifact.location, stop)
        return (artifact.digest,) if pulled is None else (pulled.id, artifact.digest)

    def _container(self, revision: Revision, stop: Stop) -> ContainerState | None:
        """The container that carries the revision's labels; a name alone proves nothing."""
        wanted = {
            f"{LABEL}project": self._place.key,
            f"{LABEL}service": revision.service,
            f"{LABEL}revision": revision.name,
        }
        for found in containers.labelled(self._engine, wanted, stop):
            with contextlib.suppress(NotInEngineError):
                return containers.inspect(self._engine, found.id, stop)
        return None

    @contextlib.contextmanager
    def _engine_errors(self) -> Iterator[None]:
        try:
            yield
        except EngineError as error:
            raise PlatformError(error.what, where=error.where, hint=error.hint) from None


def _from_container(url: str) -> str:
    parts = urlsplit(url)
    if parts.hostname not in _LOOPBACK:
        return url
    port = f":{parts.port}" if parts.port is not None else ""
    return urlunsplit(parts._replace(netloc=f"{MACHINE}{port}"))
