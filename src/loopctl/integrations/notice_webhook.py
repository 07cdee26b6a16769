"""The document that a plain webhook is given, schema 1; docs/notices.md describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Final

from loopctl.inert import one_line
from loopctl.integrations.notice_reason import Reason
from loopctl.integrations.notice_text import Message
from loopctl.journal.wording import iso
from loopctl.ports.announcer import AnnouncedCause, Announcement

_MOST_CAUSES: Final = 20
_LONGEST: Final = 1000


def webhook_document(run: Announcement, reason: Reason, message: Message) -> Mapping[str, object]:
    """The body of the request. Keys are added in later versions, never removed."""
    before = run.before
    return {
        "schema": 1,
        "event": "run.ended",
        "reason": reason.value,
        "title": _text(message.title),
        "run_id": _text(run.run_id),
        "loop": _text(run.loop),
        "environment": _text(run.environment),
        "protected": run.protected,
        "partial": run.partial,
        "verdict": run.verdict.value,
        "exit_code": run.exit_code,
        "started_at": iso(run.started_at),
        "ended_at": iso(run.ended_at),
        "duration_s": round(run.duration_s, 3),
        "commit": _text(run.commit),
        "dirty": run.dirty,
        "owner": _text(run.owner),
        "runbook": _text(run.runbook),
        "folder": _text(run.folder),
        "lines": [{"label": label, "text": _text(text)} for label, text in run.lines],
        "causes": [_cause(cause) for cause in run.causes[:_MOST_CAUSES]],
        "before": {"run_id": _text(before.run_id), "verdict": _text(before.verdict)}
        if before
        else None,
        "job": asdict(run.job) if run.job else None,
    }


def _cause(cause: AnnouncedCause) -> Mapping[str, object]:
    return {
        "fingerprint": _text(cause.fingerprint),
        "title": _text(cause.title),
        "signature": _text(cause.signature),
        "service": _text(cause.service),
        "confidence": cause.confidence,
        "quote": _text(cause.quote),
        "source": _text(cause.source),
        "suggestion": _text(cause.suggestion),
        "cases": cause.cases,
    }


def _text(text: str | None) -> str | None:
    return None if text is None else one_line(text, _LONGEST)
