"""DIAGNOSE: from what the cycle left behind to findings with their evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from loopctl.evidence.criteria import measured, place_of
from loopctl.journal.commands import Commands
from loopctl.journal.quarantine import not_counted
from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord, ServiceRecord, SuiteRecord
from loopctl.model.baseline import Baseline
from loopctl.model.events import THE_CAUSE, FindingMade, NotChecked, NovelLine
from loopctl.model.evidence import GradedCase
from loopctl.model.finding import Change, Fault, Sightings
from loopctl.model.outcome import Outcome
from loopctl.model.plan import ServiceSpec
from loopctl.model.state import OutcomeKind
from loopctl.ports.history import RunRecord
from loopctl.ports.source import Sources
from loopctl.process import Stop
from loopctl.stages import kept_logs
from loopctl.stages.changes import GreenSource, configured, note_changes
from loopctl.stages.finding_out import ByHand, FindingOut, below
from loopctl.triage.diagnose import diagnose
from loopctl.triage.loading import Catalogue
from loopctl.triage.symptoms import (
    Measure,
    RequestLog,
    ServiceFacts,
    ServiceLog,
    SuiteResult,
    Symptoms,
)

_MOST_NOVEL = 10


def _nothing(*_: object) -> None:
    return None


@dataclass(frozen=True, slots=True)
class GreenRun:
    """The last green run of this loop on this environment.

    `baseline` gives what it and those before it showed, merged, None where nothing tells; `record`
    is what the history keeps of it.
    """

    run_id: str
    commit: str | None
    baseline: Callable[[], Baseline | None] = _nothing
    record: RunRecord | None = None


class Diagnose:
    """Matches signatures; where none does, shows what is new in the logs, and invents nothing."""

    def __init__(
        self,
        services: Sequence[ServiceSpec],
        catalogue: Callable[[], Catalogue],
        green: GreenRun | None,
        sources: Sources,
        sightings: Callable[[str], Sightings | None] = _nothing,
        by_hand: ByHand = _nothing,
    ) -> None:
        self._services = services
        self._catalogue = catalogue
        self._green = green
        self._sources = sources
        self._sightings = sightings
        self._by_hand = by_hand

    def __call__(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> Outcome:
        """OK with the findings written down."""
        changes = self._changes(cycle, journal, stop)
        symptoms = self._symptoms(cycle, journal, changes)
        diagnosis = diagnose(symptoms, self._catalogue())
        for finding in diagnosis.findings:
            known = replace(finding, seen=self._sightings(finding.fingerprint))
            journal.append(FindingMade(known), service=finding.service)
        for line in diagnosis.novel[:_MOST_NOVEL]:
            novel = NovelLine(
                line.template,
                line.count,
                line.quote.quote,
                line.quote.source,
                baseline=symptoms.baseline is not None,
            )
            journal.append(novel, service=line.service)
        open_ = self._finding_out(journal)
        for asked in diagnosis.unknowns:
            journal.append(NotChecked(THE_CAUSE, asked.text, open_.command(asked, cycle)))
        named = [f.title for f in diagnosis.findings if f.signature is not None]
        return Outcome(OutcomeKind.OK, "; ".join(named) or "no known cause")

    def _finding_out(self, journal: Journal) -> FindingOut:
        run, folder = journal.fold.run, journal.folder
        commands = Commands.of_run(run, folder.parent.parent)
        place = below(commands.root, folder)
        return FindingOut(commands, run.run_id, place, self._services, self._by_hand)

    def _symptoms(
        self, cycle: CycleRecord, journal: Journal, changes: tuple[Change, ...]
    ) -> Symptoms:
        failed, folder = cycle.failed_stage, journal.folder
        assert failed is not None, "DIAGNOSE follows a failed stage"
        kept = [record for record in cycle.services.values() if record.logs is not None]
        return Symptoms(
            stage=failed.stage,
            faults=tuple(_placed(fault, cycle) for stage in cycle.stages for fault in stage.faults),
            logs=tuple(_log(record, folder) for record in kept),
            requests=tuple(log for record in kept for log in _requests(record, folder)),
            suites=tuple(
                SuiteResult(
                    suite=suite.facts.id,
                    source=suite.folder or f"suites/{cycle.number}/{suite.facts.id}",
                    cases=_counted(suite),
                    judgement=suite.judgement,
                    service=suite.facts.protects,
                )
                for suite in cycle.suites.values()
                if suite.cases or suite.judgement is not None
            ),
            facts=tuple(ServiceFacts(r.name, proof=r.proof) for r in cycle.services.values()),
            measures=tuple(
                Measure(c.metric, measured(c), c.limit, c.met, place_of(c.metric), c.furthest)
                for c in cycle.criteria
            ),
            baseline=self._green.baseline() if self._green is not None else None,
            needs={service.name: service.needs for service in journal.fold.run.services},
            changes=changes,
        )

    def _changes(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> tuple[Change, ...]:
        given = configured(journal.fold.run)
        green = self._green
        if green is None:
            return given
        images = green.record.images if green.record is not None else {}
        since = GreenSource(green.run_id, green.commit, images)
        return note_changes(since, self._services, self._sources, cycle, journal, stop) + given


def _placed(fault: Fault, cycle: CycleRecord) -> Fault:
    """The fault with quotes of the live log located in the copy that the run keeps.

    Both count the lines of one revision, so the number stays.
    """
    record = cycle.services.get(fault.service or "")
    if record is None or record.logs is None or record.revision is None:
        return fault
    live, kept = f"{record.name}/{record.revision.name}#", f"{record.logs.path}#"
    quotes = (replace(q, source=q.source.replace(live, kept)) for q in fault.quotes)
    return replace(fault, quotes=tuple(quotes))


def _counted(suite: SuiteRecord) -> tuple[GradedCase, ...]:
    """The cases without those in quarantine that did not pass: nothing follows from them."""
    excused = {each.case.id for each in not_counted([suite])}
    return tuple(case for case in suite.cases if case.id not in excused)


def _log(record: ServiceRecord, folder: Path) -> ServiceLog:
    assert record.logs is not None
    path = record.logs.path
    return ServiceLog(record.name, path, kept_logs.entries(folder / path))


def _requests(record: ServiceRecord, folder: Path) -> list[RequestLog]:
    assert record.logs is not None
    path = record.logs.requests
    if path is None:
        return []
    return [RequestLog(record.name, path, tuple(kept_logs.requests(folder / path)))]
