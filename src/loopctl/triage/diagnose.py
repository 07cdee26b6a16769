"""From symptoms to findings: known causes with their evidence, or an honest "no known cause"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from loopctl.model.finding import Finding, ProposedRemedy, Quote
from loopctl.triage.baseline import Novelty, RankedTemplate, Window, rank_key
from loopctl.triage.changed import with_changes
from loopctl.triage.fingerprint import cause_fingerprint
from loopctl.triage.lines import Line
from loopctl.triage.loading import Catalogue
from loopctl.triage.match import Matcher, Seen
from loopctl.triage.reading import Reading
from loopctl.triage.records import cut, log_quote, records_of
from loopctl.triage.said_first import with_first_words
from loopctl.triage.severity import Severity
from loopctl.triage.signatures import SUREST, Signature
from loopctl.triage.symptoms import ServiceLog, Symptoms
from loopctl.triage.unexplained import Explained, Novel, unexplained
from loopctl.triage.unknown import Unknown, unknowns
from loopctl.triage.upstream import Located, upstream_first
from loopctl.triage.whys import Evidence, Named, chain, fill, named_values, placeholders

_MOST_NOVEL: Final = 10
_MOST_EVIDENCE: Final = 10


@dataclass(frozen=True, slots=True)
class NovelLine:
    """A log line that the green runs never showed, or the worst there is without any.

    `frame` is the line of a traceback that says where it was raised, `is_severe` whether the line
    itself says that something is wrong. `is_telling`: it does, no green run had it, and no
    traceback behind it says more.
    """

    template: str
    count: int
    quote: Quote
    service: str
    frame: Quote | None = None
    is_severe: bool = False
    is_telling: bool = False

    @property
    def quotes(self) -> tuple[Quote, ...]:
        """What it says, and where it was raised."""
        return (self.quote,) if self.frame is None else (self.quote, self.frame)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is known and what is not. `ranked_by` says how the novel lines were found.

    Findings stand causes first, each with those beneath it (`under`) behind it.
    """

    findings: tuple[Finding, ...]
    novel: tuple[NovelLine, ...]
    unknowns: tuple[Unknown, ...]
    ranked_by: str

    @property
    def unknown(self) -> tuple[str, ...]:
        """The open questions in words."""
        return tuple(asked.text for asked in self.unknowns)


def diagnose(symptoms: Symptoms, catalogue: Catalogue) -> Diagnosis:
    """Say what caused the failure, as far as the evidence shows it. One pass over the logs."""
    matcher = Matcher(catalogue)
    for record in records_of(symptoms):
        matcher.see(record)
    novel = _novel_lines(symptoms, matcher)
    causes = _folded([(_finding(seen), seen) for seen in matcher.seen()])
    explained = Explained.by([f for f, _ in causes], [seen for _, each in causes for seen in each])
    new = [Novel(line.service, line.quotes, line.is_telling) for line in novel]
    rest = unexplained(symptoms, explained, new)
    located = [
        Located(finding, _began(seen), is_cause=True, beside=_beside(finding, new))
        for finding, seen in causes
    ]
    located += [
        Located(each.finding, each.began, each.by_stage, _beside(each.finding, new))
        for each in rest
    ]
    seen_of = {finding.fingerprint: seen for finding, seen in causes}
    findings = tuple(
        finding
        if finding.under
        else with_changes(finding, _said(finding, seen_of), symptoms.changes)
        for finding in with_first_words(upstream_first(located, symptoms.needs), new)
    )
    ranked_by = _ranked_by(symptoms)
    asked = tuple(unknowns(symptoms, findings, ranked_by))
    return Diagnosis(findings, novel, asked, ranked_by)


def _beside(finding: Finding, new: Sequence[Novel]) -> tuple[str, ...]:
    mine = (each for each in new if each.service == finding.service)
    return tuple(quote.quote for each in mine for quote in each.quotes)


def _began(seen: Sequence[Seen]) -> datetime | None:
    """When the first of what a cause rests on was seen."""
    hits = (hit for each in seen for clause in each.hits for hit in clause)
    return min((hit.record.at for hit in hits if hit.record.at is not None), default=None)


def _novel_lines(symptoms: Symptoms, matcher: Matcher) -> tuple[NovelLine, ...]:
    """Stream the logs past the signatures; the lines that matter most, of all services."""
    found: list[tuple[RankedTemplate, ServiceLog]] = []
    for log in symptoms.logs:
        window = Window(log.service, symptoms.baseline)
        Reading(log, window, matcher).read()
        found.extend((ranked, log) for ranked in window.ranked() if _tells(ranked))
    found.sort(key=lambda pair: rank_key(pair[0]))
    traced = {(log.source, ranked.first.number) for ranked, log in found if ranked.first.trace}
    return tuple(
        _novel_line(ranked, log, introduces=(log.source, ranked.first.number + 1) in traced)
        for ranked, log in found[:_MOST_NOVEL]
    )


def _tells(ranked: RankedTemplate) -> bool:
    if ranked.novelty is None:
        return ranked.severity >= Severity.WARNING
    return ranked.novelty is not Novelty.KNOWN


def _novel_line(ranked: RankedTemplate, log: ServiceLog, *, introduces: bool) -> NovelLine:
    event = ranked.first
    line, frame = event.lines[0], None
    if event.trace is not None:
        raised, innermost = event.trace.innermost, event.trace.frame
        line = Line(raised.number, raised.text)
        if innermost is not None:
            frame = cut(log_quote(log, Line(innermost.number, innermost.quote)))
    quote = cut(log_quote(log, line))
    severe = ranked.severity >= Severity.WARNING
    telling = ranked.novelty is Novelty.NOVEL_SEVERE and not introduces
    return NovelLine(ranked.template, ranked.count, quote, ranked.service, frame, severe, telling)


def _said(finding: Finding, seen_of: Mapping[str, Sequence[Seen]]) -> Iterator[str]:
    """What a finding rests on, line by line, the whole of each traceback."""
    for quote in finding.evidence:
        yield quote.quote
    for seen in seen_of.get(finding.fingerprint, ()):
        for clause in seen.hits:
            for hit in clause:
                yield from (line.quote for line in hit.record.lines)


def _finding(seen: Seen) -> Finding:
    signature = seen.signature
    cases = dict.fromkeys(c for clause in seen.hits for hit in clause for c in hit.record.cases)
    wanted = [signature.title, signature.remedy.detail]
    for why in signature.whys:
        wanted += [why.question, why.answer, f"{{{why.evidence}}}" if why.evidence else ""]
    values = named_values(seen, placeholders(*wanted), len(cases))
    evidence = Evidence()
    # The signature's own order comes first: its first clause is the line that a person should see.
    evidence.fill(seen.hits)
    whys = chain(signature.whys, values, evidence)
    detail, _ = fill(signature.remedy.detail, values)
    return Finding(
        signature=signature.id,
        title=_title(signature, values),
        severity=signature.severity,
        confidence=round(seen.confidence, 2),
        fingerprint=cause_fingerprint(signature.id, seen.service, seen.key),
        service=seen.service,
        evidence=tuple(evidence),
        whys=whys,
        remedy=ProposedRemedy(signature.remedy.action, detail),
        not_evidence=signature.not_evidence,
        cases=tuple(cases),
        links=signature.links,
    )


def _title(signature: Signature, values: Mapping[str, Named]) -> str:
    title, complete = fill(signature.title, values)
    return title if complete or signature.plain_title is None else signature.plain_title


def _folded(causes: Sequence[tuple[Finding, Seen]]) -> list[tuple[Finding, list[Seen]]]:
    """Let the specific explain the generic: what is explained becomes evidence of its cause."""
    explainers = {
        index: [
            at
            for at, (other, by) in enumerate(causes)
            if seen.signature.id in by.signature.explains and _same_place(finding, other)
        ]
        for index, (finding, seen) in enumerate(causes)
    }
    folded: list[tuple[Finding, list[Seen]]] = []
    for index, (finding, seen) in enumerate(causes):
        if explainers[index]:
            continue
        beneath = [causes[at] for at, above in explainers.items() if index in above]
        for generic, _ in beneath:
            finding = _absorb(finding, generic)  # noqa: PLW2901 - it grows by what it explains
        if beneath:
            step = seen.signature.confidence.per_corroboration
            finding = replace(finding, confidence=round(min(SUREST, finding.confidence + step), 2))  # noqa: PLW2901
        folded.append((finding, [seen, *(under for _, under in beneath)]))
    return folded


def _same_place(one: Finding, other: Finding) -> bool:
    return one.service == other.service or None in (one.service, other.service)


def _absorb(cause: Finding, symptom: Finding) -> Finding:
    evidence = tuple(dict.fromkeys((*cause.evidence, *symptom.evidence)))[:_MOST_EVIDENCE]
    cases = tuple(dict.fromkeys((*cause.cases, *symptom.cases)))
    return replace(cause, evidence=evidence, cases=cases)


def _ranked_by(symptoms: Symptoms) -> str:
    known = symptoms.baseline.templates if symptoms.baseline else {}
    if not symptoms.logs:
        return "nothing: no log was captured"
    bare = [log.service for log in symptoms.logs if log.service not in known]
    if not bare:
        return "novelty against the green runs, then severity"
    if len(bare) == len(symptoms.logs):
        return "severity and rarity: there is no green run to compare with"
    return f"novelty, then severity; {', '.join(bare)} without a green run: severity and rarity"
