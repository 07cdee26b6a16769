"""REMEDIATE: what is to be done. This version proposes, and leaves the doing to a person."""

from __future__ import annotations

from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord
from loopctl.model.events import RemedyDecided
from loopctl.model.finding import Finding
from loopctl.model.outcome import Outcome
from loopctl.model.plan import RemediationMode
from loopctl.model.state import OutcomeKind
from loopctl.process import Stop


class Remediate:
    """In `propose` it names the exact command; in `off` it says that nothing was asked for."""

    def __init__(self, mode: RemediationMode, loop: str, environment: str) -> None:
        self._mode = mode
        self._loop = loop
        self._environment = environment

    def __call__(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> Outcome:
        """Always FAILED: a cycle that is not green needs a person."""
        if self._mode is RemediationMode.OFF:
            journal.append(RemedyDecided("none", self._mode.value, "remediation is off"))
            return Outcome(OutcomeKind.FAILED, "remediation is off")
        best = next((f for f in cycle.findings if f.remedy is not None), None)
        decided = self._proposal(best, cycle)
        journal.append(decided, service=best.service if best else None)
        return Outcome(OutcomeKind.FAILED, f"a person is needed: {decided.detail}")

    def _proposal(self, finding: Finding | None, cycle: CycleRecord) -> RemedyDecided:
        again = f"loopctl run {self._loop} --env {self._environment}"
        if finding is None or finding.remedy is None:
            detail = "no remedy is known; read the findings, mend the cause, and run again"
            return RemedyDecided("person", self._mode.value, detail, again, "proposed")
        remedy = finding.remedy
        if remedy.action == "rollback":
            # SETTLE has put the traffic back already, and an older revision mends no source.
            new = any(service.first for service in cycle.services.values())
            serves = "a first revision, unverified" if new else "what served before this run"
            detail = f"mend the cause and run again; now there serves {serves}"
            return RemedyDecided("person", self._mode.value, detail, again, "proposed")
        asked = remedy.detail or finding.title
        # What a person is to do needs no name of an action before it.
        detail = asked if remedy.action == "person" else f"{remedy.action}: {asked}"
        return RemedyDecided(remedy.action, self._mode.value, detail, again, "proposed")
