"""The control run: what passed is run again with its targets refused, and must not pass.

Asked for by a suite's `evidence.control`, and only where a second run harms nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from loopctl.evidence.control import controlled, uncontrollable
from loopctl.model.evidence import Case, Control, Grade, GradedCase, SuiteEnd
from loopctl.model.plan import SuiteSpec
from loopctl.ports.suite import SuiteContext, Withhold

CONTROL = "control"
"""The name of the control run in a run's folder, its journal and its traces."""

_LEAST_TEST_S = 10.0
"""A refused test may try for a while; one that waits longer has shown that it needs its target."""

Again = Callable[[SuiteSpec, SuiteContext, Callable[[Case], None]], SuiteEnd]


@dataclass(frozen=True, slots=True)
class ControlRun:
    """The control run of one suite. `known` are hashes of code that earlier runs have borne out."""

    spec: SuiteSpec
    known: frozenset[str]

    def __call__(
        self,
        graded: Mapping[str, GradedCase],
        passed: Mapping[str, Case],
        context: SuiteContext,
        again: Again,
    ) -> Mapping[str, Control]:
        """What it shows of each case that passed and is not contradicted already.

        `context` is the control run's own, `again` runs the suite with it.
        """
        asked = {
            name: case
            for name, case in passed.items()
            if graded[name].grade not in (None, Grade.CONTRADICTED)
        }
        found = {name: told for name, case in asked.items() if (told := self._beforehand(case))}
        left = tuple(name for name in asked if name not in found)
        ran: dict[str, Case] = {}

        def keep(case: Case) -> None:
            ran[case.id] = case

        if left:
            end = again(
                self._shorter(asked, left),
                replace(context, only=left, withhold=Withhold.CONNECTIONS),
                keep,
            )
            why = end.usage_error or end.stopped
        else:
            why = None
        for name in left:
            told = controlled(asked[name], ran.get(name))
            missing = name not in ran and why is not None
            found[name] = replace(told, reason=f"{told.reason} ({why})") if missing else told
        return found

    def _beforehand(self, case: Case) -> Control | None:
        """What can be told without running the case again."""
        reason = uncontrollable(case)
        if reason is not None:
            return Control("unavailable", reason)
        if self.spec.evidence.control == "changed" and case.code in self.known:
            said = "unchanged since a control run has borne it out"
            return Control("borne-out", said)
        return None

    def _shorter(self, asked: Mapping[str, Case], left: tuple[str, ...]) -> SuiteSpec:
        """The suite with no more time for a test than one that meets its target could need."""
        longest = max(asked[name].duration_s for name in left)
        limit = min(self.spec.test_timeout_s, max(_LEAST_TEST_S, 3 * longest))
        return replace(self.spec, test_timeout_s=limit)


def with_control(graded: GradedCase, passed: Case, control: Control) -> GradedCase:
    """The case with what the control run has shown of it."""
    match control.kind:
        case "contradicted":
            return replace(graded, control=control, grade=Grade.CONTRADICTED, reason=control.reason)
        case "borne-out":
            return replace(graded, control=control, code=passed.code)
        case "unavailable":
            return replace(graded, control=control)
        case _:
            assert_never(control.kind)
