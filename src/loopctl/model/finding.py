"""What was found, with the evidence that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal


@dataclass(frozen=True, slots=True)
class Quote:
    """Captured evidence: verbatim, redacted text and where it stands (`logs/1/chat.jsonl#812`)."""

    kind: Literal[
        "log",
        "test",
        "probe",
        "condition",
        "request",
        "ws_close",
        "configuration",
        "build",
        "commit",
    ]
    source: str
    quote: str


class FaultKind(StrEnum):
    """What a stage saw go wrong, before anyone asks why."""

    EXIT_CODE = "exit-code"
    SIGNAL = "signal"
    OUT_OF_MEMORY = "out-of-memory"
    WRONG_PORT = "wrong-port"
    REDIRECT = "redirect"
    STATUS = "status"
    BODY = "body"
    LATENCY = "latency"
    UNREACHABLE = "unreachable"
    NOT_ADMITTED = "not-admitted"
    NEVER_READY = "never-ready"
    UNSTABLE = "unstable"
    BUILD_STEP = "build-step"
    PROVENANCE = "provenance"
    NOT_AS_NAMED = "not-as-named"
    CONTROL_PLANE = "control-plane"
    NOTHING_COLLECTED = "nothing-collected"
    SUITE = "suite"
    CRITERION = "criterion"
    MOVED = "moved"
    MISSING_TOOL = "missing-tool"
    MISSING_VARIABLE = "missing-variable"
    DEPENDENCY_DOWN = "dependency-down"
    CANNOT_REACH = "cannot-reach"
    STORAGE = "storage"
    REMEDY = "remedy"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that went wrong, as a stage or an adapter saw it.

    `summary` is one line for a person; `quotes` what proves it; `value` the telling number or
    text (exit code, port, status) for signatures to match on. `hint` is advice in words; `mend` the
    exact command that puts it right without loopctl, where the adapter knows one.
    """

    kind: FaultKind
    summary: str
    service: str | None = None
    value: str | None = None
    quotes: tuple[Quote, ...] = ()
    hint: str | None = None
    mend: str | None = None


@dataclass(frozen=True, slots=True)
class Why:
    """One link of the chain from symptom to cause. `evidence` indexes the finding's quotes."""

    question: str
    answer: str
    status: Literal["observed", "inferred", "hypothesis"]
    evidence: int | None = None


@dataclass(frozen=True, slots=True)
class ProposedRemedy:
    """What a signature suggests; whether it may be done is the policy's to say."""

    action: Literal["rebuild", "retry", "rollback", "run", "raise-memory", "wait", "person"]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is not as it was in the last green run: evidence that a why may rest on.

    `what` names it (a commit's short id, `env LOG_LEVEL`, `memory`), `text` says it in one line,
    never with a value that may be a secret. `service` is None where it concerns all of them.
    `files` are those that a commit touched, below the service's source.
    """

    kind: Literal["commit", "configuration", "image", "resources", "traffic", "latency", "shape"]
    what: str
    text: str
    service: str | None = None
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sightings:
    """How often earlier runs on this environment have found the same fingerprint.

    `runs` counts them without this one, `first_run` is the oldest that is still known, begun at
    `since`.
    """

    runs: int
    first_run: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Finding:
    """A failure with its evidence. `signature` is None when no known cause matched.

    `links` lead to the issue tracker. `under` is the fingerprint of the finding that this one is a
    symptom of, None where it stands for itself.
    """

    signature: str | None
    title: str
    severity: Literal["critical", "high", "medium", "low"]
    confidence: float
    fingerprint: str
    service: str | None = None
    evidence: tuple[Quote, ...] = ()
    whys: tuple[Why, ...] = ()
    remedy: ProposedRemedy | None = None
    not_evidence: bool = False
    cases: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    seen: Sightings | None = None
    under: str | None = None
