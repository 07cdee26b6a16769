"""One test while it runs: its phases so far, and the case that it becomes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from loopctl.evidence.status import last_attempt, met_in, status_of
from loopctl.model.evidence import (
    Case,
    CaseStatus,
    Contact,
    PhaseRecord,
    Raised,
    Sample,
    TestPhase,
)
from loopctl.process import utc_now
from loopctl.suites.pytest_events import moment_of, output_of, samples_of
from loopctl.suites.spool import Event

_LONGEST_OUTPUT = 16_000
_MOST_SAMPLES = 1000


class Running:
    """A test from its start to its end. `name` is its redacted id, `code` a hash of its code."""

    def __init__(self, name: str, told_at: object, code: str | None = None) -> None:
        self.name = name
        self._code = code
        self._began = time.monotonic()
        # A number no clock shows: the test corrupted its own event.
        self._started_at = moment_of(told_at) or utc_now()
        self._phases: list[PhaseRecord] = []
        self._subtests: list[PhaseRecord] = []
        self._children: dict[str, list[Contact]] = {}
        self._samples: list[Sample] = []
        self._output = ""

    def age(self, now: float) -> float:
        """Seconds since its start was seen."""
        return now - self._began

    def add(self, phase: PhaseRecord, event: Event, *, is_subtest: bool) -> None:
        """A phase has ended, or a subtest within the call phase."""
        self._output = (self._output + output_of(event))[-_LONGEST_OUTPUT:]
        if is_subtest:
            self._subtests.append(phase)
            return
        if phase.phase is TestPhase.SETUP:
            self._samples.clear()  # of an attempt that is run again
        room = _MOST_SAMPLES - len(self._samples)
        self._samples.extend(samples_of(event)[:room])
        met = tuple(self._children.pop(phase.phase, ()))
        self._phases.append(replace(phase, contacts=phase.contacts + met))

    def child_met(self, phase: str, contact: Contact) -> None:
        """A forked child of the running phase made a connection."""
        self._children.setdefault(phase, []).append(contact)

    def revise(self, phase: str, outcome: Literal["passed", "failed", "skipped"] | None) -> None:
        """Another plugin changed the outcome of a phase after it was reported."""
        for index in range(len(self._phases) - 1, -1, -1):
            if self._phases[index].phase == phase and outcome is not None:
                self._phases[index] = replace(self._phases[index], outcome=outcome)
                return

    def errors(self) -> Sequence[tuple[Raised, bool]]:
        """What set-ups and tear-downs raised, and whether they had met the target."""
        return [
            (phase.raised, met_in(phase))
            for phase in self._phases
            if phase.raised is not None and phase.phase is not TestPhase.CALL
        ]

    def ended(self, *, met_before: bool) -> Case:
        """The case, when the test came to its own end."""
        call = next((p for p in self._phases if p.phase is TestPhase.CALL), None)
        subtests = [
            replace(p, contacts=call.contacts, exchanges=call.exchanges) if call else p
            for p in self._subtests
            if p.outcome == "failed"
        ]
        ending = status_of([*self._phases, *subtests], met_before=met_before)
        decided = ending.decided_by
        return self.case(
            ending.status,
            ending.message,
            raised=decided.raised if decided else None,
            longrepr=decided.longrepr if decided else None,
        )

    def case(
        self,
        status: CaseStatus,
        message: str | None,
        *,
        raised: Raised | None = None,
        longrepr: str | None = None,
    ) -> Case:
        """The case with a status that somebody else decided."""
        ran = sum(phase.duration_s for phase in self._phases)
        unfinished = status in (CaseStatus.TIMEOUT, CaseStatus.LOST)
        return Case(
            id=self.name,
            status=status,
            duration_s=time.monotonic() - self._began if unfinished else ran,
            started_at=self._started_at,
            message=message,
            raised=raised,
            longrepr=longrepr,
            output=self._output,
            phases=tuple(last_attempt(self._phases)),
            samples=tuple(self._samples),
            code=self._code,
        )
