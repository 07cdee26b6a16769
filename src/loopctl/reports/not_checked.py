"""What this run did not show: said by the stages, and computed from what is missing."""

from __future__ import annotations

from collections.abc import Iterator

from loopctl.journal.quarantine import entries
from loopctl.journal.wording import count
from loopctl.journal.worklog import CycleRecord, ServiceRecord, SuiteRecord, Worklog
from loopctl.model.events import THE_CAUSE, NotChecked, ServiceFacts
from loopctl.model.evidence import CaseStatus, Grade, SuiteOutcome
from loopctl.model.state import State
from loopctl.reports.facts import by_priority, collected_of, counts_of, outcome_of


def not_checked(worklog: Worklog) -> tuple[NotChecked, ...]:
    """Everything that a reader must not take for checked; texts are not yet inert."""
    cycle = worklog.last
    computed = list(_run(worklog))
    if cycle is None:
        computed.append(NotChecked("everything", "no cycle began"))
    else:
        for facts in worklog.run.services:
            computed.extend(_service(facts, cycle.services[facts.name]))
        for suite in by_priority(cycle.suites.values()):
            computed.extend(_suite(suite))
        computed.extend(_chain(cycle))
        computed.extend(_unmet(cycle))
    return tuple(dict.fromkeys((*worklog.not_checked, *computed)))


def open_questions(worklog: Worklog) -> tuple[NotChecked, ...]:
    """What the diagnosis of the run leaves open."""
    return tuple(each for each in not_checked(worklog) if each.what == THE_CAUSE)


def _run(worklog: Worklog) -> Iterator[NotChecked]:
    if worklog.run.partial is not None:
        yield NotChecked("the public address after promotion", f"partial: {worklog.run.partial}")
    if worklog.unrecognised:
        kinds = ", ".join(worklog.unrecognised)
        yield NotChecked(f"events of the journal ({kinds})", "this version does not know them")
    if worklog.ended is None:
        yield NotChecked("how the run ended", "its journal has no end: it goes on or was killed")


def _service(facts: ServiceFacts, service: ServiceRecord) -> Iterator[NotChecked]:
    if not facts.deployed:
        yield NotChecked(f"what {facts.name} is made of", "it is only gated on, not deployed")
        return
    if service.proof is None:
        why = "the loop file does not ask for it" if facts.provenance == "none" else "not reached"
        yield NotChecked(f"content of {facts.name}'s image against its source", why)
    for what in service.proof.not_covered if service.proof else ():
        yield NotChecked(f"content of {facts.name}", what)
    if service.health is None:
        yield NotChecked(f"health of {facts.name}", "the run did not get there")
    if service.logs is not None and not service.logs.complete:
        yield NotChecked(f"logs of {facts.name}", service.logs.gap or "they are not complete")


def _suite(suite: SuiteRecord) -> Iterator[NotChecked]:
    name = f"suite {suite.facts.id}"
    if outcome_of(suite) is SuiteOutcome.NOT_RUN:
        reasons = suite.judgement.reasons if suite.judgement else ()
        yield NotChecked(name, "; ".join(reasons) or "the run ended before it")
        return
    ran = {case.id for case in suite.cases}
    for entry in entries(suite).values():
        if entry.case not in ran:
            yield NotChecked(f"case {entry.case} of {name}", f"{entry}; no case of that name ran")
    skipped = counts_of(suite)[CaseStatus.SKIPPED]
    passed = [case for case in suite.cases if case.status is CaseStatus.PASSED]
    without = sum(1 for case in passed if case.grade is not Grade.PROVEN)
    if skipped:
        yield NotChecked(f"{count(skipped, 'case')} of {name}", "skipped, or expected to fail")
    missing = collected_of(suite) - len(suite.cases)
    if missing > 0:
        yield NotChecked(f"{count(missing, 'case')} of {name}", "collected, never reported")
    if without:
        why = "no receipt from the target itself: not proven"
        yield NotChecked(f"{without} of {count(len(passed), 'pass', 'passes')} of {name}", why)


def _unmet(cycle: CycleRecord) -> Iterator[NotChecked]:
    """Revisions that no grade rests on.

    A service reaches another at its stable address, and while the suites run that address leads
    to what served before: a suite that meets one candidate says nothing of those behind it.
    """
    receipts = [
        case.reason
        for suite in cycle.suites.values()
        for case in suite.cases
        if case.grade is Grade.PROVEN and case.reason
    ]
    for service in cycle.services.values():
        new = service.revision
        if receipts and new and not any(new.name in reason for reason in receipts):
            why = "no pass rests on a receipt from it"
            behind = f"; who called {service.name} by its stable address met what served before"
            yield NotChecked(f"what {new.name} does", why if service.first else why + behind)


def _chain(cycle: CycleRecord) -> Iterator[NotChecked]:
    tested = any(stage.stage is State.VERIFY for stage in cycle.stages)
    for service in cycle.services.values():
        if tested and service.revision is not None and service.chain is None:
            yield NotChecked(
                f"whether {service.name} was still the tested revision after the tests",
                "the chain was not read again",
            )
