"""What others are told of a run: the first screen, and its causes by their fingerprints."""

from __future__ import annotations

from pathlib import Path

from loopctl.journal.brief import brief
from loopctl.journal.causes import Cause, causes_of
from loopctl.journal.worklog import Worklog
from loopctl.model.ci_job import CiJob
from loopctl.ports.announcer import AnnouncedCause, Announcement, Before
from loopctl.reports.facts import source_of


def announcement_of(
    worklog: Worklog, folder: Path, before: Before | None, job: CiJob | None
) -> Announcement | None:
    """What there is to tell of a run; None while it has not ended."""
    run, ended, cycle = worklog.run, worklog.ended, worklog.last
    if ended is None or worklog.ended_at is None:
        return None
    source = source_of(cycle)
    return Announcement(
        run_id=run.run_id,
        loop=run.loop,
        environment=run.environment,
        verdict=ended.verdict,
        exit_code=ended.exit_code,
        started_at=worklog.started_at,
        ended_at=worklog.ended_at,
        duration_s=ended.duration_s,
        folder=str(folder),
        partial=run.partial is not None,
        protected=run.protected,
        commit=source.commit,
        dirty=source.dirty,
        owner=run.owner,
        runbook=run.runbook,
        lines=tuple((line.role.value, line.text) for line in brief(worklog, folder).lines),
        causes=tuple(_told(cause) for cause in causes_of(cycle.findings)) if cycle else (),
        before=before,
        job=job,
    )


def _told(cause: Cause) -> AnnouncedCause:
    finding = cause.finding
    shown = next((each for each in finding.evidence if each.kind == "log"), None)
    shown = shown or next(iter(finding.evidence), None)
    return AnnouncedCause(
        fingerprint=finding.fingerprint,
        title=finding.title,
        signature=finding.signature,
        service=finding.service,
        confidence=finding.confidence,
        quote=shown.quote if shown else None,
        source=shown.source if shown else None,
        suggestion=finding.remedy.detail or finding.remedy.action if finding.remedy else None,
        cases=len(cause.cases),
    )
