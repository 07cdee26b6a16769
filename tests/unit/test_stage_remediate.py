"""REMEDIATE proposes the exact command, and does nothing by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from loop_rig import a_journal, a_service, written

from loopctl.model.events import Event, FindingMade, RemedyDecided
from loopctl.model.finding import Finding, ProposedRemedy
from loopctl.model.plan import RemediationMode
from loopctl.model.state import OutcomeKind
from loopctl.process import Stop
from loopctl.stages.remediate import Remediate

COMMAND = "loopctl run golden-path --env local"


def decided(folder: Path, mode: RemediationMode, *findings: Finding) -> RemedyDecided:
    events: list[Event] = []
    journal = a_journal(folder, [a_service()], subscribers=[events.append])
    for finding in findings:
        journal.append(FindingMade(finding), service=finding.service)
    stage = Remediate(mode, "golden-path", "local")
    outcome = stage(journal.fold.cycle(), journal, Stop(1.0))
    assert outcome.kind is OutcomeKind.FAILED, "a cycle that is not green needs a person"
    (remedy,) = written(events, RemedyDecided)
    assert isinstance(remedy, RemedyDecided)
    assert journal.fold.cycle().remedy == remedy
    return remedy


def found(remedy: ProposedRemedy | None) -> Finding:
    return Finding("deploy.exit-code", "It exits", "high", 0.9, "v1:x", "chat", remedy=remedy)


def test_off_asks_for_nothing(tmp_path: Path) -> None:
    remedy = decided(tmp_path, RemediationMode.OFF, found(ProposedRemedy("rebuild")))
    assert (remedy.action, remedy.result, remedy.command) == ("none", "none", None)


@pytest.mark.parametrize("mode", [RemediationMode.PROPOSE, RemediationMode.AUTO])
def test_the_best_finding_with_a_remedy_is_proposed(tmp_path: Path, mode: RemediationMode) -> None:
    remedy = decided(tmp_path, mode, found(None), found(ProposedRemedy("rebuild", "it is stale")))
    assert (remedy.action, remedy.result) == ("rebuild", "proposed")
    assert (remedy.detail, remedy.command) == ("rebuild: it is stale", COMMAND)


def test_no_rollback_is_proposed_where_traffic_was_put_back_already(tmp_path: Path) -> None:
    remedy = decided(tmp_path, RemediationMode.PROPOSE, found(ProposedRemedy("rollback")))
    assert (remedy.action, remedy.result) == ("person", "proposed")
    assert "now there serves what served before this run" in remedy.detail


def test_where_no_remedy_is_known_a_person_is_told_what_to_type(tmp_path: Path) -> None:
    remedy = decided(tmp_path, RemediationMode.PROPOSE, found(None))
    assert (remedy.action, remedy.command) == ("person", COMMAND)
    assert not remedy.changed_source
