"""Each known cause is recognised where it is, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from triage_fixtures import FOLDER, symptoms_of

from loopctl.triage.captures import read_capture
from loopctl.triage.diagnose import diagnose
from loopctl.triage.loading import load_catalogue

CATALOGUE = load_catalogue()
POSITIVE = [(s.id, name) for s in CATALOGUE.signatures for name in s.tests.positive]
NEGATIVE = [(s.id, name) for s in CATALOGUE.signatures for name in s.tests.negative]


@pytest.mark.parametrize(("signature", "name"), POSITIVE)
def test_a_known_cause_is_the_first_finding_of_its_fixture(signature: str, name: str) -> None:
    findings = diagnose(symptoms_of(name), CATALOGUE).findings
    assert [finding.signature for finding in findings][:1] == [signature]


@pytest.mark.parametrize(("signature", "name"), NEGATIVE)
def test_a_cause_is_not_seen_where_it_is_not(signature: str, name: str) -> None:
    findings = diagnose(symptoms_of(name), CATALOGUE).findings
    assert signature not in [finding.signature for finding in findings]


@pytest.mark.parametrize("name", sorted(file.name for file in FOLDER.glob("green*")))
def test_nothing_is_found_in_a_green_run(name: str) -> None:
    found = diagnose(symptoms_of(name), CATALOGUE).findings
    assert [(finding.signature, finding.evidence) for finding in found] == []


@pytest.mark.parametrize(
    ("said", "acts"),
    [
        ("chat: ended with 137", True),
        ("FATAL ERROR: Reached heap limit: JavaScript heap out of memory", False),
        ("java.lang.OutOfMemoryError: Java heap space", False),
        ("[ERROR] Worker (pid:7) was sent SIGKILL! Perhaps out of memory?", False),
    ],
)
def test_memory_is_given_where_the_platforms_limit_was_met_and_for_no_guess(
    tmp_path: Path, said: str, *, acts: bool
) -> None:
    code = "137" if acts else "1"
    rows: list[dict[str, object]] = [
        {"kind": "stage", "stage": "health"},
        {"kind": "fault", "fault": "exit-code", "summary": "it ended", "value": code},
        {"kind": "log", "text": said},
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    finding = diagnose(read_capture(tmp_path / "a.jsonl"), CATALOGUE).findings[0]
    signature = CATALOGUE.find(finding.signature or "")
    assert signature is not None
    assert (finding.signature, signature.remedy.action) == ("deploy.out-of-memory", "raise-memory")
    assert (finding.confidence >= signature.confidence.act_at) == acts


def test_every_signature_is_held_against_the_green_run() -> None:
    assert all("green.jsonl" in signature.tests.negative for signature in CATALOGUE.signatures)


def bare(text: str) -> str:
    """Without what spacing and JSON's quoting make of it."""
    return "".join(text.replace("\\", "").split())


@pytest.mark.parametrize("name", sorted({name for _, name in POSITIVE} | {"unknown.jsonl"}))
def test_every_finding_quotes_located_evidence_that_was_captured(name: str) -> None:
    text = bare((FOLDER / name).read_text(encoding="utf-8"))
    for finding in diagnose(symptoms_of(name), CATALOGUE).findings:
        assert finding.evidence
        for quote in finding.evidence:
            assert quote.source
            if quote.kind == "log":
                assert "#" in quote.source
                assert bare(quote.quote[:40]) in text


@pytest.mark.parametrize("name", sorted({name for _, name in POSITIVE}))
def test_an_observed_why_points_at_evidence_and_no_text_has_holes(name: str) -> None:
    for finding in diagnose(symptoms_of(name), CATALOGUE).findings:
        assert "{" not in finding.title
        assert "not captured" not in finding.title
        for why in finding.whys:
            if why.status == "observed":
                assert why.evidence is not None
                assert 0 <= why.evidence < len(finding.evidence)
            elif why.status == "hypothesis":
                assert why.evidence is None
