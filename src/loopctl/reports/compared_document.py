"""`diff --json`, schema 1: keys are added, never removed. docs/looking-back.md explains each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from loopctl.ports.source import CommitLine
from loopctl.reports.compared import (
    Comparison,
    CriterionChange,
    DurationChange,
    SuiteChange,
)

SCHEMA = 1

Document = dict[str, object]


def compared_document(compared: Comparison) -> Document:
    """The whole comparison. Parts that are equal are empty lists, or null."""
    return {
        "schema": SCHEMA,
        "a": asdict(compared.a),
        "b": asdict(compared.b),
        "differs": compared.differs,
        "counting": list(compared.counting),
        "ended": [asdict(each) for each in compared.ended],
        "serving": [asdict(each) for each in compared.serving],
        "cases": asdict(compared.cases),
        "findings": asdict(compared.findings),
        "commits": {
            "only_a": _commits(compared.commits.only_a),
            "only_b": _commits(compared.commits.only_b),
            "unknown": compared.commits.unknown,
        },
        "made_of": [asdict(each) for each in compared.made_of],
        "configuration": asdict(compared.configuration),
        "suites": [_suite(each) for each in compared.suites],
        "criteria": [_criterion(each) for each in compared.criteria],
        "durations": [_duration(each) for each in compared.durations],
        "logs": asdict(compared.logs),
    }


def _commits(commits: Iterable[CommitLine]) -> list[Document]:
    return [{"commit": c.commit, "subject": c.subject, "files": list(c.files)} for c in commits]


def _suite(suite: SuiteChange) -> Document:
    before, after = (
        None if outcome is None else {"outcome": outcome, "cases": cases, "grade": grade}
        for outcome, cases, grade in zip(suite.outcome, suite.cases, suite.grade, strict=True)
    )
    return {"id": suite.suite, "before": before, "after": after, "counts": suite.counts}


def _criterion(criterion: CriterionChange) -> Document:
    before, after = (
        None if limit is None else {"limit": limit, "value": value, "met": met}
        for limit, value, met in zip(criterion.limit, criterion.value, criterion.met, strict=True)
    )
    return {
        "metric": criterion.metric,
        "before": before,
        "after": after,
        "noise": criterion.noise,
        "counts": criterion.counts,
    }


def _duration(duration: DurationChange) -> Document:
    before, after = duration.before_s, duration.after_s
    moved = None if before is None or after is None else round(after - before, 3)
    return {**asdict(duration), "difference_s": moved}
