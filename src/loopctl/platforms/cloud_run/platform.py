"""The platform port on Google Cloud Run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Final, Literal

from google.cloud.run_v2 import Revision as CloudRevision
from google.cloud.run_v2 import RevisionTemplate, Service

from loopctl.errors import Problem
from loopctl.inert import one_line
from loopctl.model.artifact import (
    Artifact,
    ArtifactKind,
    DeployKey,
    Revision,
    ServiceState,
    Target,
)
from loopctl.model.finding import Fault, FaultKind
from loopctl.model.plan import ServiceSpec
from loopctl.model.references import Endpoint
from loopctl.platforms.cloud_run import conditions, template, traffic
from loopctl.platforms.cloud_run.api import Api, Paths
from loopctl.platforms.cloud_run.changes import Changes
from loopctl.platforms.cloud_run.conditions import Readiness, fault_of
from loopctl.platforms.cloud_run.crash import Autopsy
from loopctl.platforms.cloud_run.errors import ApiError, Code
from loopctl.platforms.cloud_run.fences import Fence
from loopctl.platforms.cloud_run.names import restored_name, revision_name, short, tag_of
from loopctl.platforms.cloud_run.operations import Started
from loopctl.platforms.cloud_run.preflight import Preflight
from loopctl.platforms.cloud_run.state import image_of, revision_of, state_of
from loopctl.ports.leases import Held
from loopctl.ports.platform import (
    Absent,
    Dead,
    Platform,
    PlatformError,
    Present,
    Ready,
    Starting,
    Traffic,
    Unknown,
)
from loopctl.process import Stop

_LOOK_EVERY_S: Final = 1.0
"""Seconds between two looks at a revision: what it costs is counted against a quota."""

_FRESH_S: Final = 2.0
_STUCK_LOOK_S: Final = 4.0
_CONFLICTS: Final = 4
_DISCARD_S: Final = 60.0
_DOWN_S: Final = 90.0


@dataclass(slots=True)
class _Watched:
    """What is known of a revision that was asked about. Times are monotonic."""

    started: Started | None = None
    looked: float = float("-inf")
    ready: Ready | None = None
    dead: Dead | None = None


class CloudRunPlatform(Platform):
    """Services of one project and region.

    Verbs that change something raise `LeaseLost` when `held` is not the lease any more, and then
    have changed nothing.
    """

    accepts = ArtifactKind.IMAGE
    keeps_addresses = False

    def __init__(
        self,
        api: Api,
        changes: Changes,
        fence: Fence,
        preflight: Preflight,
        autopsy: Autopsy,
    ) -> None:
        self._api = api
        self._changes = changes
        self._fence = fence
        self._preflight = preflight
        self._autopsy = autopsy
        self._watched: dict[str, _Watched] = {}

    def check(self, specs: Sequence[ServiceSpec], stop: Stop) -> Sequence[Problem]:
        """What is missing to run these; empty when nothing is."""
        return [*self._preflight.problems(specs, stop), *self._fence.problems()]

    def target(self, service: str) -> Target:
        """The identity that is locked: project, region and service."""
        names = self._api.names
        return Target("cloud-run", f"{names.project}/{names.region}", service)

    def observe(self, service: str, stop: Stop) -> ServiceState | Absent:
        """Who serves the service now."""
        for watched in self._watched.values():
            watched.ready = None
        found = self._api.service(service, stop)
        return Absent() if found is None else self.state_of(found, stop)

    def state_of(self, service: Service, stop: Stop) -> ServiceState:
        """The state of a service that was just read."""
        return state_of(service, self._api.revisions(short(service.name), stop))

    def find(self, key: DeployKey, stop: Stop) -> Present | Absent | Unknown:
        """Whether this deployment was made: its revision has the one name that it can have."""
        name = revision_name(key)
        try:
            found = self._api.revision(key.service, name, stop)
            if found is not None:
                return Present(revision_of(key.service, found))
            service = self._api.service(key.service, stop)
        except ApiError as error:
            return Unknown(error.what)
        if service is None or short(service.template.revision) != name:
            return Absent()
        if service.reconciling:
            return Unknown(f"{name} is being made")
        # The template is there and its revision never came to be: what was made is its failure.
        return Present(_written(service, key, key.digest))

    def from_within(self, endpoint: Endpoint) -> Endpoint:
        """A service is met from everywhere by the same address."""
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
        """Make a revision and return once it is accepted; its name makes asking twice safe."""
        made = _Deployment(spec, artifact, key, env, share)
        started = self._made(made, held, stop)
        # A conflict may be told by the operation only, and then at once.
        for _ in range(_CONFLICTS):
            if started is None:
                break
            started = self._api.operations.ended(started, _LOOK_EVERY_S, stop)
            if started.error is None or started.error.code is not Code.ABORTED:
                break
            started = self._made(made, held, stop)
        self._watched[made.name] = _Watched(started)
        found = self._api.revision(spec.name, made.name, stop)
        if found is not None:
            return revision_of(spec.name, found)
        written = self._api.service(spec.name, stop)
        if written is None:
            raise PlatformError(f"{spec.name} is gone", where=spec.name)
        return _written(written, key, artifact.digest)

    def status(self, revision: Revision, stop: Stop) -> Starting | Ready | Dead:
        """How far a revision is; takes up to a second while it is not ready."""
        watched = self._watched.setdefault(revision.name, _Watched())
        if watched.ready is not None and time.monotonic() - watched.looked < _FRESH_S:
            return watched.ready
        if watched.dead is not None:
            return watched.dead
        if not self._may_have_changed(watched, stop):
            return Starting()
        watched.looked = time.monotonic()
        found = self._looked(revision, watched, stop)
        watched.ready = found if isinstance(found, Ready) else None
        return found

    def serves_content(self, revision: Revision, artifact: Artifact, stop: Stop) -> str | None:
        """None while the revision names the artifact's digest, which is its content; else what
        it names.
        """
        found = self._api.revision(revision.service, revision.name, stop)
        if found is None:
            return f"there is no {revision.name} any more"
        image = image_of(found)
        if image.partition("@")[2] == artifact.digest:
            return None
        return f"{revision.name} runs {one_line(image, limit=200)}, not {artifact.digest}"

    def route(self, service: str, want: Traffic, held: Held, stop: Stop) -> ServiceState:
        """Send the service's traffic there, every tag kept; read back until it is there."""
        wanted = {name: percent for name, percent in want.items() if percent}

        def is_there(found: Service) -> bool:
            return not found.reconciling and traffic.serving(found) == wanted

        def send(found: Service) -> Paths | None:
            rows = [*traffic.targets(wanted), *traffic.kept_tags(found, ours_too=True)]
            if list(found.traffic) == rows:
                return None
            found.traffic = rows
            return ["traffic"]

        doing = f"send the traffic of {service}"
        try:
            done = self._changes.bring(service, send, is_there, doing, held, stop)
        except PlatformError as error:
            raise _mended_by(error, self._by_hand(service, wanted)) from None
        return self.state_of(done, stop)

    def discard(self, candidate: Revision, held: Held, stop: Stop) -> None:
        """Take away its tag, and put back the template of what serves, as a revision of its own
        that has no traffic: whoever deploys next begins with the template.
        """
        name, service = candidate.name, candidate.service

        def put_back(found: Service) -> Paths | None:
            if name in traffic.serving(found):
                raise PlatformError(f"{name} has traffic, it cannot be discarded", where=service)
            paths = self._without(found, name)
            if _is_made_of(found, name):
                found.template = self._served_template(found, stop)
                found.template.revision = restored_name(service, name)
                found.template.annotations = {
                    **dict(found.template.annotations),
                    template.RESTORES: name,
                }
                paths.append("template")
            return paths or None

        if self._api.service(service, stop) is None:
            return
        doing = f"put back the template of {service}"

        def is_over(found: Service) -> bool:
            # Whether the restored template's own revision comes up is nobody's traffic.
            return not found.reconciling and name not in traffic.serving(found)

        with stop.child(_DISCARD_S) as limited:
            self._changes.bring(service, put_back, is_over, doing, held, limited)

    def down(self, service: str, held: Held, stop: Stop) -> bool:
        """Delete the service with all its revisions."""
        found = self._api.service(service, stop)
        if found is None:
            return False
        self._changes.require(found, held, stop)
        started = self._api.delete(service, stop)
        with stop.child(_DOWN_S) as limited:
            while started is not None and self._api.service(service, limited) is not None:
                started = self._api.operations.ended(started, _LOOK_EVERY_S, limited)
                if started.done and started.error is not None:
                    raise started.error
        return True

    def close(self, keep: bool, stop: Stop) -> None:
        """The run is over: services stay as they are, only the connections end."""
        self._api.close()

    def _by_hand(self, service: str, want: Traffic) -> str:
        """The command that sends the traffic there without loopctl."""
        shares = ",".join(f"{name}={percent}" for name, percent in want.items())
        names = self._api.names
        return (
            f"gcloud run services update-traffic {service} --to-revisions={shares} "
            f"--region={names.region} --project={names.project}"
        )

    def _made(self, made: _Deployment, held: Held, stop: Stop) -> Started | None:
        service = made.spec.name
        if self._api.service(service, stop) is None:
            try:
                return self._api.create(service, self._new(made, held, stop), stop)
            except ApiError as error:
                if error.code is not Code.ALREADY_EXISTS:
                    raise
        # It is there by now: by our own write, whose answer was lost, or by somebody else's,
        # which the lease tells.
        return self._changes.begin(
            service,
            lambda found: self._changed(found, made, stop),
            f"deploy {made.name}",
            held,
            stop,
        )

    def _new(self, made: _Deployment, held: Held, stop: Stop) -> Service:
        service = Service(client="loopctl")
        made.write(service, RevisionTemplate())
        # Its only revision is its newest: promoting it pins the traffic to its name.
        service.traffic = traffic.to_latest()
        self._fence.new_service(service, held, stop)
        return service

    def _changed(self, found: Service, made: _Deployment, stop: Stop) -> Paths | None:
        if _is_made_of(found, made.name):
            return None
        serving = traffic.serving(found)
        paths = made.write(found, self._served_template(found, stop))
        rows = traffic.targets({made.name: 100} if made.share == "all" else serving)
        rows += traffic.kept_tags(found)
        if made.share == "none":
            rows.append(traffic.tag_row(made.name, tag_of(made.name)))
        found.traffic = rows
        return [*paths, "traffic"]

    def _served_template(self, found: Service, stop: Stop) -> RevisionTemplate:
        """The template of the revision that has most of the traffic."""
        serving = traffic.serving(found)
        name = max(serving, key=lambda each: serving[each], default="")
        revision = self._api.revision(short(found.name), name, stop) if name else None
        return template.base_of(found, revision)

    def _without(self, found: Service, name: str) -> list[str]:
        rows = [row for row in found.traffic if short(row.revision) != name]
        if len(rows) == len(found.traffic):
            return []
        found.traffic = rows
        return ["traffic"]

    def _may_have_changed(self, watched: _Watched, stop: Stop) -> bool:
        """Wait for news of the revision; whether it is worth a look now."""
        started = watched.started
        if started is not None and not started.done:
            watched.started = self._api.operations.ended(started, _LOOK_EVERY_S, stop)
            overdue = time.monotonic() - watched.looked >= _STUCK_LOOK_S
            return watched.started.done or overdue
        if watched.ready is None:
            stop.wait(max(0.0, watched.looked + _LOOK_EVERY_S - time.monotonic()))
        return True

    def _looked(self, revision: Revision, watched: _Watched, stop: Stop) -> Starting | Ready | Dead:
        found = self._api.revision(revision.service, revision.name, stop)
        if found is None:
            return self._not_there(revision, watched, stop)
        match conditions.readiness(found):
            case Readiness.FAILED:
                fault = self._dead(revision, found, None).fault
                if fault.kind is FaultKind.NEVER_READY:
                    fault = self._autopsy(revision, fault, stop)
                # A revision that never came up does not come up later.
                watched.dead = Dead(fault)
                return watched.dead
            case Readiness.WAITING:
                return self._waiting(revision, found, watched, stop)
            case Readiness.READY:
                return self._reached(revision, found, stop)

    def _not_there(self, revision: Revision, watched: _Watched, stop: Stop) -> Starting | Dead:
        started = watched.started
        if started is not None and started.error is not None:
            return Dead(self._fault(revision, started.error.text, "operation"))
        service = self._api.service(revision.service, stop)
        if service is not None and _is_made_of(service, revision.name):
            if not conditions.has_failed(service):
                return Starting()
            return self._dead(revision, None, service)
        return Dead(self._fault(revision, f"{revision.name} is gone", "revision"))

    def _waiting(
        self, revision: Revision, found: CloudRevision, watched: _Watched, stop: Stop
    ) -> Starting | Dead:
        """It says nothing yet; but an operation that failed says that it never will."""
        started = watched.started
        if started is None or started.error is None:
            return Starting()
        service = self._api.service(revision.service, stop)
        return self._dead(revision, found, service, started.error.text)

    def _reached(
        self, revision: Revision, found: CloudRevision, stop: Stop
    ) -> Starting | Ready | Dead:
        """Ready, and met at an address of its own: its tag's, or the service's if it serves."""
        service = self._api.service(revision.service, stop)
        if service is None:
            return Dead(self._fault(revision, f"{revision.service} is gone", "service"))
        url = _address(service, revision.name)
        if url is not None:
            endpoint = Endpoint.of(url)
            return Ready(endpoint.url, endpoint.ws_url)
        if conditions.has_failed(service):
            return self._dead(revision, None, service)
        return Starting()

    def _dead(
        self,
        revision: Revision,
        found: CloudRevision | None,
        service: Service | None,
        text: str = "",
    ) -> Dead:
        told, condition = conditions.why_failed(found, service)
        return Dead(self._fault(revision, told or text, condition))

    def _fault(self, revision: Revision, text: str, condition: str) -> Fault:
        names = self._api.names
        return fault_of(text, condition, revision.service, revision.name, names)


@dataclass(frozen=True, slots=True)
class _Deployment:
    """One deployment: what it is made of, and the name that only its revision can have."""

    spec: ServiceSpec
    artifact: Artifact
    key: DeployKey
    env: Mapping[str, str]
    share: Literal["none", "all"]

    @property
    def name(self) -> str:
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


def _mended_by(error: PlatformError, mend: str) -> PlatformError:
    """The error with the command that does without loopctl what could not be done."""
    error.mend = mend
    if error.fault is not None:
        error.fault = replace(error.fault, mend=mend)
    return error


def _is_made_of(found: Service, revision: str) -> bool:
    """Whether the newest template of a service is that of a revision."""
    return revision in (short(found.template.revision), short(found.latest_created_revision))


def _written(service: Service, key: DeployKey, digest: str) -> Revision:
    """The revision that a write to the service makes, before it is there to be looked at."""
    at = Service.pb(service).update_time.ToDatetime(UTC)
    return Revision(key.service, revision_name(key), digest, at, key=str(key))


def _address(service: Service, revision: str) -> str | None:
    """Where that revision alone answers; None where nothing leads to it alone."""
    for tag in (tag_of(revision), *traffic.tags_of(service, revision)):
        found = traffic.tagged(service, tag)
        if found is not None and found[0] == revision:
            return found[1]
    if traffic.serving(service) == {revision: 100} and not service.reconciling:
        return service.uri or None
    return None
