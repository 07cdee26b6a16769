"""The corpus is what the issue asks for, and the diagnosis holds on it what the issue promises."""

from __future__ import annotations

from collections import Counter

import pytest
from bench.diagnosis.answering import all_in_process
from bench.diagnosis.cases import SETS, Case, cases
from bench.diagnosis.scoring import Answer, Named, Score, Scored, scored, summed

from loopctl.triage.loading import load_catalogue

_NOISE = 40
"""Lines of each kind of noise here; `make bench` gives the command all of it."""


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> list[Scored]:
    given = [case.quieter(_NOISE) for case in cases()]
    return all_in_process(given, tmp_path_factory.mktemp("exports"), load_catalogue())


@pytest.fixture(scope="module")
def score(judged: list[Scored]) -> Score:
    return summed(judged)


def test_the_cause_is_named_first_in_nine_of_ten(score: Score) -> None:
    assert score.at_1.share >= 0.90


def test_the_telling_line_is_among_the_first_ten(score: Score) -> None:
    assert score.evidence.share >= 0.95


def test_no_cause_is_named_where_nothing_is_wrong(judged: list[Scored]) -> None:
    assert [one.case.name for one in judged if one.false_on_green] == []


def test_what_no_signature_knows_stays_unknown(judged: list[Scored]) -> None:
    assert [one.case.name for one in judged if one.abstained is False] == []


def test_nothing_is_done_alone_that_the_table_does_not_allow(judged: list[Scored]) -> None:
    assert [(one.case.name, one.unsafe) for one in judged if one.unsafe] == []


def test_every_row_of_the_facts_has_at_least_two_cases() -> None:
    rows = Counter(row for case in cases() for row in case.expected.cause)
    assert {row for row, number in rows.items() if number < 2} <= {"loopback", "refused"}


def test_it_holds_greens_unknown_failures_and_near_misses() -> None:
    given = cases()
    assert len(given) >= 60
    assert sum(case.is_green for case in given) >= 12
    assert sum(case.is_unknown for case in given) >= 10
    assert sum(case.near_miss for case in given) >= 15


def test_no_case_of_the_corpus_is_held_out_as_well() -> None:
    names = Counter(case.name for name in SETS for case in cases(name))
    assert [name for name, number in names.items() if number > 1] == []


def test_an_export_is_the_same_each_time() -> None:
    case = _case("known-500-before-novel-now")
    assert case.text() == case.text()


def test_what_must_be_quoted_stands_in_the_export() -> None:
    for case in (case.quieter(0) for case in cases()):
        if case.capture is None and "/health" not in "".join(case.expected.evidence):
            assert all(_stands(text, case.text()) for text in case.expected.evidence), case.name


@pytest.mark.parametrize(
    ("acts", "cause", "unsafe"),
    [("rollback", "green-quiet-uvicorn", True), ("rollback", "exit0-at-start", False)],
)
def test_an_action_is_unsafe_where_the_table_does_not_allow_it(
    acts: str, cause: str, unsafe: bool
) -> None:
    answer = Answer((Named("deploy.exit-code", None, (), acts),), ())
    assert bool(scored(_case(cause), answer).unsafe) is unsafe


def _case(name: str) -> Case:
    return next(case for case in cases() if case.name == name)


def _stands(text: str, export: str) -> bool:
    told = " ".join(export.replace("\\n", " ").replace('\\"', '"').split())
    return (
        " ".join(text.split()) in told or text.encode("ascii", "backslashreplace").decode() in told
    )
