"""The platform port on Google Cloud Run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal

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
from loopctl.model.plan import ServiceSpec
from loopctl.model.references import Endpoint
from loopctl.platforms.cloud_run import conditions, template, traffic
from loopctl.platforms.cloud_run.api import Api, Paths
from loopctl.platforms.cloud_run.changes import Changes
from loopctl.platforms.cloud_run.conditions import Readiness, fault_of
from loopctl.platforms.cloud_run.crash import Autopsy
from loopctl.platforms.cloud_run.deployment import Deployment, is_made_of, written
from loopctl.platforms.cloud_run.errors import ApiError, Code
from loopctl.platforms.cloud_run.fences import Fence
from loopctl.platforms.cloud_run.names import restored_name, revision_name, short, tag_of
from loopctl.platforms.cloud_run.operations import Started
from loopctl.platforms.cloud_run.preflight import Preflight
from loopctl.platforms.cloud_run.state import image_of, revision_of, state_of
from loopctl.platforms.cloud_run.watching import RevisionWatch
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

_DISCARD_S: Final = 60.0
_DOWN_S: Final = 90.0
_GONE_S: Final = 20.0
"""How long the end of a service that is gone already is waited for: its instances end by then."""


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
        self._watch = RevisionWatch(api, autopsy)

    def check(self, specs: Sequence[ServiceSpec], stop: Stop) -> Sequence[Problem]:
        """What is missing to run these; empty when nothing is."""
        found = self._preflight.problems(specs, stop)
        # Who may not write is told of the lease as well: what mends both is told once.
        told = {problem.hint for problem in found if problem.hint is not None}
        return [*found, *(each for each in self._fence.problems() if each.hint not in told)]

    def target(self, service: str) -> Target:
        """The identity that is locked: project, region and service."""
        names = self._api.names
        return Target("cloud-run", f"{names.project}/{names.region}", service)

    def observe(self, service: str, stop: Stop) -> ServiceState | Absent:
        """Who serves the service now."""
        self._watch.doubt()
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
        if service is None or not is_made_of(service, name, str(key)):
            return Absent()
        if service.reconciling:
            return Unknown(f"{name} is being made")
        # The template is there and its revision never came to be: what was made is its failure.
        return Present(written(service, key, key.digest))

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
        made = Deployment(spec, artifact, key, env, share)
        started = self._made(made, held, stop)
        self._watch.begun(made.name, started, lambda late: self._made(made, held, late))
        found = self._api.revision(spec.name, made.name, stop)
        if found is not None:
            self._watch.seen(made.name)
            return revision_of(spec.name, found)
        accepted = self._api.service(spec.name, stop)
        if accepted is None:
            raise PlatformError(f"{spec.name} is gone", where=spec.name)
        return written(accepted, key, artifact.digest)

    def status(self, revision: Revision, stop: Stop) -> Starting | Ready | Dead:
        """How far a revision is; takes up to five seconds while it is not ready."""
        return self._watch.status(revision, stop)

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
        self._require_routable(service, wanted, stop)

        def is_there(found: Service) -> bool:
            return not found.reconciling and traffic.serving(found) == wanted

        def send(found: Service) -> Paths | None:
            rows = [*traffic.targets(wanted), *traffic.kept_tags(found, ours_too=True)]
            if traffic.same(found.traffic, rows):
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
            serving = traffic.serving(found)
            if name in serving:
                raise PlatformError(
                    f"revision {name} still takes {serving[name]} percent of the traffic",
                    where=service,
                )
            if not serving:
                # A service that never served has nothing to go back to.
                return None
            paths = self._without(found, name)
            if is_made_of(found, name, candidate.key):
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
            serving = traffic.serving(found)
            if found.reconciling or name in serving:
                return False
            left = is_made_of(found, name, candidate.key) or bool(traffic.tags_of(found, name))
            return not (serving and left)

        with stop.child(_DISCARD_S) as limited:
            self._changes.bring(service, put_back, is_over, doing, held, limited)

    def down(self, service: str, held: Held, stop: Stop) -> bool:
        """Delete the service with all its revisions."""
        found = self._api.service(service, stop)
        if found is None:
            return False
        self._changes.require(found, held, stop)
        began = time.monotonic()
        started = self._api.delete(service, stop)
        with stop.child(_DOWN_S) as limited:
            while started is not None:
                started = self._api.operations.ended(started, _LOOK_EVERY_S, limited)
                if started.error is not None:
                    raise started.error
                waited = time.monotonic() - began
                if self._api.service(service, limited) is None and (
                    started.done or waited > _GONE_S
                ):
                    break
                if started.done:
                    limited.wait(_LOOK_EVERY_S)
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

    def _made(self, made: Deployment, held: Held, stop: Stop) -> Started | None:
        service = made.spec.name
        if self._api.service(service, stop) is None:
            try:
                return self._api.create(service, self._new(made, held, stop), stop)
            except ApiError as error:
                # Over REST two statuses have one number.
                if error.code not in (Code.ALREADY_EXISTS, Code.ABORTED):
                    raise
        # It is there by now: by our own write, whose answer was lost, or by somebody else's,
        # which the lease tells.
        try:
            return self._changes.begin(
                service,
                lambda found: self._changed(found, made, stop),
                f"deploy {made.name}",
                held,
                stop,
            )
        except ApiError as error:
            if error.code is not Code.ALREADY_EXISTS or not self._is_there(made, stop):
                raise
            # The write whose answer was lost had been done, and the service did not tell of it yet.
            return None

    def _is_there(self, made: Deployment, stop: Stop) -> bool:
        found = self._api.revision(made.spec.name, made.name, stop)
        return found is not None and found.annotations.get(template.KEY) == str(made.key)

    def _new(self, made: Deployment, held: Held, stop: Stop) -> Service:
        service = Service(client="loopctl")
        made.write(service, RevisionTemplate())
        # Its only revision is its newest: promoting it pins the traffic to its name.
        service.traffic = traffic.to_latest()
        self._fence.new_service(service, held, stop)
        return service

    def _changed(self, found: Service, made: Deployment, stop: Stop) -> Paths | None:
        if is_made_of(found, made.name, str(made.key)):
            return None
        serving = traffic.serving(found)
        paths = made.write(found, self._served_template(found, stop))
        # Where nobody serves there is nobody to be spared.
        beside = bool(serving) and made.share == "none"
        rows = traffic.targets(serving if beside else {made.name: 100})
        rows += traffic.kept_tags(found)
        if beside:
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
        if sum(row.percent for row in rows) != 100:
            # What it was told to serve it never did: what serves goes on doing so.
            rows = traffic.targets(traffic.serving(found))
            rows += traffic.kept_tags(found, ours_too=True, without=[name])
        found.traffic = rows
        return ["traffic"]

    def _require_routable(self, service: str, wanted: Traffic, stop: Stop) -> None:
        """Raises `PlatformError` for traffic that the API would take, and then fail to bring."""
        total = sum(wanted.values())
        if total != 100 or min(wanted.values()) < 0:
            raise PlatformError(
                f"the traffic of {service} would be {total} percent, not 100", where=service
            )
        for name in wanted:
            found = self._api.revision(service, name, stop)
            if found is None:
                raise PlatformError(f"{service} has no revision {name}", where=service)
            if conditions.readiness(found) is Readiness.FAILED:
                text, condition = conditions.why_failed(found, None)
                fault = fault_of(text, condition, service, name, self._api.names)
                raise PlatformError(
                    f"{name} cannot take traffic: {fault.summary}",
                    fault=fault,
                    where=service,
                    hint=fault.hint,
                )


def _mended_by(error: PlatformError, mend: str) -> PlatformError:
    """The error with the command that does without loopctl what could not be done."""
    error.mend = mend
    if error.fault is not None:
        error.fault = replace(error.fault, mend=mend)
    return error
