"""Facts that several reports compute from a worklog, so that they agree to the digit."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from loopctl.journal.worklog import (
    CycleRecord,
    ServiceRecord,
    StageRecord,
    SuiteRecord,
    Worklog,
)
from loopctl.model.evidence import CaseStatus, Grade, GradedCase, SuiteOutcome
from loopctl.model.finding import Finding, Why


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """The source of a run: one tree hash for all services, None where nothing was read."""

    commit: str | None
    dirty: bool
    tree: str | None


def source_of(cycle: CycleRecord | None) -> SourceFacts:
    """The source the cycle was made from.

    With one service the tree is that service's; with several a hash over their names and trees.
    `commit` is None also when the services were read at different commits.
    """
    services = cycle.services.values() if cycle else ()
    read = {service.name: service.source for service in services if service.source}
    if not read:
        return SourceFacts(None, dirty=False, tree=None)
    commits = {source.commit for source in read.values()}
    return SourceFacts(
        commit=commits.pop() if len(commits) == 1 else None,
        dirty=any(source.dirty for source in read.values()),
        tree=one_tree({name: source.tree for name, source in read.items()}),
    )


def one_tree(trees: Mapping[str, str]) -> str:
    """The hash that stands for these services' trees; a single tree stands for itself."""
    if len(trees) == 1:
        return next(iter(trees.values()))
    text = "\n".join(f"{name} {tree}" for name, tree in sorted(trees.items()))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def stage_name(stage: StageRecord, cycle: CycleRecord) -> str:
    """`deploy`; `deploy, wave 2` where the cycle came to more than one wave."""
    several = any(each.wave for each in cycle.stages)
    wave = f", wave {stage.wave + 1}" if several and stage.wave is not None else ""
    return f"{stage.stage.value}{wave}"


def outcome_of(suite: SuiteRecord) -> SuiteOutcome:
    """How the suite counts; one that was never judged was not run to its end."""
    return suite.judgement.outcome if suite.judgement else SuiteOutcome.NOT_RUN


@dataclass(frozen=True, slots=True)
class ControlFacts:
    """What the control run of one suite has shown: how many passes need their target, which pass
    without it, and of which nothing could be told.
    """

    suite: str
    borne_out: int
    contradicted: tuple[GradedCase, ...]
    unavailable: tuple[GradedCase, ...]


def control_runs(cycle: CycleRecord) -> tuple[ControlFacts, ...]:
    """Of every suite that had one."""
    found = []
    for suite in cycle.suites.values():
        by_kind: dict[str, list[GradedCase]] = {}
        for case in suite.cases:
            if case.control is not None:
                by_kind.setdefault(case.control.kind, []).append(case)
        if by_kind:
            facts = ControlFacts(
                suite.facts.id,
                len(by_kind.get("borne-out", ())),
                tuple(by_kind.get("contradicted", ())),
                tuple(by_kind.get("unavailable", ())),
            )
            found.append(facts)
    return tuple(found)


def counts_of(suite: SuiteRecord) -> Mapping[CaseStatus, int]:
    """Its cases by status, every status present; one lost case may stand for several."""
    found = Counter(case.status for case in suite.cases)
    if suite.judgement is not None:
        found[CaseStatus.LOST] = suite.judgement.counts.get(CaseStatus.LOST, 0)
    return {status: found[status] for status in CaseStatus}


def collected_of(suite: SuiteRecord) -> int:
    """How many tests the suite had, by the best that is known of it."""
    if suite.judgement is not None:
        return suite.judgement.collected
    return len(suite.cases) if suite.collected is None else suite.collected


def grades_of(cases: Iterable[GradedCase]) -> Mapping[Grade, int]:
    """The grades of the passed cases, the best first; a pass nobody graded is unproven."""
    passed = [case for case in cases if case.status is CaseStatus.PASSED]
    found = Counter(case.grade or Grade.UNPROVEN for case in passed)
    return {grade: found[grade] for grade in reversed(Grade) if found[grade]}


def lowest(grades: Iterable[Grade]) -> Grade | None:
    """The least grade, None without any."""
    return min(grades, key=lambda grade: grade.rank, default=None)


WhyStatus = Literal["observed", "inferred", "hypothesis"]


def why_status(why: Why, finding: Finding) -> WhyStatus:
    """An answer without captured evidence is a hypothesis, whatever it was called."""
    captured = why.evidence is not None and 0 <= why.evidence < len(finding.evidence)
    return why.status if captured else "hypothesis"


def by_priority(suites: Iterable[SuiteRecord]) -> tuple[SuiteRecord, ...]:
    """P0 first; within one priority in the loop's own order."""
    return tuple(sorted(suites, key=lambda suite: suite.facts.priority))


def serving_percent(service: ServiceRecord, worklog: Worklog, *, last: bool) -> int:
    """The share that the cycle's own revision had of the traffic, as last read.

    What serves when the run is over speaks for the last cycle.
    """
    if service.revision is None:
        return 0
    ended = worklog.ended
    if last and ended is not None:
        for left in ended.left:
            if left.service == service.name:
                return left.traffic.get(service.revision.name, 0)
    return service.routed.traffic.get(service.revision.name, 0) if service.routed else 0
