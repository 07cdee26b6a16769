"""What a service's log said before all that a known cause rests on, and no green run had said.

A signature sees what it looks for, often the effect: answers with 503. The first severe line that
is new often says why (facts/log-triage.md: novelty, then severity).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from loopctl.model.finding import Finding, Quote, Why
from loopctl.model.questions import SAID_FIRST
from loopctl.triage.changed import before_a_guess
from loopctl.triage.unexplained import Novel


def with_first_words(findings: Sequence[Finding], novel: Sequence[Novel]) -> tuple[Finding, ...]:
    """The findings, each chain longer by that line where there is one that no finding quotes."""
    quoted = {quote.source for finding in findings for quote in finding.evidence}
    new = [
        each.quotes[0] for each in novel if each.is_telling and each.quotes[0].source not in quoted
    ]
    services = {each.quotes[0].source: each.service for each in novel}
    return tuple(
        _with(finding, [quote for quote in new if services[quote.source] == finding.service])
        for finding in findings
    )


def _with(finding: Finding, new: Iterable[Quote]) -> Finding:
    if finding.signature is None or finding.under or finding.not_evidence:
        return finding
    told = [_place(quote) for quote in finding.evidence if quote.kind == "log"]
    first = min(
        (quote for quote in new if _is_before(_place(quote), told)), key=_place, default=None
    )
    if first is None:
        return finding
    link = Why(SAID_FIRST, first.quote, "observed", len(finding.evidence))
    return replace(
        finding,
        evidence=(*finding.evidence, first),
        whys=before_a_guess(finding.whys, [link]),
    )


def _is_before(place: tuple[str, int], told: Sequence[tuple[str, int]]) -> bool:
    """Whether it stands in the same capture before every line that is quoted already."""
    return all(capture != place[0] or place[1] < number for capture, number in told)


def _place(quote: Quote) -> tuple[str, int]:
    capture, _, number = quote.source.rpartition("#")
    return capture, int(number) if number.isdecimal() else 0
