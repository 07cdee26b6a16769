"""What `auto` would do without a rule is told as it is: by confidence, mode, action and limit."""

from __future__ import annotations

from typing import Any

import pytest
from triage_fixtures import FOLDER, symptoms_of

from loopctl.journal.worklog import CycleRecord
from loopctl.model.finding import Finding, ProposedRemedy
from loopctl.stages.remedy_choice import choose
from loopctl.triage.acting import acts_alone, surest
from loopctl.triage.diagnose import diagnose
from loopctl.triage.loading import Catalogue, load_catalogue
from loopctl.triage.signatures import Signature

CATALOGUE = load_catalogue()
BY_ITSELF = [known for known in CATALOGUE.signatures if acts_alone(known)]
CAPTURES = sorted(path.name for path in FOLDER.glob("*.jsonl"))


def a_signature(confidence: dict[str, float], any_of: int = 0, **remedy: Any) -> Signature:
    clause = {"on": "log", "regex": "words"}
    return Signature.model_validate(
        {
            "schema": 1,
            "id": "shop.words",
            "title": "Words",
            "severity": "high",
            "confidence": confidence,
            "match": {"all": [clause], "any": [clause] * any_of},
            "remedy": {"action": "retry", "mode": "auto", **remedy},
            "tests": {"positive": ["a"], "negative": ["b"]},
        }
    )


SURE = {"base": 0.8, "per_corroboration": 0.1, "act_at": 0.9}


@pytest.mark.parametrize(
    ("signature", "alone"),
    [
        (a_signature(SURE, any_of=1), True),
        (a_signature(SURE), False),
        (a_signature(SURE, any_of=1, mode="person"), False),
        (a_signature(SURE, any_of=1, action="run"), False),
        (a_signature(SURE, any_of=1, action="wait"), True),
        (a_signature(SURE, any_of=1, limit=0), False),
    ],
    ids=["sure", "never sure enough", "a person's", "a command", "waiting", "never"],
)
def test_it_acts_by_itself_only_where_it_may_and_can_be_sure(
    signature: Signature, alone: bool
) -> None:
    assert acts_alone(signature) is alone
    assert _done_alone(signature, Catalogue((signature,))) is alone


@pytest.mark.parametrize("signature", CATALOGUE.signatures, ids=lambda known: known.id)
def test_what_it_would_do_by_itself_is_what_is_chosen(signature: Signature) -> None:
    assert _done_alone(signature, CATALOGUE) is acts_alone(signature)


def _done_alone(signature: Signature, catalogue: Catalogue) -> bool:
    """Whether REMEDIATE would do it, for the surest finding that there can be."""
    remedy = ProposedRemedy(signature.remedy.action, signature.remedy.detail)
    confidence = surest(signature)
    finding = Finding(
        signature.id, signature.title, signature.severity, confidence, "v1:x", remedy=remedy
    )
    cycle = CycleRecord(1, None, (), {}, {}, findings=(finding,))
    choice = choose(cycle, (), lambda: catalogue, lambda _: 0)
    return choice is not None and choice.by_itself


@pytest.mark.parametrize("name", CAPTURES)
def test_no_finding_is_surer_than_its_signature_can_be(name: str) -> None:
    for finding in diagnose(symptoms_of(name), CATALOGUE).findings:
        known = CATALOGUE.find(finding.signature) if finding.signature else None
        assert known is None or finding.confidence <= surest(known)


def test_every_action_of_its_own_is_done_by_itself_for_some_cause() -> None:
    assert {known.remedy.action for known in BY_ITSELF} == {
        *("rollback", "rebuild", "retry"),
        *("raise-memory", "wait"),
    }
