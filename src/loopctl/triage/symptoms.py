"""What a diagnosis starts from: everything a failed cycle left behind, and where it stands.

Every `source` is the path of a capture relative to the run's folder; quotes are located by adding
`#` and the 1-based line, or the test's id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from loopctl.model.artifact import ContentProof
from loopctl.model.baseline import Baseline
from loopctl.model.evidence import GradedCase, SuiteJudgement
from loopctl.model.finding import Change, Fault, Quote
from loopctl.model.logs import LogEntry, RequestEntry
from loopctl.model.state import State


@dataclass(frozen=True, slots=True)
class ServiceLog:
    """A service's captured lines, in the order of capture. `entries` is iterated once."""

    service: str
    source: str
    entries: Iterable[LogEntry]


@dataclass(frozen=True, slots=True)
class RequestLog:
    """A service's captured requests; the first one stands in line `first` of `source`."""

    service: str
    source: str
    requests: tuple[RequestEntry, ...]
    first: int = 1


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """What a suite showed. `service` is the one it tests, None when it tests several.

    `said` are the lines of a log that its judgement was read from, where it was read from one.
    """

    suite: str
    source: str
    cases: tuple[GradedCase, ...]
    judgement: SuiteJudgement | None = None
    service: str | None = None
    said: tuple[Quote, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """How a service was configured: the port it was told, those it listens on, what it holds."""

    service: str
    told: int | None = None
    listening: tuple[int, ...] = ()
    proof: ContentProof | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """A criterion as judged: `value` and `limit` as people read them; `met` None: too few.

    `furthest` is the sample that is the furthest from the limit of a missed one, and whose.
    """

    metric: str
    value: str
    limit: str
    met: bool | None
    source: str
    furthest: str | None = None


@dataclass(frozen=True, slots=True)
class Symptoms:
    """What there is to go by. `stage` is the one that failed, None: nothing was run.

    `baseline` are the green logs, None without. `needs` says what each service needs: the order in
    which failures spread. `changes` are what is not as in the last green run.
    """

    stage: State | None
    faults: tuple[Fault, ...] = ()
    logs: tuple[ServiceLog, ...] = ()
    requests: tuple[RequestLog, ...] = ()
    suites: tuple[SuiteResult, ...] = ()
    facts: tuple[ServiceFacts, ...] = ()
    measures: tuple[Measure, ...] = ()
    baseline: Baseline | None = None
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()

    @property
    def place(self) -> str:
        """Where a fault that quotes nothing was seen: `stage/health`, or `look`."""
        return "look" if self.stage is None else f"stage/{self.stage.value}"
