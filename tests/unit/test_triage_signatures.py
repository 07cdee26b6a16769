"""The catalogue is data that people write: what is wrong with it is said, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopctl.errors import UsageError
from loopctl.triage.loading import load_catalogue

OURS = """\
schema: 1
id: ours.sour-milk
title: The milk is sour
severity: low
match:
  any: [{on: log, regex: 'sour (?P<what>milk)'}]
remedy: {action: person}
tests: {positive: [a.jsonl], negative: [b.jsonl]}
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "ours.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(UsageError) as caught:
        load_catalogue([write(folder, text)])
    return [str(problem).replace(str(folder), "") for problem in caught.value.problems]


def test_a_users_signature_stands_beside_ours(tmp_path: Path) -> None:
    catalogue = load_catalogue([write(tmp_path, OURS)])
    assert catalogue.find("ours.sour-milk") is not None
    assert catalogue.find("deploy.exit-code") is not None


def test_a_file_may_hold_several(tmp_path: Path) -> None:
    other = OURS.replace("sour-milk", "stale-bread")
    catalogue = load_catalogue([write(tmp_path, f"{OURS}---\n{other}")])
    assert catalogue.find("ours.stale-bread") is not None


def test_a_users_signature_replaces_ours_of_the_same_id(tmp_path: Path) -> None:
    text = OURS.replace("ours.sour-milk", "deploy.exit-code")
    found = load_catalogue([write(tmp_path, text)]).find("deploy.exit-code")
    assert found is not None
    assert found.title == "The milk is sour"


def test_every_problem_of_a_file_is_told_with_its_place(tmp_path: Path) -> None:
    text = OURS.replace("severity: low", "severity: dire").replace("action: person", "action: pray")
    told = problems(tmp_path, text)
    assert [problem.split(": ")[0] for problem in told] == ["/ours.yaml:4:11", "/ours.yaml:7:18"]


@pytest.mark.parametrize(
    ("before", "after", "telling"),
    [
        ("title:", "titel:", "titel"),
        ("sour (?P<what>milk)", "(?=a)b", "linear time"),
        ("on: log", "on: moon", "match.any.0.on"),
        ("any: [{on: log, regex: 'sour (?P<what>milk)'}]", "none: []", "must hold a clause"),
        (", regex: 'sour (?P<what>milk)'", "", "needs a regex"),
        (", regex: 'sour (?P<what>milk)'", ", field: severity, op: in, value: x", "list"),
        ("positive: [a.jsonl]", "positive: []", "tests.positive"),
        ("remedy:", "explains: [no.such]\nremedy:", "does not exist"),
        ("schema: 1", "schema: 9", "schema"),
        ("{action: person}", "{action: person", "not YAML"),
    ],
)
def test_a_signature_that_is_wrong_is_refused(
    tmp_path: Path, before: str, after: str, telling: str
) -> None:
    assert telling in "\n".join(problems(tmp_path, OURS.replace(before, after)))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.yaml"):
        load_catalogue([tmp_path / "nowhere.yaml"])
