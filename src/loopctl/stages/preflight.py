"""PREFLIGHT: everything that is missing, named at once, before anything is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from loopctl.errors import Problem
from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord
from loopctl.model.events import NotChecked
from loopctl.model.finding import Fault, FaultKind
from loopctl.model.outcome import Outcome
from loopctl.model.plan import ServiceSpec, SuiteKind, SuiteSpec
from loopctl.model.state import OutcomeKind, State
from loopctl.ports.builder import Builder
from loopctl.ports.identity import IdentityError
from loopctl.ports.platform import Absent, Platform, PlatformError
from loopctl.ports.probe import Prober
from loopctl.ports.publisher import Publisher
from loopctl.ports.suite import Suite
from loopctl.process import Stop, in_parallel
from loopctl.stages.callers import ANONYMOUS, Callers
from loopctl.stages.health_check import Asked, check_answer, keeps_out
from loopctl.stages.probing import ask

Checker = Callable[[Stop], Sequence[Fault]]

_TOO_COMMON = "it is too short or too common a word to be told from others: give it a longer one"

_GO = {
    State.BUILD: OutcomeKind.GO_BUILD,
    State.DEPLOY: OutcomeKind.GO_DEPLOY,
    State.HEALTH: OutcomeKind.GO_HEALTH,
    State.VERIFY: OutcomeKind.GO_VERIFY,
}


@dataclass(frozen=True, slots=True)
class Needs:
    """What the run needs. `missing` are required variables that are not set, by name.

    `unprotected` are secrets whose values are too common to be hidden, by name. `refuse_new`: a
    service that does not exist yet must not be made (protected, no `--create`). `fronted`: what is
    deployed is met through Google's front end, which may keep loopctl out.
    """

    deployed: tuple[ServiceSpec, ...]
    gated: tuple[ServiceSpec, ...]
    suites: tuple[SuiteSpec, ...]
    missing: tuple[str, ...]
    refuse_new: bool = False
    unprotected: tuple[str, ...] = ()
    fronted: bool = False


class Preflight:
    """Checks builder, platform, probes, suites, variables and gated-only services side by side."""

    def __init__(
        self,
        needs: Needs,
        builder: Builder,
        publisher: Publisher | None,
        platform: Platform,
        suites: Mapping[SuiteKind, Suite],
        prober: Prober,
        start: State,
        callers: Callers = ANONYMOUS,
    ) -> None:
        self._needs = needs
        self._builder = builder
        self._publisher = publisher
        self._platform = platform
        self._suites = suites
        self._prober = prober
        self._start = start
        self._callers = callers

    def __call__(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> Outcome:
        """OK (or GO to where the run starts), or FAILED with every fault."""
        for name in self._needs.unprotected:
            journal.append(NotChecked(f"that the value of {name} is hidden", _TOO_COMMON))
        checks: dict[str, Checker] = {
            "builder": lambda s: _faults(self._builder.check(self._needs.deployed, s)),
            "platform": lambda s: _faults(self._platform.check(self._needs.deployed, s)),
            "probes": lambda s: _faults(self._prober.check(s)),
            "variables": lambda _: self._missing_variables(),
        }
        services = (*self._needs.deployed, *self._needs.gated)
        if any(spec.auth.kind == "id_token" for spec in services):
            checks["tokens"] = lambda s: _faults(self._callers.check(services, s))
        if self._publisher is not None:
            registry = self._publisher
            checks["registry"] = lambda s: _faults(registry.check(s))
        if self._needs.refuse_new:
            checks["new services"] = self._new_services
        for suite in self._needs.suites:
            checks[f"suite {suite.id}"] = self._suite_check(suite)
        for service in self._needs.gated:
            checks[f"gate {service.name}"] = self._gate_check(service)
        if self._needs.fronted:
            for service in self._needs.deployed:
                checks[f"front end of {service.name}"] = self._front_end_check(service)
        found = in_parallel(stop, 4, checks)
        faults = tuple(dict.fromkeys(fault for faults in found.values() for fault in faults))
        if faults:
            count = f"{len(faults)} things are" if len(faults) > 1 else "one thing is"
            return Outcome(OutcomeKind.FAILED, f"{count} missing; nothing was changed", faults)
        return Outcome(_GO.get(self._start, OutcomeKind.OK), f"{len(checks)} checks passed")

    def _missing_variables(self) -> Sequence[Fault]:
        return [
            Fault(
                FaultKind.MISSING_VARIABLE,
                f"the environment variable {name} is not set",
                value=name,
                hint=f"export {name}=…, or put it into the environment's env_file",
            )
            for name in self._needs.missing
        ]

    def _new_services(self, stop: Stop) -> Sequence[Fault]:
        """A new service's first revision serves at once: on a protected place that is asked for."""
        new = [
            spec.name
            for spec in self._needs.deployed
            if isinstance(self._platform.observe(spec.name, stop), Absent)
        ]
        return [
            Fault(
                FaultKind.CONTROL_PLANE,
                f"{name} does not exist yet, and its first revision takes all traffic unverified",
                service=name,
                hint="--create, if that is meant",
            )
            for name in new
        ]

    def _suite_check(self, spec: SuiteSpec) -> Checker:
        return lambda stop: _faults(self._suites[spec.kind].check(spec, stop))

    def _gate_check(self, spec: ServiceSpec) -> Checker:
        return lambda stop: gate_faults(spec, self._prober, self._callers, stop)

    def _front_end_check(self, spec: ServiceSpec) -> Checker:
        return lambda stop: self._kept_out(spec, stop)

    def _kept_out(self, spec: ServiceSpec, stop: Stop) -> Sequence[Fault]:
        """Whether what serves now can be met at all; whether it is healthy is not asked here."""
        try:
            state = self._platform.observe(spec.name, stop)
            if isinstance(state, Absent) or not state.url:
                return []
            caller = self._callers.of(spec, stop)
        except PlatformError:
            return []  # what keeps it from being looked at is told by the platform's own check
        except IdentityError as error:
            return _faults([Problem(error.what, where=error.where, hint=error.hint)])
        answer = ask(self._prober, state.url, spec.health, stop, caller)
        asked = Asked(spec.name, spec.health, cold=True, caller=caller, url=state.url)
        fault = keeps_out(answer, asked)
        return [] if fault is None else [fault]


def gate_faults(spec: ServiceSpec, prober: Prober, callers: Callers, stop: Stop) -> Sequence[Fault]:
    """Whether a service that is only gated on is healthy now; one fault if it is not."""
    assert spec.url is not None
    try:
        caller = callers.of(spec, stop)
    except IdentityError as error:
        return _faults([Problem(error.what, where=error.where, hint=error.hint)])
    answer = ask(prober, spec.url, spec.health, stop, caller)
    asked = Asked(spec.name, spec.health, cold=False, caller=caller, url=spec.url)
    fault = check_answer(answer, asked)
    if fault is None:
        return []
    if fault.kind is FaultKind.NOT_ADMITTED:
        return [fault]
    return [
        Fault(
            FaultKind.DEPENDENCY_DOWN,
            f"{spec.name}, which this loop only depends on, is not healthy: {fault.summary}",
            service=spec.name,
            value=fault.value,
            quotes=fault.quotes,
            hint=f"curl -i {spec.url.rstrip('/')}{spec.health.path}",
        )
    ]


def _faults(problems: Sequence[Problem]) -> Sequence[Fault]:
    return [
        Fault(
            FaultKind.MISSING_TOOL,
            f"{problem.where}: {problem.message}" if problem.where else problem.message,
            hint=problem.hint,
        )
        for problem in problems
    ]
