"""Which remedy a failed cycle asks for: the loop file's rules first, then what is known. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from loopctl.journal.verdicts import verdict_of
from loopctl.journal.worklog import CycleRecord
from loopctl.model.evidence import SuiteOutcome
from loopctl.model.finding import FaultKind, Finding
from loopctl.model.plan import RemedyRule
from loopctl.triage.acting import OWN_ACTIONS
from loopctl.triage.loading import Catalogue

Action = Literal["rebuild", "retry", "rollback", "run", "raise-memory", "wait", "person"]

SIGNATURE_PER_DAY = 12
"""How often in 24 hours a known cause may be acted upon, over all runs."""

_NOT_OURS = frozenset({FaultKind.DEPENDENCY_DOWN, FaultKind.CANNOT_REACH})
"""What no rebuild, retry or rollback mends: the service is not at fault."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A remedy to be done or proposed. `rule` is what asked for it: a place in the file, or an id.

    `by_itself`: loopctl may do it without a person, where the mode allows that; `per_day`: so many
    times in 24 hours, None: as the loop allows for all. `cause` are the fingerprints of what it is
    to mend, `verify` names what shows that it did. `pause_s` is waited before it, `branch`: the
    command is run in a work tree of its own. `held_back` is why it is not done by itself after all.
    """

    action: Action
    detail: str
    rule: str = ""
    limit: int = 1
    command: tuple[str, ...] = ()
    timeout_s: float = 0.0
    service: str | None = None
    by_itself: bool = False
    cause: tuple[str, ...] = ()
    verify: str = ""
    per_day: int | None = None
    pause_s: float = 0.0
    branch: bool = False
    held_back: str = ""


@dataclass(frozen=True, slots=True)
class NotRebuilt:
    """The services whose images were built elsewhere; `every`: no other is deployed."""

    services: frozenset[str] = frozenset()
    every: bool = False

    def instead(self, choice: Choice) -> Choice:
        """A person, in place of a rebuild that would make nothing new; else the same choice."""
        names = {choice.service} if choice.service in self.services else self.services
        if choice.action != "rebuild" or not (choice.service in self.services or self.every):
            return choice
        detail = (
            f"the image of {', '.join(sorted(filter(None, names)))} was built elsewhere and cannot "
            "be rebuilt here: build it there from this commit, push it, and name its digest in "
            "`image`"
        )
        return Choice("person", detail, choice.rule, service=choice.service)


def choose(
    cycle: CycleRecord,
    rules: Sequence[RemedyRule],
    catalogue: Callable[[], Catalogue],
    begun: Callable[[str], int],
    not_rebuilt: NotRebuilt | None = None,
    forbids: Callable[[Choice], str | None] = lambda _: None,
) -> Choice | None:
    """The first remedy that fits and has not been done as often as it may be; None: none is known.

    `begun` tells how often a rule was begun in this run, `forbids` why one is not to be done by
    itself. Where nothing else is left, what was forbidden is asked of a person, else that person is
    told what was tried.
    """
    spent: list[Choice] = []
    forbidden: list[tuple[Choice, str]] = []
    for fitting in _fitting(cycle, rules, catalogue):
        choice = fitting if not_rebuilt is None else not_rebuilt.instead(fitting)
        if not choice.by_itself:
            # What a rule asked for before it, and may not be done, is a person's to know first.
            return _asked_of_a_person(*forbidden[0]) if forbidden else choice
        if begun(choice.rule) >= choice.limit:
            spent.append(choice)
        elif (why := forbids(choice)) is not None:
            forbidden.append((choice, why))
        else:
            return choice
    if forbidden:
        return _asked_of_a_person(*forbidden[0])
    if not spent:
        return None
    done = ", ".join(f"{one.action} {_times(one.limit)} ({one.rule})" for one in spent)
    detail = f"nothing is left to try within the limits: {done}"
    return Choice("person", detail, spent[0].rule, service=spent[0].service)


def _asked_of_a_person(choice: Choice, why: str) -> Choice:
    return replace(choice, held_back=why, by_itself=False)


def _times(limit: int) -> str:
    return "once" if limit == 1 else f"{limit} times"


def chosen_before(
    cycle: CycleRecord,
    rules: Sequence[RemedyRule],
    catalogue: Callable[[], Catalogue],
    rule: str,
) -> Choice | None:
    """The remedy that `rule` asked for, which a process was about when it was killed."""
    return next((c for c in _fitting(cycle, rules, catalogue) if c.rule == rule), None)


def _fitting(
    cycle: CycleRecord, rules: Sequence[RemedyRule], catalogue: Callable[[], Catalogue]
) -> Iterator[Choice]:
    barred = _barred(cycle)
    for number, rule in enumerate(rules):
        if _fits(rule.when, cycle) and not (barred and rule.do in OWN_ACTIONS):
            yield _by_rule(f"remediate.rules[{number}]", rule, cycle, catalogue)
    for finding in _causes(cycle):
        if finding.remedy is None:
            continue
        if barred and finding.remedy.action in OWN_ACTIONS:
            continue
        yield _by_signature(finding, catalogue)


def _causes(cycle: CycleRecord) -> Iterator[Finding]:
    """What stands for itself: what mends a cause mends what hangs under it."""
    return (finding for finding in cycle.findings if finding.under is None)


def _barred(cycle: CycleRecord) -> bool:
    """Whether a dependency is down or unreachable: what was deployed is not at fault."""
    return any(fault.kind in _NOT_OURS for stage in cycle.stages for fault in stage.faults)


def _by_rule(
    name: str, rule: RemedyRule, cycle: CycleRecord, catalogue: Callable[[], Catalogue]
) -> Choice:
    why = ", ".join(f"{key} {value}" for key, value in rule.when.items()) or "every failure"
    signature = rule.when.get("signature")
    meant = [f for f in cycle.findings if signature in (None, f.signature)]
    named = next((f for f in cycle.findings if f.signature == signature), None)
    known = catalogue().find(signature) if signature is not None else None
    same = known is not None and known.remedy.action == rule.do
    return Choice(
        rule.do,
        f"the loop file asks for it ({why})",
        name,
        rule.limit,
        rule.command,
        rule.timeout_s,
        named.service if named else rule.when.get("service"),
        by_itself=True,
        cause=tuple(finding.fingerprint for finding in meant),
        verify=(known.remedy.verify or "") if known and same else _VERIFIES.get(rule.do, ""),
        per_day=rule.per_day,
        branch=rule.branch,
    )


_VERIFIES: Mapping[str, str] = {"rebuild": "image_tree", "rollback": "health"}
"""What shows that a remedy has mended, where no signature says it."""


def _by_signature(finding: Finding, catalogue: Callable[[], Catalogue]) -> Choice:
    assert finding.remedy is not None
    known = catalogue().find(finding.signature) if finding.signature else None
    sure = (
        known is not None
        and known.remedy.mode == "auto"
        and finding.confidence >= known.confidence.act_at
        # A command stands in a loop file, never in a signature.
        and finding.remedy.action in OWN_ACTIONS
    )
    return Choice(
        finding.remedy.action,
        finding.remedy.detail or finding.title,
        finding.signature or "",
        known.remedy.limit if known else 0,
        service=finding.service,
        by_itself=sure,
        cause=(finding.fingerprint,),
        verify=(known.remedy.verify or "") if known else "",
        per_day=SIGNATURE_PER_DAY,
        pause_s=known.remedy.pause if known else 0.0,
    )


def _fits(when: Mapping[str, str], cycle: CycleRecord) -> bool:
    seen = _seen(cycle)
    return all(value in seen[key] for key, value in when.items())


def _seen(cycle: CycleRecord) -> Mapping[str, frozenset[str]]:
    """What a rule can wait for, by its key."""
    failed = cycle.failed_stage
    faults = failed.faults if failed else ()
    causes = tuple(_causes(cycle))
    services = {f.service for f in causes} | {fault.service for fault in faults}
    return {
        "signature": frozenset(f.signature for f in causes if f.signature),
        "stage": frozenset({failed.stage.value} if failed else ()),
        "verdict": frozenset({verdict_of(cycle).value}),
        "suite": frozenset(
            suite.facts.id
            for suite in cycle.suites.values()
            if suite.judgement is not None and suite.judgement.outcome in _NOT_PASSED
        ),
        "service": frozenset(name for name in services if name),
    }


_NOT_PASSED = (SuiteOutcome.FAILED, SuiteOutcome.UNPROVEN)
