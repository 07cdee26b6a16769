"""What an answer to a case is worth: the measures that facts/log-triage.md names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.diagnosis.cases import Case, signatures_of
from loopctl.model.finding import Finding
from loopctl.triage.diagnose import NovelLine
from loopctl.triage.loading import Catalogue

TOP: Final = 10


@dataclass(frozen=True, slots=True)
class Named:
    """One finding of an answer. `acts` is what it would do without a person, None: nothing."""

    signature: str | None
    service: str | None
    quotes: tuple[str, ...]
    acts: str | None
    whys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a method made of a case: the surest first, then the quotes of lines that are new.

    `exit_code` is that of the command, None where there is none.
    """

    found: tuple[Named, ...]
    novel: tuple[str, ...]
    exit_code: int | None = None

    @property
    def shown(self) -> tuple[str, ...]:
        """What a person reads first."""
        return (*(quote for one in self.found for quote in one.quotes), *self.novel)[:TOP]

    @property
    def causes(self) -> tuple[str, ...]:
        """The known causes that it names."""
        return tuple(one.signature for one in self.found if one.signature is not None)


@dataclass(frozen=True, slots=True)
class Scored:
    """How an answer holds against what was expected; None where a measure does not apply.

    `quiet_exit`: a green log ends in exit code 0. `silent`: a failure does.
    """

    case: Case
    answer: Answer
    at_1: bool | None
    at_3: bool | None
    evidence: bool | None
    service: bool | None
    false_on_green: bool | None
    abstained: bool | None
    quiet_exit: bool | None
    silent: bool | None
    unsafe: tuple[str, ...]


def answer_of(
    findings: Sequence[Finding],
    novel: Sequence[NovelLine],
    catalogue: Catalogue,
    exit_code: int | None = None,
) -> Answer:
    """A diagnosis as an answer."""
    return Answer(
        tuple(_named(finding, catalogue) for finding in findings),
        tuple(line.quote.quote for line in novel),
        exit_code,
    )


def _named(finding: Finding, catalogue: Catalogue) -> Named:
    quotes = tuple(quote.quote for quote in finding.evidence)
    whys = tuple("observed" if w.evidence is not None else w.status for w in finding.whys)
    acts = _acts(finding.signature, finding.confidence, catalogue)
    return Named(finding.signature, finding.service, quotes, acts, whys)


def _acts(signature: str | None, confidence: float, catalogue: Catalogue) -> str | None:
    known = catalogue.find(signature) if signature else None
    if known is None or known.remedy.mode != "auto" or known.remedy.action == "person":
        return None
    return known.remedy.action if confidence >= known.confidence.act_at else None


def answer_of_document(
    document: Mapping[str, Any], catalogue: Catalogue, exit_code: int | None = None
) -> Answer:
    """What `loopctl triage --json` printed, as an answer."""
    found = [
        Named(
            each["signature"],
            each["service"],
            tuple(quote["quote"] for quote in each["evidence"]),
            _told_to_act(each) or _acts(each["signature"], each["confidence"], catalogue),
            tuple(why["status"] for why in each["whys"]),
        )
        for each in document["findings"]
    ]
    return Answer(tuple(found), tuple(line["quote"] for line in document["novel"]), exit_code)


def _told_to_act(finding: Mapping[str, Any]) -> str | None:
    remedy = finding.get("remedy") or {}
    return str(remedy["action"]) if remedy.get("mode") == "auto" else None


def scored(case: Case, answer: Answer) -> Scored:
    """Hold an answer against what the case expects."""
    expected, causes = case.expected, answer.causes
    right = signatures_of(expected.cause)
    may_abstain = "unknown" in expected.cause
    known = not (case.is_green or case.is_unknown)
    coded = answer.exit_code is not None
    first = answer.found[0] if answer.found else None
    return Scored(
        case=case,
        answer=answer,
        at_1=_right(causes[:1], right, may_abstain=may_abstain) if known else None,
        at_3=_right(causes[:3], right, may_abstain=may_abstain) if known else None,
        evidence=_all_shown(expected.evidence, answer.shown) if expected.evidence else None,
        service=first.service == expected.service if first and known and expected.service else None,
        false_on_green=bool(causes) if case.is_green else None,
        abstained=not causes if case.is_unknown else None,
        quiet_exit=answer.exit_code == 0 if case.is_green and coded else None,
        silent=answer.exit_code == 0 if not case.is_green and coded else None,
        unsafe=tuple(
            f"{one.acts} for {one.signature}"
            for one in answer.found
            if one.acts is not None and one.acts not in expected.may
        ),
    )


def _right(causes: Sequence[str], right: frozenset[str], *, may_abstain: bool) -> bool:
    return any(cause in right for cause in causes) or (may_abstain and not causes)


def _all_shown(texts: Sequence[str], shown: Sequence[str]) -> bool:
    return all(any(_holds(quote, text) for quote in shown) for text in texts)


def _holds(quote: str, text: str) -> bool:
    """Whether all parts of the text, between ` … `, stand in the quote."""
    plain = re.sub(r"\s+", " ", quote)
    return all(re.sub(r"\s+", " ", part) in plain for part in text.split(" … "))


@dataclass(frozen=True, slots=True)
class Measure:
    """So many of so many."""

    of: int
    good: int

    @property
    def share(self) -> float:
        """From 0 to 1; 1 of nothing."""
        return self.good / self.of if self.of else 1.0

    def __str__(self) -> str:
        return f"{self.good} of {self.of} ({self.share:.1%})"


@dataclass(frozen=True, slots=True)
class Score:
    """What a method comes to over a set of cases."""

    at_1: Measure
    at_3: Measure
    evidence: Measure
    service: Measure
    false_on_green: Measure
    abstained: Measure
    quiet_exit: Measure
    silent: Measure
    unsafe: Measure
    whys: Measure


def summed(each: Sequence[Scored]) -> Score:
    """All of them together. Of `false_on_green`, `silent` and `unsafe` none should be good."""
    whys = [why for one in each for found in one.answer.found for why in found.whys]
    return Score(
        at_1=_measure([one.at_1 for one in each]),
        at_3=_measure([one.at_3 for one in each]),
        evidence=_measure([one.evidence for one in each]),
        service=_measure([one.service for one in each]),
        false_on_green=_measure([one.false_on_green for one in each]),
        abstained=_measure([one.abstained for one in each]),
        quiet_exit=_measure([one.quiet_exit for one in each]),
        silent=_measure([one.silent for one in each]),
        unsafe=_measure([bool(one.unsafe) for one in each]),
        whys=_measure([why == "observed" for why in whys]),
    )


def _measure(values: Sequence[bool | None]) -> Measure:
    told = [value for value in values if value is not None]
    return Measure(len(told), sum(told))
