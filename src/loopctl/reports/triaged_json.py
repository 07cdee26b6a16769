"""What `triage --json` prints: the contract's document, of an environment or of an export."""

from __future__ import annotations

from loopctl.journal.wording import iso
from loopctl.model.finding import Change, Fault, Finding
from loopctl.reports.finding_document import finding_document
from loopctl.reports.result_suites import Document
from loopctl.triage.diagnose import NovelLine
from loopctl.triage.triaged import Captured, ServiceLook, Triaged, UnderWay

SCHEMA = 1


def triaged_document(triaged: Triaged) -> Document:
    """The whole document. An empty `findings` beside filled `novel` means: no known cause."""
    return {
        "schema": SCHEMA,
        "loop": triaged.loop,
        "environment": triaged.environment,
        "at": iso(triaged.at),
        "exit_code": triaged.exit_code,
        "services": [_service(look) for look in triaged.services],
        "findings": [_finding(f) for f in triaged.findings if f.signature is not None],
        "novel": [_novel(line) for line in triaged.novel],
        "unknown": list(triaged.unknown),
        "next": list(triaged.next),
        "ranked_by": triaged.ranked_by,
        "green_run": triaged.green_run,
        "changes": [_change(change) for change in triaged.changes],
        "captured": [_captured(capture) for capture in triaged.captured],
        "under_way": _under_way(triaged.under_way),
        "owner": triaged.owner,
        "runbook": triaged.runbook,
    }


def _under_way(run: UnderWay | None) -> Document | None:
    if run is None:
        return None
    return {"run_id": run.run_id, "holder": run.holder, "since": iso(run.since)}


def _finding(finding: Finding) -> Document:
    """Nothing is done here: what is proposed is a person's to do."""
    remedy = finding.remedy
    proposed: Document | None = None
    if remedy is not None:
        proposed = {
            "action": remedy.action,
            "mode": None,
            "result": "none",
            "detail": remedy.detail,
        }
    return finding_document(finding, "persisting" if finding.seen else "new", proposed)


def _novel(line: NovelLine) -> Document:
    return {
        "template": line.template,
        "count": line.count,
        "quote": line.quote.quote,
        "service": line.service,
        "source": line.quote.source,
    }


def _service(look: ServiceLook) -> Document:
    return {
        "name": look.name,
        "state": look.state,
        "traffic": dict(look.traffic),
        "verified": {name: name in look.verified for name in look.traffic},
        "since": iso(look.since) if look.since else None,
        "url": look.url,
        "latency_s": None if look.latency_s is None else round(look.latency_s, 3),
        "faults": [_fault(fault) for fault in look.faults],
        "changes": [_change(change) for change in look.changes],
    }


def _fault(fault: Fault) -> Document:
    return {
        "kind": fault.kind.value,
        "summary": fault.summary,
        "value": fault.value,
        "hint": fault.hint,
        "mend": fault.mend,
    }


def _change(change: Change) -> Document:
    return {
        "kind": change.kind,
        "what": change.what,
        "text": change.text,
        "service": change.service,
    }


def _captured(capture: Captured) -> Document:
    return {
        "service": capture.service,
        "source": capture.source,
        "lines": capture.lines,
        "gap": capture.gap,
    }
