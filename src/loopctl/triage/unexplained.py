"""What no signature explains: grouped by how it looks, with the lines that may tell, no cause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

from loopctl.evidence.criteria import ERROR_RATE, ERRORS, place_of
from loopctl.model.evidence import GradedCase
from loopctl.model.finding import Fault, FaultKind, Finding, Quote
from loopctl.triage.fingerprint import message_fingerprint
from loopctl.triage.match import Seen
from loopctl.triage.records import FAILING, case_headline, case_quote, cut
from loopctl.triage.symptoms import SuiteResult, Symptoms

TITLE: Final = "No known cause"
_MOST_FINDINGS: Final = 10
_NOVEL_SHOWN: Final = 3
_CASES_QUOTED: Final = 2


@dataclass(frozen=True, slots=True)
class Explained:
    """The cases and faults that a known cause accounts for."""

    cases: frozenset[str]
    faults: tuple[Fault, ...]
    any: bool

    @classmethod
    def by(cls, findings: Sequence[Finding], seen: Sequence[Seen]) -> Self:
        """What these findings and matches account for."""
        cases = frozenset(case for finding in findings for case in finding.cases)
        hits = (hit for each in seen for clause in each.hits for hit in clause)
        faults = tuple(hit.record.fault for hit in hits if hit.record.fault is not None)
        return cls(cases, faults, bool(findings))


@dataclass(slots=True)
class _Group:
    service: str | None
    quotes: list[Quote]
    cases: list[str]


def unexplained(
    symptoms: Symptoms, explained: Explained, novel: Sequence[tuple[str, Quote]]
) -> list[Finding]:
    """A finding for each kind of failure that is left, the most frequent first."""
    groups = _cases(symptoms, explained)
    failing = [case for _, case in _failing(symptoms)]
    for fault in symptoms.faults:
        # That a suite failed is said by its tests; alone it is all that is known.
        told = bool(groups) or explained.any
        by_tests = fault.kind is FaultKind.SUITE and told
        by_requests = _is_of_errors(fault) and any(map(_is_an_error, failing))
        if fault not in explained.faults and not (by_tests or by_requests):
            key = message_fingerprint(f"{fault.kind.value}: {fault.summary}")
            said = Quote("condition", symptoms.place, fault.summary)
            groups.setdefault(key, _Group(fault.service, [*(fault.quotes or (said,))], []))
    ordered = sorted(groups.items(), key=lambda item: -len(item[1].cases))
    return [_finding(key, group, novel) for key, group in _bounded(ordered)]


def _cases(symptoms: Symptoms, explained: Explained) -> dict[str, _Group]:
    groups: dict[str, _Group] = {}
    for suite, case in _failing(symptoms):
        if case.id in explained.cases:
            continue
        headline = case_headline(case)
        group = groups.setdefault(message_fingerprint(headline), _Group(suite.service, [], []))
        if len(group.cases) < _CASES_QUOTED:
            group.quotes.append(case_quote(suite, case, headline))
        group.cases.append(case.id)
    return groups


def _is_of_errors(fault: Fault) -> bool:
    """Whether the criterion is the share of failed requests, which are cases of their own."""
    return fault.kind is FaultKind.CRITERION and any(
        quote.source == place_of(ERROR_RATE) for quote in fault.quotes
    )


def _is_an_error(case: GradedCase) -> bool:
    return any(sample.metric == ERRORS and sample.value for sample in case.samples)


def _failing(symptoms: Symptoms) -> Iterator[tuple[SuiteResult, GradedCase]]:
    for suite in symptoms.suites:
        for case in suite.cases:
            if case.status in FAILING:
                yield suite, case


def _bounded(groups: Sequence[tuple[str, _Group]]) -> Iterator[tuple[str, _Group]]:
    """At most ten: the rest, each rarer than those, is told together."""
    yield from groups[:_MOST_FINDINGS]
    rest = [group for _, group in groups[_MOST_FINDINGS:]]
    if rest:
        quotes = [quote for group in rest for quote in group.quotes[:1]]
        cases = [case for group in rest for case in group.cases]
        key = message_fingerprint(f"{len(rest)} more kinds of failure")
        yield key, _Group(None, quotes[:_MOST_FINDINGS], cases)


def _finding(key: str, group: _Group, novel: Sequence[tuple[str, Quote]]) -> Finding:
    lines = [quote for service, quote in novel if group.service in (service, None)]
    evidence = dict.fromkeys([*map(cut, group.quotes), *lines[:_NOVEL_SHOWN]])
    return Finding(
        signature=None,
        title=TITLE,
        severity="high",
        confidence=0.0,
        fingerprint=key,
        service=group.service,
        evidence=tuple(evidence),
        cases=tuple(group.cases),
    )
