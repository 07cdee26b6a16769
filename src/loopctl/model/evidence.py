"""What a test did, what the target says of it, and what that is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal


class Grade(StrEnum):
    """The worth of a pass, worst first in `rank`; defined in the contract."""

    CONTRADICTED = "contradicted"
    UNPROVEN = "unproven"
    SUSPECT = "suspect"
    PLAUSIBLE = "plausible"
    OBSERVED = "observed"
    PROVEN = "proven"

    @property
    def rank(self) -> int:
        """0 for contradicted up to 5 for proven."""
        return list(Grade).index(self)


class CaseStatus(StrEnum):
    """How one test ended; defined in the contract. `xfailed` counts as skipped."""

    PASSED = "passed"
    FAILED = "failed"
    BROKEN = "broken"
    SKIPPED = "skipped"
    FLAKY = "flaky"
    TIMEOUT = "timeout"
    LOST = "lost"


class TestPhase(StrEnum):
    """The three phases of a test. Only what happens in `call` proves anything."""

    __test__ = False  # the name is pytest's own word; pytest must not collect the class

    SETUP = "setup"
    CALL = "call"
    TEARDOWN = "teardown"


@dataclass(frozen=True, slots=True)
class Contact:
    """One connection as the test process saw it, within one phase.

    `target` is the service's name, None for anywhere else. Bytes are None where the channel
    cannot count them. `failed` is the errno's name when the connection was not made.
    `local_ports` are this end's, of the connections to a target that moved bytes. `via` is who
    made it: the test process by Python's own sockets, by code in C, or a child process of it; of a
    child `failed` may also be `not-seen` or `not-alone`, as `evidence.seen` explains.
    """

    host: str
    port: int
    target: str | None = None
    loopback: bool = False
    sent: int | None = None
    received: int | None = None
    reused: bool = False
    failed: str | None = None
    local_ports: tuple[int, ...] = ()
    via: Literal["python", "c", "child"] = "python"


@dataclass(frozen=True, slots=True)
class HttpExchange:
    """One request that a hooked client made; `path` has no query."""

    target: str | None
    method: str
    path: str
    status: int | None


@dataclass(frozen=True, slots=True)
class MockUse:
    """Network code that was replaced while the phase ran."""

    what: str
    how: str


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a traceback, the innermost last in its list."""

    file: str
    line: int
    function: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception that ended a phase."""

    type: str
    message: str
    frames: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class PhaseRecord:
    """What one phase of a test did. `began` and `ended` by the test process's own clock."""

    phase: TestPhase
    outcome: Literal["passed", "failed", "skipped"]
    duration_s: float
    trace: str | None = None
    own_traces: tuple[str, ...] = ()
    raised: Raised | None = None
    wasxfail: str | None = None
    longrepr: str | None = None
    contacts: tuple[Contact, ...] = ()
    exchanges: tuple[HttpExchange, ...] = ()
    mocks: tuple[MockUse, ...] = ()
    children: tuple[str, ...] = ()
    began: datetime | None = None
    ended: datetime | None = None

    @property
    def traces(self) -> frozenset[str]:
        """Every trace id that stands for this phase."""
        mine = {self.trace} if self.trace else set()
        return frozenset(mine | set(self.own_traces))


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: durations in seconds, anything else as it was recorded.

    `metric` is the name of a series without its aggregate: `http`, `ws.first_event`, `error` (1
    for a request or connection that failed, else 0), or a name that a test chose.
    """

    metric: str
    value: float


@dataclass(frozen=True, slots=True)
class Case:
    """One test as the suite's runner saw it, before anyone judged it.

    `status` is final but for the join with the target's own records. `output` is the end of what
    the test printed, redacted. `code` is a hash of the test's code and of the fixtures it uses,
    None where the kind of suite cannot tell.
    """

    id: str
    status: CaseStatus
    duration_s: float
    started_at: datetime
    message: str | None = None
    raised: Raised | None = None
    longrepr: str | None = None
    output: str = ""
    phases: tuple[PhaseRecord, ...] = ()
    samples: tuple[Sample, ...] = ()
    code: str | None = None

    @property
    def call(self) -> PhaseRecord | None:
        """The call phase, None when the test never got there."""
        return next((p for p in self.phases if p.phase is TestPhase.CALL), None)

    @property
    def setup(self) -> PhaseRecord | None:
        """The set-up phase."""
        return next((p for p in self.phases if p.phase is TestPhase.SETUP), None)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The target's own record of a request.

    `by` is `trace` when it carried a test's trace id; `request` when it carried none: whose it is
    is told by its time and by `port`, the client's, and `trace` is empty; where there is no port,
    by what it asked, and `trace` is that of the only phase that can have asked it
    (`evidence.late`). `agent` is the client's name of itself, where it is known.
    """

    trace: str
    at: datetime
    service: str
    revision: str
    method: str
    path: str
    status: int | None
    by: Literal["trace", "request"] = "trace"
    port: int | None = None
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class Grading:
    """A grade and the reason a person can check."""

    grade: Grade
    reason: str


@dataclass(frozen=True, slots=True)
class Control:
    """What the control run shows of one pass, with the reason in words."""

    kind: Literal["borne-out", "contradicted", "unavailable"]
    reason: str

    def __str__(self) -> str:
        unavailable = self.kind == "unavailable"
        return f"control unavailable: {self.reason}" if unavailable else self.reason


@dataclass(frozen=True, slots=True)
class GradedCase:
    """One test, judged: what the journal keeps and the reports show. `at` is its start.

    `control` is None where there was no control run of it; `code` is `Case.code`, kept where the
    control run has borne the pass out.
    """

    id: str
    status: CaseStatus
    duration_s: float
    at: datetime
    grade: Grade | None = None
    reason: str | None = None
    message: str | None = None
    where: str | None = None
    detail: str | None = None
    output: str = ""
    met_target: bool = False
    trace: str | None = None
    samples: tuple[Sample, ...] = ()
    control: Control | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Collection:
    """What a suite would run. `errors` are tests that could not even be imported."""

    ids: tuple[str, ...]
    deselected: int = 0
    errors: tuple[Case, ...] = ()


@dataclass(frozen=True, slots=True)
class SuiteEnd:
    """How a suite's process ended. `complete`: its own end record was seen.

    `collected` and `deselected` are None when that was never reported. `detail` tells what is
    wrong with an end, `notes` what a reader should know although nothing is.
    """

    complete: bool
    exit_code: int | None
    duration_s: float
    collected: int | None = None
    deselected: int | None = None
    stopped: str | None = None
    detail: str = ""
    usage_error: str | None = None
    notes: tuple[str, ...] = ()


class SuiteOutcome(StrEnum):
    """How a suite counts for the verdict."""

    PASSED = "passed"
    FAILED = "failed"
    UNPROVEN = "unproven"
    NOT_RUN = "not-run"


@dataclass(frozen=True, slots=True)
class SuiteJudgement:
    """A suite, judged against its tolerances. `counts` by status, `grades` of the passed cases."""

    outcome: SuiteOutcome
    reasons: tuple[str, ...]
    collected: int
    counts: Mapping[CaseStatus, int] = field(default_factory=dict)
    grades: Mapping[Grade, int] = field(default_factory=dict)
    grade: Grade | None = None
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True)
class CriterionJudgement:
    """A criterion of the loop file against all samples of a cycle.

    `limit` and `op` as the file has them; `value` is what was measured, in seconds for a
    duration, None without a sample. `met` is None with fewer than `min_samples`. `furthest` says
    of a missed one which sample is the furthest from the limit: `2.31 s at GET /slow`.
    """

    metric: str
    op: str
    limit: str
    value: float | None
    samples: int
    min_samples: int
    met: bool | None
    furthest: str | None = None
