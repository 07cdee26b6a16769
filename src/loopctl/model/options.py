"""What a person asked of one run, beside the loop file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from loopctl.model.state import State

if TYPE_CHECKING:
    from loopctl.model.plan import Plan

_DEPLOYS = (State.PREFLIGHT, State.BUILD, State.DEPLOY)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of `run`. Empty selections mean: all. `start` is where the run enters."""

    suites: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    priorities: tuple[str, ...] = ()
    start: State = State.PREFLIGHT
    max_cycles: int | None = None
    deadline_s: float | None = None
    remediate: Literal["off", "propose", "auto"] | None = None
    confirm: str | None = None
    allow_dirty: bool = False
    create: bool = False
    keep: bool = False

    def partial(self, plan: Plan) -> str | None:
        """Why the run may not promote, None when it may. A selection of everything is none."""
        reasons = []
        if self.suites and set(self.suites) != {suite.id for suite in plan.suites}:
            reasons.append("--suite")
        if self.services and set(self.services) != {spec.name for spec in plan.deployed}:
            reasons.append("--service")
        if self.priorities and {s.priority.value for s in plan.suites} - set(self.priorities):
            reasons.append("--priority")
        if self.start not in _DEPLOYS:
            reasons.append(f"--from {self.start.value}")
        return f"partial, by {' and '.join(reasons)}" if reasons else None
