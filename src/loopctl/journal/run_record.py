"""What a run leaves to later ones, as its worklog tells it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loopctl.journal.mending import remedy_records
from loopctl.journal.progress import sources
from loopctl.journal.worklog import CycleRecord, Worklog
from loopctl.model.state import Verdict
from loopctl.ports.history import CaseRecord, FindingRecord, RunRecord


def record_of(worklog: Worklog) -> RunRecord:
    """The record of a run: of its last cycle, the one that speaks for it.

    What only its logs and its plan tell (`green`, `configuration`) is not in it yet.
    """
    run, ended, cycle = worklog.run, worklog.ended, worklog.last
    ran = _ran(cycle) if cycle is not None else {}
    return RunRecord(
        run_id=run.run_id,
        loop=run.loop,
        environment=run.environment,
        started_at=worklog.started_at,
        verdict=ended.verdict.value if ended else None,
        partial=run.partial is not None,
        commit=_commit(cycle),
        images=_images(cycle),
        suites={name: cases for name, (cases, _, _) in ran.items()},
        outcomes={name: outcome for name, (_, outcome, _) in ran.items()},
        seconds={name: seconds for name, (_, _, seconds) in ran.items()},
        verified=verified_by(worklog),
        duration_s=round(ended.duration_s, 3) if ended else None,
        durations=stage_seconds(cycle),
        files=run.files,
        findings=_findings(worklog),
        remedies=remedy_records(worklog),
        migrations=_migrations(worklog.cycles),
        sources=sources(cycle) if cycle is not None else {},
    )


def verified_by(worklog: Worklog) -> Mapping[str, str]:
    """The revisions this run verified, by service.

    None unless it is green and whole, and, where others see the service, from a clean commit.
    """
    cycle, ended = worklog.last, worklog.ended
    if cycle is None or ended is None or ended.verdict is not Verdict.GREEN or worklog.run.partial:
        return {}
    if not is_of_a_commit(worklog):
        return {}
    return {
        service.name: service.revision.name
        for service in cycle.services.values()
        if service.revision is not None and service.promoted
    }


def is_of_a_commit(worklog: Worklog) -> bool:
    """Whether what it tested was committed; asked only where others see the service."""
    services = worklog.last.services.values() if worklog.last else ()
    dirty = any(service.source is not None and service.source.dirty for service in services)
    return worklog.run.platform != "cloud-run" or not dirty


def stage_seconds(cycle: CycleRecord | None) -> Mapping[str, float]:
    """Seconds by stage. A stage runs once a wave: its time in the cycle is the sum."""
    seconds: dict[str, float] = {}
    for stage in cycle.stages if cycle else ():
        if stage.duration_s is not None:
            seconds[stage.stage.value] = seconds.get(stage.stage.value, 0.0) + stage.duration_s
    return {name: round(value, 3) for name, value in seconds.items()}


_Ran = tuple[Mapping[str, CaseRecord], str, float]


def _ran(cycle: CycleRecord) -> Mapping[str, _Ran]:
    """Cases, outcome and seconds of the suites that were run to an end of whatever kind."""
    return {
        name: (
            {c.id: CaseRecord(c.status, c.duration_s, c.grade, c.code) for c in suite.cases},
            suite.judgement.outcome.value,
            suite.judgement.duration_s,
        )
        for name, suite in cycle.suites.items()
        if suite.judgement is not None and suite.end is not None
    }


def _images(cycle: CycleRecord | None) -> Mapping[str, str]:
    # Building the same source again makes no other image, though its digest may differ.
    services = cycle.services.values() if cycle else ()
    built = {service.name: service.artifact for service in services}
    return {name: image.source_tree or image.digest for name, image in built.items() if image}


def _commit(cycle: CycleRecord | None) -> str | None:
    """The one commit that all sources were read at."""
    services = cycle.services.values() if cycle else ()
    commits = {service.source.commit for service in services if service.source is not None}
    return commits.pop() if len(commits) == 1 else None


def _findings(worklog: Worklog) -> tuple[FindingRecord, ...]:
    """Each cause once, however many cycles met it."""
    found = (
        FindingRecord(each.fingerprint, each.signature, each.title, each.service)
        for cycle in worklog.cycles
        for each in cycle.findings
    )
    return tuple(dict.fromkeys(found))


def _migrations(cycles: Sequence[CycleRecord]) -> Mapping[str, str]:
    """By service, where all cycles had the same: else nobody can tell which a revision has."""
    found: dict[str, set[str | None]] = {}
    for cycle in cycles:
        for name, service in cycle.services.items():
            if service.source is not None:
                found.setdefault(name, set()).add(service.source.migrations)
    single = {name: each.pop() for name, each in found.items() if len(each) == 1}
    return {name: digest for name, digest in single.items() if digest is not None}
