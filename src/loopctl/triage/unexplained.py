"""What no signature explains: grouped by its reason, with the lines that may tell, no cause."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Self

from loopctl.evidence.criteria import ERROR_RATE, ERRORS, place_of
from loopctl.model.evidence import GradedCase
from loopctl.model.finding import Fault, FaultKind, Finding, Quote
from loopctl.model.logs import RequestEntry
from loopctl.triage.alike import answer_of, is_5xx, reason_of
from loopctl.triage.fingerprint import message_fingerprint, reason_fingerprint
from loopctl.triage.match import Seen
from loopctl.triage.records import FAILING, case_headline, case_quote, cut, request_quote
from loopctl.triage.symptoms import SuiteResult, Symptoms
from loopctl.triage.upstream import reach

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


@dataclass(frozen=True, slots=True)
class Novel:
    """What a service's log shows that no green one had: the line, and where it was raised.

    `is_telling`: it says by itself that something is wrong, and there is a green log that lacks it.
    """

    service: str
    quotes: tuple[Quote, ...]
    is_telling: bool = False


@dataclass(frozen=True, slots=True)
class Unexplained:
    """A kind of failure without a known cause. `began` is None where no time was captured.

    `by_stage`: a stage saw it, and not only tests.
    """

    finding: Finding
    began: datetime | None
    by_stage: bool


@dataclass(slots=True)
class _Group:
    service: str | None
    quotes: list[Quote] = field(default_factory=list)
    cases: list[str] = field(default_factory=list)
    began: datetime | None = None
    by_stage: bool = False

    def add(self, case: GradedCase, quotes: Iterable[Quote]) -> None:
        """One more test that failed so."""
        if len(self.cases) < _CASES_QUOTED:
            self.quotes += [quote for quote in quotes if quote not in self.quotes]
        self.cases.append(case.id)
        ended = case.at + timedelta(seconds=case.duration_s)
        self.began = ended if self.began is None else min(self.began, ended)


def unexplained(
    symptoms: Symptoms, explained: Explained, novel: Sequence[Novel]
) -> list[Unexplained]:
    """One for each kind of failure that is left, the most frequent first."""
    groups = _cases(symptoms, explained, novel)
    failing = [case for _, case in _failing(symptoms)]
    for fault in symptoms.faults:
        # That a suite failed is said by its tests; alone it is all that is known.
        told = bool(groups) or explained.any
        by_tests = fault.kind is FaultKind.SUITE and told
        by_requests = _is_of_errors(fault) and any(map(_is_an_error, failing))
        if fault not in explained.faults and not (by_tests or by_requests):
            key = message_fingerprint(f"{fault.kind.value}: {fault.summary}")
            said = Quote("condition", symptoms.place, fault.summary)
            group = _Group(fault.service, [*(fault.quotes or (said,))], by_stage=True)
            groups.setdefault(key, group)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1].cases))
    return [
        Unexplained(_finding(key, group, novel), group.began, group.by_stage)
        for key, group in _bounded(ordered)
    ]


def _cases(symptoms: Symptoms, explained: Explained, novel: Sequence[Novel]) -> dict[str, _Group]:
    groups: dict[str, _Group] = {}
    answers = _answers(symptoms)
    for suite, case in _failing(symptoms):
        if case.id in explained.cases:
            continue
        headline = case_quote(suite, case, case_headline(case))
        request, quote = answers.get(case.trace or "", (None, None))
        if request is None or quote is None:
            group = groups.setdefault(reason_fingerprint(reason_of(case)), _Group(suite.service))
            group.add(case, [headline])
        else:
            new = sum(each.service == request.service for each in novel)
            key = reason_fingerprint(answer_of(request, by_path=new > 1))
            groups.setdefault(key, _Group(request.service)).add(case, [headline, quote])
    return groups


def _answers(symptoms: Symptoms) -> Mapping[str, tuple[RequestEntry, Quote]]:
    """By trace the answer with 5xx that a test failed by.

    Of several services that answered so under one trace the furthest upstream: the others only
    passed it on.
    """
    wanted = {case.trace for _, case in _failing(symptoms) if case.trace}
    asked: dict[str, list[tuple[RequestEntry, Quote]]] = {}
    for log in symptoms.requests:
        for number, request in enumerate(log.requests, log.first):
            if request.trace in wanted and request.trace is not None:
                quote = request_quote(log, number, request)
                asked.setdefault(request.trace, []).append((request, quote))
    found = {}
    for trace, pairs in asked.items():
        failed = [pair for pair in pairs if is_5xx(pair[0])]
        if failed:
            # Of one service the last: a test goes on until an answer breaks it.
            found[trace] = min(
                reversed(failed), key=lambda pair: len(reach(symptoms.needs, pair[0].service))
            )
    return found


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


def _finding(key: str, group: _Group, novel: Sequence[Novel]) -> Finding:
    lines = [each.quotes for each in novel if group.service in (each.service, None)]
    told = [quote for quotes in lines[:_NOVEL_SHOWN] for quote in quotes]
    evidence = dict.fromkeys([*map(cut, group.quotes), *told])
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
