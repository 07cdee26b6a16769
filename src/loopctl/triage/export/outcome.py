"""What a diagnosis of an export comes to: causes that are known, lines that tell, what is open."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from loopctl.model.finding import Finding, Quote
from loopctl.triage.assemble import assemble
from loopctl.triage.baseline import Novelty, RankedTemplate, Window, rank_key
from loopctl.triage.diagnose import Diagnosis, NovelLine
from loopctl.triage.export.symptoms import Capture, learned
from loopctl.triage.export.trouble import is_called_mild
from loopctl.triage.records import cut
from loopctl.triage.symptoms import Symptoms

_MOST: Final = 10
_FEW: Final = 5
_FEWEST: Final = 20
_SELDOM: Final = 2
_NO_GREEN: Final = "which lines are new: "


def known(diagnosis: Diagnosis, symptoms: Symptoms) -> tuple[Finding, ...]:
    """The causes that a signature names, each proved by lines as they stand in the file."""
    lines = {
        fault.summary: cut(fault.quotes[0])
        for fault in symptoms.faults
        if fault.quotes and fault.quotes[0].quote
    }
    named = (finding for finding in diagnosis.findings if finding.signature is not None)
    return _once(_located(finding, lines, symptoms.place) for finding in named)


def _once(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """What one line shows is one finding: of the service that the line itself names, if any."""
    kept: dict[tuple[str | None, Quote | None], Finding] = {}
    for finding in findings:
        shown = next(iter(finding.evidence), None)
        one = kept.setdefault((finding.signature, shown), finding)
        if one is not finding and shown is not None and (finding.service or "") in shown.quote:
            kept[finding.signature, shown] = finding
    return tuple(kept.values())


def _located(finding: Finding, lines: Mapping[str, Quote], place: str) -> Finding:
    """The finding with the line that told of a fault in place of our own words for the fault."""
    told = [
        lines.get(quote.quote, quote) if quote.source == place else quote
        for quote in finding.evidence
    ]
    evidence = tuple(dict.fromkeys(told))
    whys = tuple(
        why if why.evidence is None else replace(why, evidence=evidence.index(told[why.evidence]))
        for why in finding.whys
    )
    return replace(finding, evidence=evidence, whys=whys)


def telling(diagnosis: Diagnosis, symptoms: Symptoms) -> tuple[NovelLine, ...]:
    """The lines that a person should read: those of failures that nothing explains, in turn with
    those that are new in the logs; then what was asked in vain.
    """
    failures = [line for finding in diagnosis.findings if (line := _line(finding)) is not None]
    turns = itertools.chain.from_iterable(itertools.zip_longest(failures, diagnosis.novel))
    return together([line for line in turns if line is not None], _in_vain(symptoms))


def together(*given: Iterable[NovelLine]) -> tuple[NovelLine, ...]:
    """The first ten of all, each once."""
    found: dict[tuple[str, str], NovelLine] = {}
    for line in itertools.chain.from_iterable(given):
        found.setdefault((line.quote.source, line.quote.quote.strip()), line)
    return tuple(found.values())[:_MOST]


def rare(captures: Sequence[Capture]) -> tuple[NovelLine, ...]:
    """Of logs in which nothing is called bad, what only their later half says, and seldom."""
    found: list[tuple[RankedTemplate, str]] = []
    for capture in captures:
        half = len(capture.pieces) // 2
        if half < _FEWEST:
            continue
        before = learned([replace(capture, pieces=capture.pieces[:half])])
        window = Window(capture.service, before)
        for event in assemble(replace(capture, pieces=capture.pieces[half:]).entries()):
            window.add(event)
        novel = (Novelty.NOVEL, Novelty.NOVEL_SEVERE)
        ranked = (each for each in window.ranked() if each.novelty in novel)
        found.extend(
            (each, capture.source)
            for each in ranked
            if each.count <= _SELDOM
            and not is_called_mild(each.first.severity, each.first.lines[0].text)
        )
    found.sort(key=lambda pair: rank_key(pair[0]))
    return tuple(itertools.starmap(_rare_line, found[:_FEW]))


def _rare_line(ranked: RankedTemplate, source: str) -> NovelLine:
    line = ranked.first.lines[0]
    quote = cut(Quote("log", f"{source}#{line.number}", line.text))
    return NovelLine(ranked.template, ranked.count, quote, ranked.service)


def _line(finding: Finding) -> NovelLine | None:
    if finding.signature is not None or not finding.evidence:
        return None
    count = max(1, len(finding.cases))
    return NovelLine(finding.fingerprint, count, finding.evidence[0], finding.service or "tests")


def _in_vain(symptoms: Symptoms) -> Iterator[NovelLine]:
    """Requests that failed for good, alike ones as one."""
    counted: Counter[str] = Counter()
    first: dict[str, tuple[Quote, str]] = {}
    for log in symptoms.requests:
        for number, request in enumerate(log.requests, log.first):
            if (request.status or 0) >= 500:
                text = f"{request.method} {request.path} {request.status}"
                counted[text] += 1
                quote = Quote("request", f"{log.source}#{number}", text)
                first.setdefault(text, (quote, request.service or log.service))
    for text, count in counted.most_common(_MOST):
        quote, service = first[text]
        yield NovelLine(text, count, quote, service)


def still_open(
    diagnosis: Diagnosis, lines: Sequence[NovelLine], command: str | None
) -> Iterator[str]:
    """What is not known, with the command that would find out."""
    for text in diagnosis.unknown:
        if not text.startswith(_NO_GREEN):
            yield text
        elif command is not None and (lines or diagnosis.findings):
            yield f"{_NO_GREEN}there is nothing to compare with; with a good time: {command}"
