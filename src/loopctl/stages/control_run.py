"""The control run: what passed is run again with its targets withheld, and must not pass.

First they are refused. What that has borne out is run again while a stand-in answers every request
with an error in their place, and what passes then, while it answers with a success: a test that
passes whatever it is answered is about nothing. Asked for by a suite's `evidence.control`, and only
where more runs harm nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import assert_never

from loopctl.evidence.control import answered_wrongly, controlled, heard_targets, uncontrollable
from loopctl.model.evidence import Case, Control, Grade, GradedCase, SuiteEnd
from loopctl.model.plan import SuiteSpec
from loopctl.ports.suite import SuiteContext, Withhold

CONTROL = "control"
"""The name of the control run in a run's folder, its journal and its traces."""

_WRONGLY = (Withhold.ERRORS, Withhold.SUCCESSES)
"""A test may well expect that an answer is no success, or that it is one: but not both."""

_LEAST_TEST_S = 10.0
"""A refused test may try for a while; one that waits longer has shown that it needs its target."""

Again = Callable[[SuiteSpec, SuiteContext, Callable[[Case], None]], SuiteEnd]


@dataclass(frozen=True, slots=True)
class _Part:
    """What a part of the control run came to. `why` it could not be finished, None if it was."""

    cases: Mapping[str, Case]
    why: str | None

    def told(self, name: str, control: Control) -> Control:
        """What it shows of a case, with the reason where it did not come to it."""
        if name in self.cases or self.why is None:
            return control
        return replace(control, reason=f"{control.reason} ({self.why})")


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

        `context` is the control run's own, `again` runs the suite with it, and once more with that
        of each later part, whose folder is beside it.
        """
        asked = {
            name: case
            for name, case in passed.items()
            if graded[name].grade not in (None, Grade.CONTRADICTED)
        }
        found: dict[str, Control] = {
            name: known for name, case in asked.items() if (known := self._beforehand(case))
        }
        left = {name: case for name, case in asked.items() if name not in found}
        refused = self._part(left, replace(context, withhold=Withhold.CONNECTIONS), again)
        first: dict[str, Control] = {
            name: refused.told(name, controlled(case, refused.cases.get(name)))
            for name, case in left.items()
        }
        found.update(first)
        left = {
            name: case
            for name, case in left.items()
            if first[name].kind == "borne-out" and _can_be_answered(case, context)
        }
        for withhold in _WRONGLY:
            wrong = self._part(left, _later(context, withhold), again)
            told = {
                name: wrong.told(name, answered_wrongly(first[name], wrong.cases.get(name)))
                for name in left
            }
            found.update(told)
            left = {name: left[name] for name in left if told[name].kind == "contradicted"}
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

    def _part(self, left: Mapping[str, Case], context: SuiteContext, again: Again) -> _Part:
        """Run what is `left` with what the context withholds."""
        ran: dict[str, Case] = {}
        if not left:
            return _Part(ran, None)

        def keep(case: Case) -> None:
            ran[case.id] = case

        end = again(self._shorter(left.values()), replace(context, only=tuple(left)), keep)
        return _Part(ran, end.usage_error or end.stopped)

    def _shorter(self, left: Iterable[Case]) -> SuiteSpec:
        """The suite with no more time for a test than one that meets its target could need."""
        longest = max(case.duration_s for case in left)
        limit = min(self.spec.test_timeout_s, max(_LEAST_TEST_S, 3 * longest))
        return replace(self.spec, test_timeout_s=limit)


def _can_be_answered(case: Case, context: SuiteContext) -> bool:
    """Whether a stand-in can take a target's place: it has no certificate for an encrypted one."""
    urls = (context.endpoints[name].url for name in heard_targets(case))
    return any(url.startswith("http:") for url in urls)


def _later(first: SuiteContext, withhold: Withhold) -> SuiteContext:
    """What a later part is given: a folder and traces of its own."""
    seed = sha256(f"{first.trace_seed}/{withhold}".encode()).hexdigest()[:32]
    parent = {"TRACEPARENT": f"00-{seed}-{seed[:16]}-01"}
    has_parent = "TRACEPARENT" in first.variables
    return replace(
        first,
        variables={**first.variables, **parent} if has_parent else first.variables,
        folder=first.folder.with_name(f"{CONTROL}-{withhold}"),
        trace_seed=seed,
        withhold=withhold,
    )


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
