"""A finding as JSON: `result.json` and `triage --json` write it alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from loopctl.journal.wording import iso
from loopctl.model.finding import Finding, Quote, Sightings, Why
from loopctl.reports.facts import why_status
from loopctl.reports.result_suites import Document


def finding_document(
    finding: Finding, status: Literal["new", "persisting"], remedy: Document | None
) -> Document:
    """The finding; `status` compares with before, `remedy` is what was decided on it."""
    return {
        "signature": finding.signature,
        "title": finding.title,
        "service": finding.service,
        "severity": finding.severity,
        "confidence": finding.confidence,
        "fingerprint": finding.fingerprint,
        "status": status,
        "evidence": [_quote(quote) for quote in finding.evidence],
        "whys": [_why(why, finding) for why in finding.whys],
        "remedy": remedy,
        "tests": list(finding.cases),
        "under": finding.under,
        "links": list(finding.links),
        "seen": _seen(finding.seen) if finding.seen else None,
    }


def _seen(seen: Sightings) -> Document:
    return {"runs": seen.runs, "first_run": seen.first_run, "since": iso(seen.since)}


def _quote(quote: Quote) -> Mapping[str, str]:
    return {"kind": quote.kind, "source": quote.source, "quote": quote.quote}


def _why(why: Why, finding: Finding) -> Document:
    return {
        "question": why.question,
        "answer": why.answer,
        "status": why_status(why, finding),
        "evidence": why.evidence,
    }
