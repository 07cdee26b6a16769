"""`result.json`, schema 1 of the contract: what scripts read. Keys are added, never removed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from loopctl.journal.mending import mendings
from loopctl.journal.wording import iso
from loopctl.journal.worklog import CycleRecord, ServiceRecord, StageRecord, Worklog
from loopctl.model.artifact import ContentProof
from loopctl.model.events import Left, RemedyDecided
from loopctl.model.finding import Finding
from loopctl.model.state import OutcomeKind, State
from loopctl.reports.facts import serving_percent, source_of
from loopctl.reports.finding_document import finding_document
from loopctl.reports.result_suites import Document, criterion_document, rounded, suite_document

SCHEMA = 1


def result_document(worklog: Worklog) -> Document:
    """The whole document. A run that has not ended has null for verdict, code, reason and end."""
    run, ended = worklog.run, worklog.ended
    source = source_of(worklog.last)
    changes = worklog.changes()
    return {
        "schema": SCHEMA,
        "run_id": run.run_id,
        "loop": run.loop,
        "environment": run.environment,
        "verdict": ended.verdict.value if ended else None,
        "exit_code": ended.exit_code if ended else None,
        "partial": run.partial is not None,
        "stop_reason": ended.stop_reason.value if ended else None,
        "started_at": iso(worklog.started_at),
        "ended_at": iso(worklog.ended_at) if worklog.ended_at else None,
        "duration_s": rounded(ended.duration_s if ended else None),
        "loopctl": run.loopctl,
        "resumed": len(worklog.resumed),
        "source": {"commit": source.commit, "dirty": source.dirty, "tree": source.tree},
        "cycles": [_cycle(worklog, index) for index in range(len(worklog.cycles))],
        "changes": {
            "fixed": list(changes.fixed),
            "new": list(changes.new),
            "persisting": list(changes.persisting),
        },
        "left": [_left(left) for left in (ended.left if ended else ())],
    }


def cycle_document(worklog: Worklog, number: int) -> Document:
    """One cycle's part, and which run it is of: what a remedy's command is given.

    Raises `ValueError` when the run has no cycle of that number.
    """
    run = worklog.run
    index = [cycle.number for cycle in worklog.cycles].index(number)
    return {
        "schema": SCHEMA,
        "run_id": run.run_id,
        "loop": run.loop,
        "environment": run.environment,
        **_cycle(worklog, index),
    }


def _cycle(worklog: Worklog, index: int) -> Document:
    cycle = worklog.cycles[index]
    known = {f.fingerprint for f in worklog.cycles[index - 1].findings} if index else set()
    last = index == len(worklog.cycles) - 1
    return {
        "number": cycle.number,
        "stages": list(_stages(cycle, partial=worklog.run.partial is not None)),
        "services": [_service(s, worklog, last=last) for s in cycle.services.values()],
        "suites": [suite_document(suite) for suite in cycle.suites.values()],
        "criteria": [criterion_document(judged) for judged in cycle.criteria],
        "findings": [
            finding_document(
                f,
                "persisting" if f.fingerprint in known else "new",
                _finding_remedy(f, cycle.remedy),
            )
            for f in cycle.findings
        ],
        "remedy": _remedy(cycle.remedy, worklog, cycle.number) if cycle.remedy else None,
    }


def _stages(cycle: CycleRecord, *, partial: bool) -> Iterator[Document]:
    for stage in cycle.stages:
        yield {
            "name": stage.stage.value,
            "outcome": stage_outcome(stage),
            "started_at": iso(stage.started_at),
            "duration_s": rounded(stage.duration_s),
            "detail": stage.detail,
        }
    ran = {stage.stage for stage in cycle.stages}
    if partial and State.VERIFY in ran:
        for state in (State.PROMOTE, State.CONFIRM):
            yield {
                "name": state.value,
                "outcome": "skipped",
                "started_at": None,
                "duration_s": None,
                "detail": "a partial run never promotes",
            }


def stage_outcome(stage: StageRecord) -> str:
    """A stage's outcome in the contract's words; one that never ended was interrupted."""
    match stage.kind:
        case None | OutcomeKind.INTERRUPTED:
            return "interrupted"
        case OutcomeKind.FAILED | OutcomeKind.UNPROVEN:
            return "failed"
        case OutcomeKind.ERRORED | OutcomeKind.MOVED:
            return "errored"
        case (
            OutcomeKind.OK
            | OutcomeKind.MORE_WAVES
            | OutcomeKind.PARTIAL
            | OutcomeKind.GO_BUILD
            | OutcomeKind.GO_DEPLOY
            | OutcomeKind.GO_HEALTH
            | OutcomeKind.GO_VERIFY
        ):
            return "ok"
        case _:
            assert_never(stage.kind)


def _service(service: ServiceRecord, worklog: Worklog, *, last: bool) -> Document:
    proof, chain = service.proof, service.chain
    state = service.routed or service.before
    healthy_at = service.health.url if service.health else None
    read = service.source.tree if service.source else None
    return {
        "name": service.name,
        "image": service.artifact.digest if service.artifact else None,
        "image_id": service.artifact.image_id if service.artifact else None,
        "revision": service.revision.name if service.revision else None,
        "url": state.url if state else healthy_at,
        "serving_percent": serving_percent(service, worklog, last=last),
        "provenance": {
            "source_tree": (proof.source_tree or None) if proof else read,
            "image_tree": (proof.image_tree or None) if proof else None,
            "verified": proof is not None and proof.holds,
            "rechecked_after_tests": chain is not None and chain.broken is None,
            "not_covered": list(proof.not_covered) if proof else [],
            "compared": proof.compared if proof else None,
            "altered": list(proof.altered) if proof else [],
            "built_elsewhere": _elsewhere(proof),
        },
    }


def _elsewhere(proof: ContentProof | None) -> Document | None:
    """Of an image that no run has built: how far it was looked at, and what it says of itself."""
    if proof is None or (elsewhere := proof.elsewhere) is None:
        return None
    return {
        "digest": elsewhere.digest,
        "looked_at": elsewhere.looked_at,
        "revision": elsewhere.revision,
        "head": elsewhere.head,
    }


def _finding_remedy(finding: Finding, decided: RemedyDecided | None) -> Document | None:
    """What the signature suggests; mode and result are those of the cycle's own decision on it."""
    if finding.remedy is None:
        return None
    mine = decided is not None and decided.action == finding.remedy.action
    return {
        "action": finding.remedy.action,
        "mode": decided.mode if decided else None,
        "result": decided.result if decided and mine else "none",
    }


def _remedy(remedy: RemedyDecided, worklog: Worklog, cycle: int) -> Document:
    shown = [each.shown for each in mendings(worklog.cycles) if each.cycle == cycle]
    mended = shown[0] if shown else None
    return {
        "action": remedy.action,
        "detail": remedy.detail,
        "changed_source": remedy.changed_source,
        "result": remedy.result,
        "mended": mended.mended if mended else None,
        "seen": mended.seen if mended else "",
    }


def _left(left: Left) -> Document:
    return {
        "service": left.service,
        "traffic": dict(left.traffic),
        "verified": left.verified,
        "changed_by_run": left.changed_by_run,
        "dead": left.dead,
    }
