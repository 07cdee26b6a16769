"""The states of the machine and the kinds of outcome that move it."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a cycle stands. `GREEN` and `STOPPED` are the ends."""

    PREFLIGHT = "preflight"
    BUILD = "build"
    DEPLOY = "deploy"
    HEALTH = "health"
    VERIFY = "verify"
    PROMOTE = "promote"
    CONFIRM = "confirm"
    COLLECT = "collect"
    SETTLE = "settle"
    DIAGNOSE = "diagnose"
    REMEDIATE = "remediate"
    GREEN = "green"
    STOPPED = "stopped"

    @property
    def is_end(self) -> bool:
        """Whether nothing follows."""
        return self in (State.GREEN, State.STOPPED)


PATH = (
    State.PREFLIGHT,
    State.BUILD,
    State.DEPLOY,
    State.HEALTH,
    State.VERIFY,
    State.PROMOTE,
    State.CONFIRM,
    State.GREEN,
)
"""The states of a cycle in which all goes well, its end included."""


class OutcomeKind(StrEnum):
    """How a stage ended, as far as the machine cares.

    `failed`: what is under test is at fault. `errored`: loopctl or the control plane could not do
    it. `unproven`: not red, yet green is not shown. `moved`: somebody else changed the
    environment. `partial`: verified, in a run that may not promote. `go-…`: enter that state (from
    PREFLIGHT for `--from`, from REMEDIATE for the next cycle).
    """

    OK = "ok"
    MORE_WAVES = "more-waves"
    PARTIAL = "partial"
    FAILED = "failed"
    ERRORED = "errored"
    UNPROVEN = "unproven"
    INTERRUPTED = "interrupted"
    MOVED = "moved"
    GO_BUILD = "go-build"
    GO_DEPLOY = "go-deploy"
    GO_HEALTH = "go-health"
    GO_VERIFY = "go-verify"


class Verdict(StrEnum):
    """What the last cycle showed."""

    GREEN = "green"
    RED = "red"
    UNPROVEN = "unproven"
    PREFLIGHT = "preflight"
    UNDELIVERED = "undelivered"
    LOCKED = "locked"
    INTERNAL = "internal"
    INTERRUPTED = "interrupted"


class StopReason(StrEnum):
    """Why the loop ended."""

    GREEN = "green"
    MAX_CYCLES = "max-cycles"
    DEADLINE = "deadline"
    NO_PROGRESS = "no-progress"
    NEEDS_HUMAN = "needs-human"
    REMEDY_REFUSED = "remedy-refused"
    ROLLED_BACK = "rolled-back"
    RESTORE_FAILED = "restore-failed"
    ENVIRONMENT_MOVED = "environment-moved"
    PREFLIGHT = "preflight"
    LOCKED = "locked"
    INTERRUPTED = "interrupted"
    FATAL = "fatal"
