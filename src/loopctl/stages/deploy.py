"""DEPLOY: a revision of each service of the wave, beside what serves now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from loopctl.errors import Stopped
from loopctl.journal.commands import Commands
from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord
from loopctl.model.artifact import Artifact, DeployKey, Revision, ServiceState
from loopctl.model.events import (
    Intent,
    NotChecked,
    Note,
    Result,
    RevisionDeployed,
    Routed,
    ServiceObserved,
)
from loopctl.model.finding import Fault, FaultKind
from loopctl.model.outcome import Outcome
from loopctl.model.plan import ServiceSpec
from loopctl.model.references import Endpoint, fill, mentioned
from loopctl.model.state import OutcomeKind
from loopctl.ports.identity import IdentityError
from loopctl.ports.leases import Held
from loopctl.ports.platform import Absent, Dead, Platform, PlatformError, Present, Unknown
from loopctl.process import Stop
from loopctl.stages.traffic import as_moved, said, shares, traffic_moved


@dataclass(frozen=True, slots=True)
class ToDeploy:
    """What goes where. `gated` are the URLs of services that are only depended on, `commands` what
    a person is told to type.
    """

    run_id: str
    services: tuple[ServiceSpec, ...]
    waves: tuple[tuple[ServiceSpec, ...], ...]
    gated: Mapping[str, str]
    strategy: Literal["candidate", "direct"]
    commands: Commands


ASK_AGAIN_S = 0.1
_GOES_ON_S = 300.0


class Deploy:
    """Deploys one wave. Before the cycle's first write it notes who serves what."""

    def __init__(self, todo: ToDeploy, platform: Platform, held: Callable[[], Held]) -> None:
        self._todo = todo
        self._platform = platform
        self._held = held

    def __call__(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> Outcome:
        """OK once every revision of the wave was accepted; MOVED where somebody else has written.

        ERRORED where one was not accepted.
        """
        wave = journal.wave or 0
        if wave == 0 and (moved := self._observe(cycle, journal, stop)) is not None:
            return moved
        services = self._todo.waves[wave] if self._todo.waves else ()
        for spec in services:
            try:
                moved = self._deploy(spec, journal, stop)
            except PlatformError as error:
                return Outcome(OutcomeKind.ERRORED, error.what, (as_fault(spec.name, error),))
            if moved is not None:
                return moved
        return Outcome(OutcomeKind.OK, _names(services))

    def _observe(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> Outcome | None:
        """Note who serves what, unless it is not what an earlier cycle of this run has left."""
        found = {
            spec.name: self._platform.observe(spec.name, stop)
            for spec in self._todo.services
            if not cycle.services[spec.name].observed_before
        }
        for name, state in found.items():
            if not isinstance(state, Absent):
                moved = traffic_moved(cycle.services[name], state)
                if moved is not None:
                    return as_moved(name, moved)
        for name, state in found.items():
            before = None if isinstance(state, Absent) else state
            journal.append(ServiceObserved("before", before), service=name)
        return None

    def _deploy(self, spec: ServiceSpec, journal: Journal, stop: Stop) -> Outcome | None:
        record = journal.fold.cycle().services[spec.name]
        found = self._platform.observe(spec.name, stop)
        before = None if isinstance(found, Absent) else found
        # A later wave is deployed minutes after the first look.
        if before is not None and (moved := traffic_moved(record, before)) is not None:
            return as_moved(spec.name, moved)
        artifact = record.artifact
        if artifact is None:
            raise PlatformError(f"{spec.name} has no image to deploy", where=spec.name)
        spec = _as_raised(spec, journal)
        # A service that serves nothing yet has nothing to be spared: its first revision serves.
        first = not shares(record.before)
        share: Literal["none", "all"] = (
            "all" if first or self._todo.strategy == "direct" else "none"
        )
        revision = self._accepted(spec, artifact, share, journal, stop)
        journal.append(RevisionDeployed(revision, share, first), service=spec.name)
        state = self._platform.observe(spec.name, stop)
        if isinstance(state, ServiceState):
            if share == "all":
                note_arrival(state, revision, journal)
                return None
            journal.append(ServiceObserved("deployed", state), service=spec.name)
            if shares(state) != shares(before):
                was = said(shares(before))
                moved = f"traffic was {was} when a candidate was put beside it, and is "
                return as_moved(spec.name, moved + said(state.traffic))
        return None

    def _accepted(
        self,
        spec: ServiceSpec,
        artifact: Artifact,
        share: Literal["none", "all"],
        journal: Journal,
        stop: Stop,
    ) -> Revision:
        key = DeployKey(self._todo.run_id, journal.cycle, spec.name, artifact.digest)
        if journal.fold.cycle().services[spec.name].deploy_key == str(key):
            # A process that was killed had begun it: it is never made twice.
            revision = made_by(key, self._platform, stop)
            if revision is not None:
                found = Result("deploy", str(key), ok=True, detail=f"{revision.name} was found")
                journal.append(found, service=spec.name)
                return revision
        env = self._environment(spec, journal.fold.cycle(), stop)
        self._tell_unmet(spec, journal)
        with journal.effect(Intent("deploy", str(key), {"share": share}), service=spec.name):
            try:
                return self._platform.deploy(spec, artifact, key, env, share, self._held(), stop)
            except PlatformError as error:
                revision = self._goes_on(key, error, stop)
                if revision is None:
                    raise
        said = f"the call that deployed {revision.name} failed while the rollout went on"
        journal.append(Note(f"{said}: it was waited for, and nothing was deployed a second time"))
        return revision

    def _goes_on(self, key: DeployKey, error: PlatformError, stop: Stop) -> Revision | None:
        """What a deployment made whose client gave up; None where it was refused, or never made.

        Such a rollout is waited for and looked at, never begun a second time.
        """
        if not error.outcome_unknown:
            return None
        try:
            with stop.child(_GOES_ON_S) as limited:
                return made_by(key, self._platform, limited)
        except (PlatformError, Stopped):
            return None

    def _tell_unmet(self, spec: ServiceSpec, journal: Journal) -> None:
        """Candidates that this one will not meet before they are promoted, by their addresses."""
        if self._platform.keeps_addresses or self._todo.strategy == "direct":
            return
        cycle = journal.fold.cycle()
        for name in sorted(_referred(spec)):
            record = cycle.services.get(name)
            if record is not None and record.revision is not None and not record.first:
                why = "it was told the address of what serves; `phase: confirm` tests both together"
                journal.append(NotChecked(f"{spec.name} with {record.revision.name}", why))

    def _environment(self, spec: ServiceSpec, cycle: CycleRecord, stop: Stop) -> Mapping[str, str]:
        """The service's own environment, with the addresses of what it refers to.

        A candidate is told the own addresses of the candidates beside it, where those last: what
        is tested is what is promoted together. Of other services it is told what serves.
        """
        endpoints = {name: Endpoint.of(url) for name, url in self._todo.gated.items()}
        given = spec.run.env or {}
        for need in sorted(_referred(spec) | set(spec.needs)):
            if need not in endpoints:
                endpoints.update(self._endpoint(need, cycle, stop))
        inside = {name: self._platform.from_within(each) for name, each in endpoints.items()}
        try:
            return {k: fill(v, inside) for k, v in given.items() if v is not None}
        except KeyError as error:
            raise PlatformError(
                f"run.env of {spec.name} refers to {error.args[0]}, which has no address yet",
                where=spec.name,
                hint=f"add {error.args[0]} to the needs of {spec.name}",
            ) from error

    def _endpoint(self, service: str, cycle: CycleRecord, stop: Stop) -> Mapping[str, Endpoint]:
        """The address by the service's name; empty where it has none yet.

        A candidate's own only where that leads to what serves in the end: what is told here is
        told for as long as the revision lives.
        """
        record = cycle.services.get(service) if self._platform.keeps_addresses else None
        health = record.health if record is not None and record.revision is not None else None
        if health is not None and health.url is not None and health.ws_url is not None:
            return {service: Endpoint(health.url, health.ws_url)}
        state = self._platform.observe(service, stop)
        if isinstance(state, Absent):
            return {}
        self._refuse_dead(state, stop)
        return {service: Endpoint(state.url, state.ws_url)}

    def _refuse_dead(self, state: ServiceState, stop: Stop) -> None:
        """Tests of a service that calls a dead one would blame whoever was deployed now."""
        for name in shares(state):
            revision = state.revision(name)
            status = self._platform.status(revision, stop) if revision else None
            if isinstance(status, Dead):
                what = f"{name} serves {state.service} and is dead: {status.fault.summary}"
                commands = self._todo.commands
                hint = f"let a new revision serve: {commands.down()} && {commands.run_anew()}"
                fault = replace(status.fault, summary=what, hint=hint)
                raise PlatformError(what, fault=fault, where=state.service, hint=hint)


def _as_raised(spec: ServiceSpec, journal: Journal) -> ServiceSpec:
    """The service with the memory that a remedy of this run has given to it."""
    memory = journal.fold.raised_memory.get(spec.name)
    return replace(spec, run=replace(spec.run, memory=memory)) if memory is not None else spec


def _referred(spec: ServiceSpec) -> set[str]:
    """The services whose addresses its environment holds."""
    given = (spec.run.env or {}).values()
    return set().union(*(mentioned(value) for value in given if value))


def note_arrival(state: ServiceState, revision: Revision, journal: Journal) -> None:
    """Write down that a revision deployed with all traffic has it; nothing while it has not.

    Where traffic follows only once the revision is ready, HEALTH looks again.
    """
    record = journal.fold.cycle().services[state.service]
    if shares(state) == {revision.name: 100}:
        why: Literal["first", "direct"] = "first" if record.first else "direct"
        journal.append(Routed(state, why), service=state.service)


def made_by(key: DeployKey, platform: Platform, stop: Stop) -> Revision | None:
    """The revision that a deployment made, None when it was never made, for certain.

    Waits while the platform cannot tell; raises `Stopped` when that takes too long.
    """
    while True:
        match platform.find(key, stop):
            case Present(revision=revision):
                return revision
            case Absent():
                return None
            case Unknown():
                stop.wait(ASK_AGAIN_S)


def as_fault(service: str, error: PlatformError | IdentityError) -> Fault:
    """The platform's own fault, or one made of its words."""
    kind = FaultKind.CONTROL_PLANE
    if isinstance(error, IdentityError):
        return Fault(kind, error.what, service, hint=error.hint)
    if error.fault is not None:
        return error.fault
    return Fault(kind, error.what, service, hint=error.hint, mend=error.mend)


def _names(services: Sequence[ServiceSpec]) -> str:
    return "deployed " + ", ".join(spec.name for spec in services)
