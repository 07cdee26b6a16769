"""What a run would do, said before it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from loopctl.journal.history import PastDurations
from loopctl.journal.wording import count, traffic
from loopctl.model.plan import (
    Criterion,
    Environment,
    Plan,
    RemediationMode,
    RemedyRule,
    ServiceSpec,
    SuiteKind,
    SuiteSpec,
)
from loopctl.triage.acting import acts_alone
from loopctl.triage.loading import Catalogue


@dataclass(frozen=True, slots=True)
class ServiceOutlook:
    """One service: `serving` is percent by revision, `tree` the source as it is now.

    `hidden` tells that the platform could not be asked who serves; `same` that what serves was
    verified from that very source, and of `image` where that was built elsewhere.
    """

    name: str
    wave: int
    serving: Mapping[str, int]
    tree: str | None
    dirty: bool
    same: bool
    image: str | None = None
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class ByItself:
    """What the run would do without a rule, `limit` times at most, once it is sure of the cause."""

    signature: str
    action: str
    limit: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """What `plan` prints. `asks` are questions the run would put, `missing` what it lacks.

    `unread` says why the history could not be read, None: it was. `tells` is what others would be
    told, each in words.
    """

    plan: Plan
    services: tuple[ServiceOutlook, ...]
    past: PastDurations
    asks: tuple[str, ...]
    missing: tuple[str, ...]
    by_itself: tuple[ByItself, ...] = ()
    unread: str | None = None
    tells: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether a run would put something else in front of users than what serves now."""
        return any(not service.same for service in self.services)

    def document(self) -> Mapping[str, object]:
        """For `--json`."""
        plan = self.plan
        return {
            "schema": 1,
            "loop": plan.loop,
            "environment": plan.environment.name,
            "platform": plan.environment.platform.value,
            "strategy": plan.environment.strategy,
            "after_green": plan.environment.after_green,
            "services": [
                {
                    "name": s.name,
                    "wave": s.wave,
                    "serving": None if s.hidden else dict(s.serving),
                    "source_tree": s.tree,
                    "dirty": s.dirty,
                    "same_as_serving": s.same,
                    "image": s.image,
                }
                for s in self.services
            ],
            "gated": [spec.name for spec in plan.gated],
            "suites": [
                {
                    "id": suite.id,
                    "priority": suite.priority.value,
                    "phase": suite.phase.value,
                    "kind": suite.kind.value,
                    "require": suite.evidence.require.value,
                    "shards": suite.shards,
                    "retries": suite.retries,
                    "repeatable": suite.repeatable,
                    "control": "off" if has_no_control(suite, plan) else suite.evidence.control,
                    "past_s": self.past.suites.get(suite.id),
                }
                for suite in plan.suites
            ],
            "criteria": [
                {
                    "metric": each.metric,
                    "op": each.op,
                    "limit": each.limit,
                    "min_samples": each.min_samples,
                }
                for each in plan.criteria
            ],
            "past_s": self.past.total_s,
            "past_runs": self.past.runs,
            "remedies": list(remedies(plan)),
            "by_itself": [asdict(known) for known in self.by_itself],
            "tells": list(self.tells),
            "asks": list(self.asks),
            "missing": list(self.missing),
            "history_unread": self.unread,
            "differs": self.differs,
        }

    def lines(self) -> Sequence[str]:
        """For people."""
        plan, environment = self.plan, self.plan.environment
        said = [
            f"{plan.loop} on {environment.name} ({_how(environment)}), "
            f"at most {plan.limits.max_cycles} cycles in {plan.limits.deadline_s / 60:g} min"
        ]
        said += [f"  gate     {spec.name}: must be healthy at {spec.url}" for spec in plan.gated]
        said += [self._service(service) for service in self.services]
        for suite in plan.suites:
            past = self.past.suites.get(suite.id)
            took = "never run green here" if past is None else f"took {past:.1f} s"
            how = ", ".join((kind_of(suite), f"needs {suite.evidence.require.value}", took))
            said.append(f"  {suite.phase.value:8} {suite.priority.value} {suite.id}: {how}")
            said += [f"             {more}" for more in repeats(suite, plan)]
        said += [f"  limit    {limit_of(criterion)}" for criterion in plan.criteria]
        said += [f"  remedy   {remedy}" for remedy in (*remedies(plan), *self._without_a_rule())]
        total = self.past.total_s
        if total is not None:
            said.append(f"  green took {total:.1f} s (median of {self.past.runs})")
        if self.unread is not None:
            said.append(f"  history  could not be read: {self.unread}; only this machine is known")
        said += [f"  tells    {what}" for what in self.tells]
        said += [f"  asks     {question}" for question in self.asks]
        said += [f"  MISSING  {what}" for what in self.missing]
        return said

    def _without_a_rule(self) -> Sequence[str]:
        causes: dict[str, list[str]] = {}
        for known in self.by_itself:
            causes.setdefault(known.action, []).append(known.signature)
        said = "; ".join(f"{action} on {', '.join(causes[action])}" for action in sorted(causes))
        return [f"auto, without a rule where it is sure: {said}"] if said else []

    def _service(self, service: ServiceOutlook) -> str:
        serves = any(service.serving.values())
        now = f"serves {traffic(service.serving)} now" if serves else "does not exist yet"
        now = "who serves it is not known" if service.hidden else now
        if service.same:
            what = f"was verified {'from this very source' if service.tree else 'as this image'}"
        elif service.image is not None:
            what = f"would be the image {digest_of(service.image)[:19]}, built elsewhere"
        else:
            tree = (service.tree or "unread source").removeprefix("sha256:")[:12]
            what = f"would be built from {tree}{' (dirty)' if service.dirty else ''}"
        return f"  wave {service.wave}   {service.name}: {now}; {what}"


def digest_of(image: str) -> str:
    """Of `repository@sha256:…`."""
    return image.rpartition("@")[2]


def _how(environment: Environment) -> str:
    """The platform, and what becomes of the traffic where that is a choice."""
    platform = environment.platform.value
    if environment.cloud_run is None:
        return platform
    return f"{platform}, {environment.strategy}, after green {environment.after_green}"


def kind_of(suite: SuiteSpec) -> str:
    """What runs the suite, and in how many parts."""
    probe = suite.probe or {}
    match suite.kind:
        case SuiteKind.PYTEST if suite.shards == "auto":
            return "pytest in as many shards as are worth it"
        case SuiteKind.PYTEST if suite.shards != 1:
            return f"pytest in {suite.shards} shards"
        case SuiteKind.HTTP if isinstance(asked := probe.get("requests"), list | tuple):
            return f"http, {count(len(asked), 'request')}"
        case SuiteKind.WEBSOCKET if isinstance(sockets := probe.get("connections", 1), int):
            return f"websocket, {count(sockets, 'connection')}"
        case _:
            return suite.kind.value


def repeats(suite: SuiteSpec, plan: Plan) -> tuple[str, ...]:
    """What of the suite is run more than once, and what does not count, each in words."""
    said = []
    if suite.retries:
        what = "fails or is timed out or lost" if suite.repeatable else "fails"
        said.append(f"what {what} is run again, at most {count(suite.retries, 'time')}")
    elif suite.repeatable:
        said.append("what is lost with its process is run again, once")
    if suite.evidence.control != "off":
        if has_no_control(suite, plan):
            said.append(f"no control run: {plan.environment.name} is protected")
        else:
            which = "new and changed" if suite.evidence.control == "changed" else "all"
            again = f"runs {which} passing tests again, up to three times, without services"
            said.append(f"control run: {again}")
    if suite.quarantine:
        said.append(f"{count(len(suite.quarantine), 'case')} in quarantine: failures not counted")
    return tuple(said)


def has_no_control(suite: SuiteSpec, plan: Plan) -> bool:
    """Whether no control run is made of it, asked for or not."""
    return suite.evidence.control == "off" or plan.environment.protected


def limit_of(criterion: Criterion) -> str:
    """A criterion as the run would judge it."""
    least = count(criterion.min_samples, "sample")
    return f"{criterion.metric} {criterion.op} {criterion.limit}, over at least {least}"


def remedies(plan: Plan) -> tuple[str, ...]:
    """What would be done about a cycle that is not green, each rule in words."""
    mode = plan.remediation.mode.value
    return tuple(
        f"{mode}: {rule.do} when {_trigger(rule)}, at most {count(rule.limit, 'time')}"
        for rule in plan.remediation.rules
    )


def _trigger(rule: RemedyRule) -> str:
    return ", ".join(f"{key} {value}" for key, value in rule.when.items()) or "not green"


def by_itself(plan: Plan, catalogue: Callable[[], Catalogue]) -> tuple[ByItself, ...]:
    """The known causes that the run would act upon without a rule: none but in mode `auto`."""
    if plan.remediation.mode is not RemediationMode.AUTO:
        return ()
    return tuple(
        ByItself(known.id, known.remedy.action, known.remedy.limit)
        for known in catalogue().signatures
        if acts_alone(known)
    )


def questions(plan: Plan, services: Sequence[ServiceOutlook]) -> tuple[str, ...]:
    """What a person must know or say before the run."""
    asks = [
        f"{s.name} is new: its first revision takes all traffic before it is verified"
        for s in services
        if not s.serving and not s.hidden
    ]
    if plan.environment.protected:
        name = plan.environment.name
        asks.insert(0, f"{name} is protected: --confirm {name}")
    return tuple(asks)


def wave_of(plan: Plan, spec: ServiceSpec) -> int:
    """In which wave a service is deployed, from 1."""
    return next(n for n, wave in enumerate(plan.waves(), start=1) if spec in wave)
