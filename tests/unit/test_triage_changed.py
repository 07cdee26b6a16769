"""What changed since green is told as seen, and as the cause only where the evidence names it."""

from __future__ import annotations

import dataclasses

import pytest
from triage_fixtures import entries

from loopctl.model.finding import Change, Fault, FaultKind, Finding, Quote, Why
from loopctl.model.state import State
from loopctl.triage.changed import places_in, with_changes
from loopctl.triage.diagnose import diagnose
from loopctl.triage.loading import load_catalogue
from loopctl.triage.symptoms import ServiceLog, Symptoms

CATALOGUE = load_catalogue()
LEDGER = Change("commit", "abc123", "abc123 Rewrite the ledger", "chat", ("chat/ledger.py",))
README = Change("commit", "def456", "def456 Say it better", "chat", ("README.md",))
SECRET = Change("configuration", "JWT_SECRET", "JWT_SECRET of chat", "chat")
FAULT = Change("configuration", "FAULT", "FAULT of chat", "chat")

RAISED = """\
Traceback (most recent call last):
  File "/srv/app/chat/routes.py", line 41, in post
    ledger.book(entry)
  File "/srv/app/chat/ledger.py", line 7, in book
    return self.sum + entry.amount
TypeError: unsupported operand type(s) for +: 'int' and 'str'
"""


def finding(service: str | None = "chat", *whys: Why) -> Finding:
    evidence = (Quote("log", "logs/1/chat.jsonl#7", "it is what it is"),)
    return Finding("a.cause", "A cause", "high", 0.9, "v1|x", service, evidence, whys)


def statuses(found: Finding) -> list[str]:
    return [why.status for why in found.whys]


def of(changes: tuple[Change, ...], text: str = RAISED) -> Finding:
    log = ServiceLog("chat", "logs/1/chat.jsonl", entries(text.splitlines()))
    fault = Fault(FaultKind.SUITE, "p1 failed", "chat")
    symptoms = Symptoms(State.VERIFY, (fault,), (log,), changes=changes)
    return diagnose(symptoms, CATALOGUE).findings[0]


def test_a_frame_in_a_file_that_a_commit_touched_ties_the_two_by_file_and_commit() -> None:
    found = of((README, LEDGER))
    assert [why.status for why in found.whys[-2:]] == ["observed", "inferred"]
    assert "commit abc123 touched" in found.whys[-1].answer
    assert "chat/ledger.py" in found.whys[-1].answer
    told = found.whys[-1].evidence
    assert told is not None
    assert found.evidence[told] == Quote(
        "commit", "git/abc123", "abc123 Rewrite the ledger (chat/ledger.py)"
    )


def test_a_commit_beside_the_failure_is_told_and_never_blamed() -> None:
    found = of((README,))
    assert found.whys[-1].status == "observed"
    assert found.whys[-1].answer == "commit def456 Say it better"
    assert "inferred" not in statuses(found)[-2:]


def test_where_nothing_changed_the_chain_is_not_padded() -> None:
    assert of(()).whys == of((Change("commit", "1", "1 of another", "store", ("a.py",)),)).whys


def test_the_missing_variable_that_was_changed_is_tied_and_another_is_not() -> None:
    said = "JWT_SECRET_STAGING required in staging environment"
    named = Change("configuration", "JWT_SECRET_STAGING", "JWT_SECRET_STAGING of chat", "chat")
    found = with_changes(finding(), [said], (SECRET, FAULT, named))
    assert statuses(found) == ["observed", "inferred"]
    assert found.whys[-1].answer.startswith("JWT_SECRET_STAGING of chat was changed")
    assert statuses(with_changes(finding(), [said], (SECRET, FAULT))) == ["observed"]


def test_a_variable_whose_name_is_a_common_word_proves_nothing() -> None:
    assert statuses(with_changes(finding(), ["FAULT of the line"], (FAULT,))) == ["observed"]


def test_what_was_seen_to_change_stands_before_a_guess_which_ends_the_chain() -> None:
    guess = Why("Why?", "nobody knows", "hypothesis")
    assert statuses(with_changes(finding("chat", guess), [], (README,))) == [
        "observed",
        "hypothesis",
    ]


def test_many_changes_are_counted_after_the_first_three() -> None:
    many = tuple(Change("commit", f"c{n}", f"c{n} Step {n}", "chat") for n in range(9))
    (why,) = with_changes(finding(), [], many).whys
    assert why.answer == "c0 Step 0; c1 Step 1; c2 Step 2; and 6 more"


def test_that_a_run_is_no_evidence_is_not_explained_by_a_commit_beside_it() -> None:
    skipped = dataclasses.replace(finding(), not_evidence=True)
    assert with_changes(skipped, [], (README,)).whys == ()


@pytest.mark.parametrize(
    ("line", "places"),
    [
        ('  File "/srv/app/chat/ledger.py", line 7, in book', ["/srv/app/chat/ledger.py"]),
        ("    at book (/srv/app/ledger.js:7:13)", ["/srv/app/ledger.js"]),
        ("\tat org.shop.Cart.add(Cart.java:12)", ["org/shop/Cart.java"]),
        ("\t/src/shop/cart.go:44 +0x1d", ["/src/shop/cart.go"]),
        ("tests/test_a.py:41: AssertionError", ["tests/test_a.py"]),
        ("raised in chat/ledger.py:book:7", ["chat/ledger.py"]),
        ('  File "/usr/lib/python3.11/json/decoder.py", line 3, in decode', []),
        ("    at Module._compile (node:internal/modules/cjs/loader:1105:14)", []),
        ("listening on 127.0.0.1:8080", []),
        ("2026-11-20T12:00:00Z INFO ready", []),
    ],
)
def test_the_files_that_a_line_names_are_read_in_each_language(
    line: str, places: list[str]
) -> None:
    assert list(places_in(line)) == places


@pytest.mark.parametrize(
    ("place", "file", "tied"),
    [
        ("/srv/app/chat/ledger.py", "chat/ledger.py", True),
        ("chat/ledger.py", "src/chat/ledger.py", True),
        ("/app/main.py", "main.py", True),
        ("main.py", "lib/main.py", False),
        ("/srv/app/other/ledger.py", "chat/ledger.py", False),
    ],
)
def test_a_place_is_a_file_of_the_source_where_one_is_the_end_of_the_other(
    place: str, file: str, tied: bool
) -> None:
    commit = Change("commit", "abc", "abc It", "chat", (file,))
    found = with_changes(finding(), [f"{place}:7: AssertionError"], (commit,))
    assert ("inferred" in statuses(found)) is tied


def test_hostile_lines_are_read_in_no_time() -> None:
    hostile = ["a." * 5000, "/" * 10_000, "a:1" * 4000, 'File "' * 2000] * 300
    assert statuses(with_changes(finding(), hostile, (LEDGER,))) == ["observed"]
