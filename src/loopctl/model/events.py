"""What a run writes down: one payload class per kind of event.

The journal is append-only truth. Kinds are stored by name and never renamed; fields are added with
a default, never removed. `VERSION` rises when an old event needs an upcaster to be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal

from loopctl.model.artifact import Artifact, ContentProof, Revision, ServiceState
from loopctl.model.evidence import CriterionJudgement, GradedCase, SuiteEnd, SuiteJudgement
from loopctl.model.finding import Change, Fault, Finding
from loopctl.model.state import OutcomeKind, State, StopReason, Verdict

VERSION = 1


@dataclass(frozen=True, slots=True)
class SuiteFacts:
    """What reports need to know of a suite's spec.

    `quarantine` are cases whose failures are not counted: the case's id, who answers for it, and
    until which day (ISO). `cwd` is where it runs, below the project's root; None outside of it.
    """

    id: str
    title: str
    priority: str
    kind: str
    phase: str
    require: str
    protects: str | None = None
    target: tuple[str, ...] = ()
    quarantine: tuple[tuple[str, str, str], ...] = ()
    cwd: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """What reports need to know of a service's spec."""

    name: str
    needs: tuple[str, ...] = ()
    deployed: bool = True
    provenance: str = "content"
    impact: str | None = None
    impact_source: str | None = None
    health_path: str | None = None


@dataclass(frozen=True, slots=True)
class UsualTimes:
    """What earlier green runs took: medians in seconds over the newest `runs` of them.

    By stage all its waves in a cycle together, by suite its own time. Empty where nothing that can
    be compared is known, as of the stages of a partial run.
    """

    runs: int
    stages: Mapping[str, float] = field(default_factory=dict)
    suites: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The first event: everything that was decided before the first step.

    `options` are the command's own, `files` the hashes of the loop file and what it extends,
    `partial` says why the run may not promote (None: it may). `green_run` is the last green run of
    this loop on this environment, `config_changed` the files that differ from what that run read,
    and the names of what services and suites were given that have another value (`given`, by keyed
    hashes); `given_compared` is false where that run does not tell what it gave.
    `plan` is the keyed hash of everything that was resolved from the loop file and its variables:
    a run is resumed with the plan it began with, or not at all. `history` is the folder, or the
    URL of the bucket, that the record of its cases goes to, None: that in the runs folder.
    `after_green` says what becomes of the traffic then, where there is a choice. `usual` is what
    earlier green runs took, None: there were none that anybody knows of.
    """

    KIND: ClassVar[str] = "run.started"

    run_id: str
    loop: str
    loop_file: str
    root: str
    environment: str
    platform: str
    loopctl: str
    pid: int
    pid_started: int
    services: tuple[ServiceFacts, ...]
    suites: tuple[SuiteFacts, ...]
    options: Mapping[str, str | int | bool | None] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    partial: str | None = None
    protected: bool = False
    description: str = ""
    owner: str | None = None
    runbook: str | None = None
    max_cycles: int = 1
    deadline_s: float = 7200.0
    strategy: str = "candidate"
    after_green: str | None = None
    green_run: str | None = None
    config_changed: tuple[str, ...] = ()
    given: Mapping[str, str] = field(default_factory=dict)
    given_compared: bool = False
    plan: str = ""
    history: str | None = None
    usual: UsualTimes | None = None


@dataclass(frozen=True, slots=True)
class RunResumed:
    """Another process goes on with the run.

    `after` is how the one before it ended: `killed`, with no word, or `interrupted`, having put
    back what it had changed; then a new cycle begins. `stage` is where the run is entered.
    """

    KIND: ClassVar[str] = "run.resumed"

    loopctl: str
    pid: int
    pid_started: int
    after: Literal["killed", "interrupted"]
    stage: State


@dataclass(frozen=True, slots=True)
class SourceRead:
    """The source tree of one service (`service` in the envelope) at the start of a cycle.

    `migrations` is a hash of what its schema is made of, None where the loop file names nothing.
    """

    KIND: ClassVar[str] = "source.read"

    tree: str
    commit: str | None
    dirty: bool
    files: int
    migrations: str | None = None


@dataclass(frozen=True, slots=True)
class StageEntered:
    """A stage begins."""

    KIND: ClassVar[str] = "stage.entered"

    stage: State


@dataclass(frozen=True, slots=True)
class StageFinished:
    """A stage ended, and where the machine goes now. `duration_s` is monotonic."""

    KIND: ClassVar[str] = "stage.finished"

    stage: State
    kind: OutcomeKind
    to: State
    duration_s: float
    detail: str = ""
    faults: tuple[Fault, ...] = ()


Effect = Literal[
    "build", "publish", "deploy", "route", "discard", "verified", "suite", "remedy", "down"
]
"""What a run does to the world; `verified` notes there that a revision was."""


@dataclass(frozen=True, slots=True)
class Intent:
    """Written and fsynced before a side effect. `key` names it, so that it is found again."""

    KIND: ClassVar[str] = "intent"

    effect: Effect
    key: str
    detail: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """Written and fsynced after it."""

    KIND: ClassVar[str] = "result"

    effect: Effect
    key: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class BuildStep:
    """One step of a build ended."""

    KIND: ClassVar[str] = "build.step"

    step: str
    seconds: float
    cached: bool


@dataclass(frozen=True, slots=True)
class ImageBuilt:
    """An artifact was made; `log` is where its output is kept."""

    KIND: ClassVar[str] = "image.built"

    artifact: Artifact
    duration_s: float
    log: str


@dataclass(frozen=True, slots=True)
class ImagePublished:
    """An artifact was pushed; what is deployed is `artifact`, by the registry's digest."""

    KIND: ClassVar[str] = "image.published"

    artifact: Artifact
    duration_s: float


@dataclass(frozen=True, slots=True)
class ContentProven:
    """An artifact's content was compared with the source."""

    KIND: ClassVar[str] = "content.proven"

    proof: ContentProof


@dataclass(frozen=True, slots=True)
class ServiceObserved:
    """Who served a service.

    `before` the cycle's first write, once `deployed`, once SETTLE has `settled` it, once it was
    noted as `verified`, at the `end`.
    What was seen right after an own write is what a stranger's write is told by.
    """

    KIND: ClassVar[str] = "service.observed"

    when: Literal["before", "deployed", "settled", "verified", "end"]
    state: ServiceState | None


@dataclass(frozen=True, slots=True)
class RevisionDeployed:
    """A revision was accepted by the platform."""

    KIND: ClassVar[str] = "revision.deployed"

    revision: Revision
    share: Literal["none", "all"]
    first: bool = False


@dataclass(frozen=True, slots=True)
class HealthJudged:
    """A revision's health was settled, one way or the other.

    `first_healthy_s` and `duration_s` count from the start of the wait, `latency_s` is the last
    answer's.
    """

    KIND: ClassVar[str] = "health.judged"

    revision: str
    healthy: bool
    url: str | None
    ws_url: str | None
    probes: int
    duration_s: float
    first_healthy_s: float | None = None
    latency_s: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SuiteCollected:
    """What a suite would run, known before its first test is run."""

    KIND: ClassVar[str] = "suite.collected"

    count: int
    deselected: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class SuiteStarted:
    """A suite begins; `folder` is where its output is kept, relative to the run.

    `files` is the hash of what the suite is made of, None where it could not be told.
    """

    KIND: ClassVar[str] = "suite.started"

    folder: str
    expected: int | None = None
    files: str | None = None


@dataclass(frozen=True, slots=True)
class CasesGraded:
    """A batch of cases, judged: at most 100, or what came within a second."""

    KIND: ClassVar[str] = "cases.graded"

    cases: tuple[GradedCase, ...]


@dataclass(frozen=True, slots=True)
class SuiteFinished:
    """A suite, judged. `end` is None when it was not run; the judgement's reasons say why."""

    KIND: ClassVar[str] = "suite.finished"

    judgement: SuiteJudgement
    end: SuiteEnd | None


@dataclass(frozen=True, slots=True)
class CriteriaJudged:
    """Every criterion of the loop file, against the samples that the cycle has so far."""

    KIND: ClassVar[str] = "criteria.judged"

    criteria: tuple[CriterionJudgement, ...]


@dataclass(frozen=True, slots=True)
class ChainChecked:
    """The chain was read again after the tests. `broken` names the broken link, None: it holds."""

    KIND: ClassVar[str] = "chain.checked"

    revision: str
    serving_percent: int
    broken: str | None = None


@dataclass(frozen=True, slots=True)
class Routed:
    """Traffic, as read back after it was sent somewhere."""

    KIND: ClassVar[str] = "traffic.routed"

    state: ServiceState
    why: Literal["promote", "restore", "first", "direct", "rollback"]


@dataclass(frozen=True, slots=True)
class LogsKept:
    """A service's log was copied into the run; `path` is relative to the run."""

    KIND: ClassVar[str] = "logs.kept"

    path: str
    requests: str | None
    lines: int
    complete: bool
    gap: str | None = None


@dataclass(frozen=True, slots=True)
class FindingMade:
    """The diagnosis found something."""

    KIND: ClassVar[str] = "finding.made"

    finding: Finding


@dataclass(frozen=True, slots=True)
class NovelLine:
    """A log line no green run had; `baseline`: whether there was a green run to compare with."""

    KIND: ClassVar[str] = "log.novel"

    template: str
    count: int
    quote: str
    source: str
    baseline: bool


@dataclass(frozen=True, slots=True)
class CommitChanged:
    """A commit between the last green run and now; `files` are those of the service it touched."""

    KIND: ClassVar[str] = "commit.changed"

    commit: str
    subject: str
    since_run: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangeSeen:
    """Something else than a commit that is not as in the last green run `since_run`."""

    KIND: ClassVar[str] = "change.seen"

    change: Change
    since_run: str


@dataclass(frozen=True, slots=True)
class RemedyDecided:
    """What is to be done about the failure, and what came of it.

    `command` is the exact command a person would type, `rule` what asked for it: a rule of the loop
    file by its place, or a signature. `ends` is why the loop ends with it, None when it goes on.
    `output` is the file with what a command printed, below the run's folder.
    `service` is what it is done to, None for all; `cause` the fingerprints of the findings that it
    is to mend, `verify` what shows that it did (`image_tree`, `health`, `suites`; empty: the stage
    that failed), and `on` a digest of the sources it was done on. `mended` and `seen` are what a
    look right after it has shown, None where only the next cycle can. `memory` in bytes is what
    the service is given from then on. `branch` is that which a command worked on, `work_tree` where
    it was checked out and `diff` the file with what it changed, both below the run's folder, with
    the first lines of it as `excerpt`, and the last that it `printed`. `judging` are the files that
    it changed and that decide about green: tests, settings, the loop's own.
    """

    KIND: ClassVar[str] = "remedy.decided"

    action: str
    mode: str
    detail: str
    command: str | None = None
    result: Literal["proposed", "done", "failed", "refused", "none"] = "none"
    changed_source: bool = False
    rule: str | None = None
    ends: StopReason | None = None
    output: str | None = None
    service: str | None = None
    cause: tuple[str, ...] = ()
    verify: str = ""
    on: str = ""
    mended: bool | None = None
    seen: str = ""
    memory: int | None = None
    branch: str | None = None
    work_tree: str | None = None
    diff: str | None = None
    excerpt: str = ""
    printed: str = ""
    judging: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RemedyEnded:
    """How a remedy's command ended, written before anything is made of it.

    `code` is negative for a signal, `late`: its own time was up. `last_line` is what it printed
    last, `output` the file with all of it below the run's folder, `output_lost` why that is not
    whole.
    """

    KIND: ClassVar[str] = "remedy.ended"

    code: int
    duration_s: float
    late: bool = False
    last_line: str = ""
    output_lost: str = ""
    output: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Something a reader should know that is no failure."""

    KIND: ClassVar[str] = "note"

    text: str


THE_CAUSE = "the cause"
"""What an open question of the diagnosis is about, in `NotChecked.what`."""


@dataclass(frozen=True, slots=True)
class NotChecked:
    """Something that this run could not or did not check; reports list it.

    `command` is what would find it out, None where nothing that can be typed would.
    """

    KIND: ClassVar[str] = "not-checked"

    what: str
    why: str
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """What serves a service when the run is over. `dead` says how what serves has died."""

    service: str
    traffic: Mapping[str, int]
    verified: bool
    changed_by_run: bool
    since: datetime | None = None
    url: str | None = None
    dead: str | None = None


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The last event."""

    KIND: ClassVar[str] = "run.ended"

    verdict: Verdict
    exit_code: int
    stop_reason: StopReason
    duration_s: float
    left: tuple[Left, ...] = ()
    detail: str = ""
    problems: tuple[str, ...] = ()
    restored: Literal["done", "failed", "not-needed", "kept", "moved"] = "not-needed"
    mend: str | None = None


@dataclass(frozen=True, slots=True)
class Unrecognised:
    """An event of a kind this version does not know; kept, not understood."""

    KIND: ClassVar[str] = "?"

    kind: str
    data: Mapping[str, object]


Payload = (
    RunStarted
    | RunResumed
    | SourceRead
    | StageEntered
    | StageFinished
    | Intent
    | Result
    | BuildStep
    | ImageBuilt
    | ImagePublished
    | ContentProven
    | ServiceObserved
    | RevisionDeployed
    | HealthJudged
    | SuiteCollected
    | SuiteStarted
    | CasesGraded
    | SuiteFinished
    | CriteriaJudged
    | ChainChecked
    | Routed
    | LogsKept
    | FindingMade
    | NovelLine
    | CommitChanged
    | ChangeSeen
    | RemedyDecided
    | RemedyEnded
    | Note
    | NotChecked
    | RunEnded
    | Unrecognised
)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal. `seq` counts from 1 without gaps; `at` is UTC.

    `ran` is for how many seconds the run had been going on, measured, pauses left out.
    """

    seq: int
    at: datetime
    cycle: int
    payload: Payload
    wave: int | None = None
    service: str | None = None
    suite: str | None = None
    v: int = VERSION
    ran: float = 0.0
