"""What a run is going to do: the loop file, resolved for one environment and frozen at the start.

Durations are seconds, sizes bytes, paths absolute. `${services.NAME.url}` and `.ws_url` are the
only references left in strings; `loopctl.model.references` fills them in at run time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

from loopctl.errors import Problem
from loopctl.model.evidence import Grade
from loopctl.model.notice import NoticeSpec
from loopctl.redact import Secret


class PlatformKind(StrEnum):
    """Where services run."""

    LOCAL = "local"
    DOCKER = "docker"
    CLOUD_RUN = "cloud-run"


class Priority(StrEnum):
    """How much a suite matters; P0 first. Every suite gates promotion, P3 too."""

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"


class SuiteKind(StrEnum):
    """What runs a suite."""

    PYTEST = "pytest"
    COMMAND = "command"
    HTTP = "http"
    WEBSOCKET = "websocket"


class SuitePhase(StrEnum):
    """`verify`: on the candidate; `confirm`: on the public address after promotion."""

    VERIFY = "verify"
    CONFIRM = "confirm"


class RemediationMode(StrEnum):
    """A ceiling on what loopctl may do by itself."""

    OFF = "off"
    PROPOSE = "propose"
    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class CloudRunPlace:
    """Where on Google Cloud, and through which door.

    `keep_revisions`: how many of loopctl's own are kept after a green run, None for all.
    """

    project: str
    region: str
    repository: str | None = None
    endpoint: str | None = None
    transport: Literal["grpc", "rest"] = "grpc"
    impersonate: str | None = None
    keep_revisions: int | None = None


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """Where in Cloud Storage; `prefix` has no slash at its ends, and is empty for the top."""

    bucket: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"{GS}{self.bucket}/{self.prefix}".rstrip("/")

    @classmethod
    def of_url(cls, url: str) -> BucketPlace | None:
        """The place that `gs://bucket/prefix` names, None for what is no such URL."""
        found = _BUCKET_URL.fullmatch(url)
        if found is None or {"", ".", ".."} & set((found["prefix"] or "p").split("/")):
            return None
        return cls(found["bucket"], found["prefix"] or "")


@dataclass(frozen=True, slots=True)
class UrlPlace:
    """A place that is neither a folder here nor a bucket of Google's, as fsspec names it."""

    url: str

    def __str__(self) -> str:
        return self.url

    @classmethod
    def of_url(cls, url: str) -> UrlPlace | None:
        """The place of that URL, None for what is none.

        None also for a chain of filesystems, and for a URL with a password in it, which would be
        written down with every run.
        """
        found = _PLACE_URL.fullmatch(url)
        return cls(url.rstrip("/")) if found is not None and "::" not in url else None

    @property
    def scheme(self) -> str:
        """What stands before `://`."""
        return self.url.partition("://")[0]


_PLACE_URL: Final = re.compile(
    r"[a-z][a-z0-9+.-]{0,30}://(?![^/@]*:[^/@]*@)[^\s\x00-\x1f\x7f?#]{1,400}"
)

GS: Final = "gs://"
_BUCKET_URL: Final = re.compile(
    r"gs://(?P<bucket>[a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(?:/(?P<prefix>[\w.=@+-][\w.=@+/-]{0,399}?)?/?)?",
    re.ASCII,
)
"""Names as Google allows them; of those for objects, the ones that gcloud takes literally."""


@dataclass(frozen=True, slots=True)
class Environment:
    """The chosen environment. `protected` is true also for every name that starts with prod."""

    name: str
    platform: PlatformKind
    protected: bool = False
    strategy: Literal["candidate", "direct"] = "candidate"
    after_green: Literal["pin", "latest"] = "pin"
    require_env: tuple[str, ...] = ()
    registry: str | None = None
    cloud_run: CloudRunPlace | None = None


@dataclass(frozen=True, slots=True)
class SecretSpec:
    """A secret the service is given as the environment variable `name`.

    `value` is for local and docker, `reference` (`secret:version`) for cloud-run.
    """

    name: str
    value: Secret | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class BuildSpec:
    """How a service's source becomes an artifact. `steps` are shell lines, `alters` globs.

    `secrets` are for RUN steps that mount them, by id; they reach no image and no service.
    """

    builder: Literal["local", "docker"]
    dockerfile: str = "Dockerfile"
    target: str | None = None
    args: Mapping[str, str] | None = None
    secrets: tuple[SecretSpec, ...] = ()
    steps: tuple[str, ...] = ()
    alters: tuple[str, ...] = ()
    timeout_s: float = 900.0


@dataclass(frozen=True, slots=True)
class RunSpec:
    """How a service is run. None means: not named in the loop file."""

    command: tuple[str, ...] | None = None
    port: int | None = None
    env: Mapping[str, str | None] | None = None
    secrets: tuple[SecretSpec, ...] = ()
    cpu: str | None = None
    memory: int | None = None
    min_instances: int | None = None
    max_instances: int | None = None
    concurrency: int | None = None
    timeout_s: float | None = None
    service_account: str | None = None
    cloud_run: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class HealthSpec:
    """When a service counts as healthy. `expect` are fields of the JSON answer, by dotted path."""

    path: str = "/health"
    status: tuple[int, ...] = (200,)
    redirects: Literal["deny", "follow"] = "deny"
    expect: Mapping[str, object] | None = None
    max_latency_s: float | None = None
    stable_for_s: float = 0.0
    timeout_s: float = 300.0


@dataclass(frozen=True, slots=True)
class AuthSpec:
    """How health, probes and suites prove who they are to the service."""

    kind: Literal["none", "id_token"] = "none"
    audience: str | None = None
    impersonate: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """One service. With `url` it is only gated on; else it is built from `source`, or is `image`.

    An `image` was built elsewhere and is named by digest; a `source` beside it is what its content
    must be.
    """

    name: str
    build: BuildSpec
    run: RunSpec
    health: HealthSpec
    source: Path | None = None
    url: str | None = None
    image: str | None = None
    needs: tuple[str, ...] = ()
    migrations: tuple[str, ...] = ()
    provenance: Literal["content", "label", "none"] = "content"
    auth: AuthSpec = AuthSpec()
    public_url: str | None = None

    @property
    def is_deployed(self) -> bool:
        """Whether loopctl deploys it; if not, it is only gated on."""
        return self.url is None


@dataclass(frozen=True, slots=True)
class Limit:
    """A tolerance: an absolute number, or percent of what was collected, rounded down."""

    count: int | None = 0
    percent: float | None = None

    def of(self, collected: int) -> int:
        """How many cases are tolerated out of `collected`."""
        if self.percent is not None:
            return int(collected * self.percent // 100)
        return self.count or 0


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How many cases of a suite may end in each way."""

    failed: Limit = Limit()
    broken: Limit = Limit()
    skipped: Limit = Limit()
    flaky: Limit = Limit()


@dataclass(frozen=True, slots=True)
class EvidenceSpec:
    """What a pass of this suite must prove. `target` are service names."""

    require: Grade = Grade.OBSERVED
    target: tuple[str, ...] = ()
    forbid: tuple[str, ...] = ()
    control: Literal["off", "changed", "always"] = "off"
    receipts: bool = True


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A case whose failure is not counted until a date, and who answers for it."""

    case: str
    owner: str
    until: date


@dataclass(frozen=True, slots=True)
class SuiteSpec:
    """One suite. `run` is pytest's arguments or a shell line; `probe` a declarative kind's keys."""

    id: str
    title: str
    priority: Priority
    phase: SuitePhase
    kind: SuiteKind
    run: str
    cwd: Path
    python: str | None = None
    env: Mapping[str, str] | None = None
    collect_min: int = 1
    suite_timeout_s: float = 600.0
    test_timeout_s: float = 120.0
    tolerance: Tolerance = Tolerance()
    retries: int = 0
    shards: int | Literal["auto"] = 1
    executor: Literal["local"] = "local"
    repeatable: bool = False
    needs: tuple[str, ...] = ()
    on_fail: Literal["stop", "continue"] = "stop"
    protects: str | None = None
    quarantine: tuple[Quarantined, ...] = ()
    evidence: EvidenceSpec = EvidenceSpec()
    probe: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Criterion:
    """A limit on a metric over all samples of a cycle; a duration's `value` is in seconds."""

    metric: str
    op: Literal["<", "<=", ">", ">=", "=="]
    value: float
    limit: str
    min_samples: int = 1


@dataclass(frozen=True, slots=True)
class Impact:
    """What a service is worth by somebody's estimate; printed with its source, always."""

    value: str
    source: str


@dataclass(frozen=True, slots=True)
class LoopLimits:
    """Bounds of the loop; `no_progress` counts cycles with the same fingerprints and source."""

    max_cycles: int = 3
    deadline_s: float = 7200.0
    no_progress: int = 2
    jobs: int = 2


@dataclass(frozen=True, slots=True)
class RemedyRule:
    """When to do what, at most `limit` times in a run and `per_day` times in 24 hours.

    `branch`: the command is run in a clean work tree on a branch of its own.
    """

    when: Mapping[str, str]
    do: Literal["rebuild", "retry", "rollback", "run", "raise-memory", "wait"]
    command: tuple[str, ...] = ()
    timeout_s: float = 1800.0
    limit: int = 1
    per_day: int | None = None
    branch: bool = False


@dataclass(frozen=True, slots=True)
class Remediation:
    """Which remedies there are and how far they may go.

    `ceiling` is the mode that the loop file itself names: no option goes beyond it. `per_day` is
    how many remedies the runs of this loop on one environment may carry out in 24 hours, together;
    `max_memory` in bytes how far `raise-memory` may go.
    """

    mode: RemediationMode = RemediationMode.PROPOSE
    may_edit: tuple[str, ...] = ()
    rules: tuple[RemedyRule, ...] = ()
    ceiling: RemediationMode | None = None
    per_day: int = 50
    max_memory: int = 2 << 30


@dataclass(frozen=True, slots=True)
class WorklogRules:
    """How many runs are kept; `redact` are names of variables or `re:` patterns."""

    keep: int = 50
    redact: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GithubRules:
    """What is told on GitHub, and where. None: as the CI job has it.

    `silent` tells that this run tells nothing there: its environment is not among those named, or
    none are named and it is made outside of CI. Nothing else is known then. `token` None: empty.
    """

    silent: bool = False
    repository: str | None = None
    api: str | None = None
    token: Secret | None = None
    issues: bool = True
    comment: bool = True
    status: bool = True
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A loop, resolved for one environment.

    `files` are the loop file and what it extends, each with its hash; `later` names every key
    given whose behaviour this version does not have. `secrets` are all values that redaction
    must know, by name. `history` is the folder, bucket or other place where later runs find what
    earlier ones tell; None: in the runs folder. `notices` are those of this environment. Services
    stand in the order of their needs, suites by priority.
    """

    loop: str
    path: Path
    root: Path
    environment: Environment
    services: tuple[ServiceSpec, ...]
    suites: tuple[SuiteSpec, ...]
    description: str = ""
    owner: str | None = None
    runbook: str | None = None
    criteria: tuple[Criterion, ...] = ()
    impact: Mapping[str, Impact] | None = None
    limits: LoopLimits = LoopLimits()
    remediation: Remediation = Remediation()
    signatures: tuple[Path, ...] = ()
    history: Path | BucketPlace | UrlPlace | None = None
    worklog: WorklogRules = WorklogRules()
    github: GithubRules | None = None
    files: Mapping[str, str] | None = None
    secrets: Mapping[str, Secret] | None = None
    later: tuple[Problem, ...] = ()
    notices: tuple[NoticeSpec, ...] = ()

    @property
    def deployed(self) -> tuple[ServiceSpec, ...]:
        """The services that loopctl deploys, in the order of their needs."""
        return tuple(service for service in self.services if service.is_deployed)

    @property
    def built(self) -> tuple[ServiceSpec, ...]:
        """Those of the deployed services that are built here."""
        return tuple(service for service in self.deployed if service.image is None)

    @property
    def gated(self) -> tuple[ServiceSpec, ...]:
        """The services that are only gated on."""
        return tuple(service for service in self.services if not service.is_deployed)

    def service(self, name: str) -> ServiceSpec:
        """The service of that name; `KeyError` if the plan has none."""
        return next(s for s in self.services if s.name == name)

    def waves(self) -> tuple[tuple[ServiceSpec, ...], ...]:
        """The deployed services grouped so that each stands in a later wave than all it needs."""
        level: dict[str, int] = {}
        for service in self.services:
            below = [level[need] for need in service.needs if need in level]
            gated = not service.is_deployed
            level[service.name] = -1 if gated else max(below, default=-1) + 1
        count = max(level.values(), default=-1) + 1
        return tuple(
            tuple(s for s in self.deployed if level[s.name] == number) for number in range(count)
        )
