"""A cycle's findings as causes, each with the symptoms that hang beneath it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loopctl.inert import one_line
from loopctl.journal.wording import count
from loopctl.model.finding import Finding

_SERVICES = 3


@dataclass(frozen=True, slots=True)
class Cause:
    """A finding that stands for itself, and those that are there because of it."""

    finding: Finding
    symptoms: tuple[Finding, ...] = ()

    @property
    def cases(self) -> tuple[str, ...]:
        """The tests that fail by it, its own and those of its symptoms."""
        found = [case for each in (self.finding, *self.symptoms) for case in each.cases]
        return tuple(dict.fromkeys(found))


def causes_of(findings: Sequence[Finding]) -> tuple[Cause, ...]:
    """In the order of the findings; one whose cause is not among them stands for itself."""
    known = {finding.fingerprint for finding in findings if finding.under is None}
    return tuple(
        Cause(finding, tuple(each for each in findings if each.under == finding.fingerprint))
        for finding in findings
        if finding.under not in known
    )


def beneath_text(cause: Cause) -> str:
    """What hangs beneath it: `40 tests of web`; empty without symptoms."""
    if not cause.symptoms:
        return ""
    services = list(dict.fromkeys(each.service for each in cause.symptoms if each.service))
    of = ", ".join(one_line(name, 63) for name in services[:_SERVICES])
    more = f" and {len(services) - _SERVICES} more" if len(services) > _SERVICES else ""
    cases = {case for each in cause.symptoms for case in each.cases}
    what = count(len(cases), "test") if cases else count(len(cause.symptoms), "symptom")
    return f"{what} of {of}{more}" if of else what
