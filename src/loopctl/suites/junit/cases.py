"""What the cases of a JUnit report mean: their ids, how they ended, what they recorded.

The id is `PLACE::NAME`. PLACE is `classname`. Where that is missing, or node's `test`, it is `file`
and the names of the suites around, what there is of them; where it is the same as `name`, `file`.
Playwright runs a test in several browsers and tells them apart by the suite's `hostname`: that is
put behind the id where the reports name several hosts, ` [firefox]`. Cases that are alike even so
are numbered in the report's order: `#2`.

| what the report says | status |
|---|---|
| `failure`, `error`, `rerunFailure`, `rerunError` | failed |
| the same, and `skipped` of type `todo` (node: known to fail) | skipped |
| `skipped`; `status` or `result` is `notrun`, `disabled` or the like (ctest, gtest) | skipped |
| `flakyFailure`, `flakyError` alone | flaky |
| none of it, but `status` is `fail` or the like | failed |
| its end is not there | lost, or failed if that much was read |
| anything else | passed |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Literal

from loopctl.evidence.status import described, first_line
from loopctl.inert import one_line
from loopctl.model.evidence import Case, CaseStatus, PhaseRecord, Raised, TestPhase
from loopctl.redact import Redactor
from loopctl.suites.event_redaction import EventRedaction
from loopctl.suites.junit.properties import TraceClaims, seconds_of, spoken_samples
from loopctl.suites.junit.report import FAILURES, FLAKES, RERUNS, ReportedCase, Said

_SAYS_NOTHING = frozenset({"", "test"})
_LONGEST_ID = 600
_LONGEST_SHOWN = 100
_NOT_RUN = frozenset({
    *("notrun", "disabled", "skipped", "ignored", "pending", "suppressed", "untested"),
    *("unexecuted", "notexecuted", "undefined", "blocked", "xfail"),
})  # fmt: skip
_FAILED = frozenset({
    *("fail", "failed", "failure", "error", "broken", "timeout", "timedout", "aborted", "crashed"),
    *("killed", "interrupted", "cancelled", "canceled", "inconclusive", "unresolved"),
    *("ambiguous", "incomplete", "unsuccessful", "hookerror", "cleanuperror"),
})  # fmt: skip
_OUTCOMES: dict[CaseStatus, Literal["passed", "failed"]] = {
    CaseStatus.PASSED: "passed",
    CaseStatus.FLAKY: "passed",
    CaseStatus.FAILED: "failed",
}


@dataclass(frozen=True, slots=True)
class TheCommand:
    """What is known of the command that its cases ran in; `program` is its name."""

    program: str
    cwd: Path
    began: datetime
    duration_s: float


class CaseMaker:
    """Makes the cases of one run of a command, everything in them redacted.

    `many_hosts`: its reports name more than one. `claims` has seen all the reports' cases.
    """

    def __init__(
        self, redactor: Redactor, command: TheCommand, claims: TraceClaims, *, many_hosts: bool
    ) -> None:
        self._redaction = EventRedaction(redactor)
        self._command = command
        self._claims = claims
        self._many_hosts = many_hosts
        self._given: dict[str, int] = {}
        self._unreadable = 0
        self._first_unreadable = ""

    def case(self, reported: ReportedCase) -> Case:
        """The case that a report tells of."""
        status, decided = ending_of(reported)
        clean = Said(*map(self._redaction.text, _fields(decided))) if decided else None
        name = self.name_of(reported)
        samples, wrong = spoken_samples(reported.properties)
        if wrong and not self._unreadable:
            shown = one_line(self._redaction.text(wrong[0]), _LONGEST_SHOWN)
            self._first_unreadable = f"{shown} of {name}"
        self._unreadable += len(wrong)
        duration_s = self._sane(seconds_of(reported.time))
        longrepr = _text_of(clean) if clean else None
        return Case(
            id=name,
            status=status,
            duration_s=duration_s,
            started_at=self._command.began,
            message=_message(status, clean, reported),
            raised=_raised(clean) if status is CaseStatus.FAILED and clean else None,
            longrepr=longrepr,
            output=self._redaction.text(reported.output),
            phases=self._phases(reported, status, duration_s, longrepr),
            samples=samples,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of what the cases recorded."""
        shared, wrong = self._claims.shared, self._unreadable
        of_traces = f"trace ids that several cases claim, so that they prove nothing: {shared}"
        of_metrics = f"measurements that cannot be taken: {wrong}, as {self._first_unreadable}"
        return (*([of_traces] if shared else []), *([of_metrics] if wrong else []))

    def missing(self, count: int, declared: int) -> Case:
        """The one case that stands for all that a report declares and does not have."""
        said = f"{count} of {declared} cases are not in the report"
        name = self._unused("(not in the report)")
        return Case(name, CaseStatus.LOST, 0.0, self._command.began, message=said)

    def name_of(self, reported: ReportedCase) -> str:
        """Its id, which no other case of this run has."""
        wanted = _flat(self._redaction.text(raw_name(reported, self._command.cwd)))
        if self._many_hosts and reported.host:
            wanted += f" [{_flat(self._redaction.text(reported.host))}]"
        if len(wanted) > _LONGEST_ID:
            digest = sha256(wanted.encode("utf-8", "surrogatepass")).hexdigest()[:12]
            wanted = f"{wanted[: _LONGEST_ID - 14]}… {digest}"
        return self._unused(wanted)

    def _unused(self, wanted: str) -> str:
        # Counted on from the last: a report of 100,000 cases may call them all the same.
        name, number = wanted, self._given.get(wanted, 1)
        while name in self._given:
            number += 1
            name = f"{wanted}#{number}"
        self._given[wanted] = number
        self._given.setdefault(name, 1)
        return name

    def _phases(
        self, reported: ReportedCase, status: CaseStatus, duration_s: float, longrepr: str | None
    ) -> tuple[PhaseRecord, ...]:
        """One call phase of what ran.

        Nobody saw when it began and ended: without these, no request is taken for this case's own
        because of its time, when it was as likely another's. Only its trace id can prove it.
        """
        outcome = _OUTCOMES.get(status)
        if outcome is None:
            return ()
        return (
            PhaseRecord(
                phase=TestPhase.CALL,
                outcome=outcome,
                duration_s=duration_s,
                own_traces=self._claims.of(reported.properties),
                longrepr=longrepr,
                children=(self._command.program,),
            ),
        )

    def _sane(self, seconds: float | None) -> float:
        """No case took longer than its command: then it counts something else, as milliseconds."""
        most = self._command.duration_s + 1.0
        return seconds if seconds is not None and seconds <= most else 0.0


def ending_of(reported: ReportedCase) -> tuple[CaseStatus, Said | None]:
    """How the case ended, and what decided it."""
    bad = [said for said in reported.said if said.tag in FAILURES]
    again = [said for said in reported.said if said.tag in RERUNS]
    flaky = [said for said in reported.said if said.tag in FLAKES]
    skipped = next((said for said in reported.said if said.tag == "skipped"), None)
    if bad or again:
        if skipped is not None and skipped.type == "todo":
            return CaseStatus.SKIPPED, (bad or again)[0]
        return CaseStatus.FAILED, (bad or again)[0]
    if not reported.whole:
        return CaseStatus.LOST, None
    if skipped is not None or reported.words & _NOT_RUN:
        return CaseStatus.SKIPPED, skipped
    if reported.words & _FAILED:
        return CaseStatus.FAILED, None
    return (CaseStatus.FLAKY, flaky[0]) if flaky else (CaseStatus.PASSED, None)


def raw_name(reported: ReportedCase, cwd: Path) -> str:
    """The id that its attributes make, not yet redacted nor told from others."""
    name = reported.name or "(no name)"
    place, file = reported.classname, reported.file.removeprefix(f"{cwd}/")
    if place not in _SAYS_NOTHING and place != reported.name:
        return f"{place}::{name}"
    # jest-junit writes the titles of all suites around into both.
    around = () if place == reported.name else reported.suites
    return "::".join(filter(None, (file, *around, name)))


def _message(status: CaseStatus, decided: Said | None, reported: ReportedCase) -> str | None:
    if status is CaseStatus.PASSED:
        return None
    if status is CaseStatus.LOST:
        return "the report breaks off in it"
    said = _described(decided) if decided else f"the report says so ({_words(reported)})"
    if status is CaseStatus.FLAKY:
        return f"passed when run again; before: {said}"
    if status is CaseStatus.SKIPPED:
        return f"known to fail: {said}" if decided and decided.tag != "skipped" else said
    return "; ".join(filter(None, (said, *_beside(reported))))


def _beside(reported: ReportedCase) -> Sequence[str]:
    """What stands beside the first failure of a failed case."""
    tags = [said.tag for said in reported.said]
    more = sum(tag in FAILURES for tag in tags) - 1
    again = sum(tag in RERUNS for tag in tags)
    unclear = "error" in tags
    return [
        *([f"{more} more in the report"] if more > 0 else []),
        *([f"failed in {again} rerun{'s' * (again > 1)} too"] if again else []),
        *(["an <error>: the report does not say whose code raised it"] if unclear else []),
    ]


def _described(said: Said) -> str:
    raised = _raised(said)
    if raised is None:
        return first_line(said.text) or "no reason is given"
    if said.tag == "skipped" or not raised.type:
        return first_line(raised.message) or raised.type
    return described(raised)


def _raised(said: Said) -> Raised | None:
    # node writes `true` where a test was skipped without a word.
    message = "" if said.tag == "skipped" and said.message == "true" else said.message
    message = message or first_line(said.text)
    return Raised(said.type, message) if said.type or message else None


def _text_of(said: Said) -> str | None:
    parts = (said.message if said.message not in said.text else "", said.text.strip("\n"))
    return "\n".join(filter(None, parts)) or None


def _fields(said: Said) -> tuple[str, str, str, str]:
    return said.tag, said.type, said.message, said.text


def _words(reported: ReportedCase) -> str:
    return ", ".join(sorted(reported.words & (_NOT_RUN | _FAILED)))


def _flat(text: str) -> str:
    return " ".join(text.split())
