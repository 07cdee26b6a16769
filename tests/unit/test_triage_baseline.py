"""What green runs showed is not what broke."""

from __future__ import annotations

import itertools

from triage_fixtures import entries

from loopctl.model.baseline import Baseline
from loopctl.triage.assemble import assemble
from loopctl.triage.baseline import Novelty, Window, learn

GREEN = ["INFO request 1", "INFO request 2", "WARNING retrying 3", "INFO stopped"]


def baseline(lines: list[str] | None = None, revision: str = "chat-00001-old") -> Baseline:
    return learn(
        [("chat", assemble(entries(GREEN if lines is None else lines, revision=revision)))]
    )


def ranked(lines: list[str], known: Baseline | None) -> list[tuple[str, Novelty | None]]:
    window = Window("chat", known)
    for event in assemble(entries(lines)):
        window.add(event)
    return [(each.template, each.novelty) for each in window.ranked()]


def test_novel_and_severe_comes_first_then_novel_then_what_grew_then_the_known() -> None:
    lines = [*["WARNING retrying 9"] * 40, "INFO request 7", "INFO a new thing", "ERROR it broke"]
    assert ranked(lines, baseline()) == [
        ("ERROR it broke", Novelty.NOVEL_SEVERE),
        ("INFO a new thing", Novelty.NOVEL),
        ("WARNING retrying <n>", Novelty.RATE_CHANGED),
        ("INFO request <n>", Novelty.KNOWN),
    ]


def test_without_a_baseline_severity_and_rarity_rank_and_nothing_is_called_novel() -> None:
    lines = ["INFO rare", *["ERROR often"] * 5, "ERROR once", "WARNING w"]
    assert ranked(lines, None) == [
        ("ERROR once", None),
        ("ERROR often", None),
        ("WARNING w", None),
        ("INFO rare", None),
    ]


def test_a_service_that_no_green_run_had_is_not_called_novel_line_by_line() -> None:
    window = Window("auth", baseline())
    (event,) = assemble(entries(["ERROR it broke"], "auth"))
    assert window.is_novel(window.add(event)) is None


def test_two_green_windows_know_more_than_one_and_keep_who_was_first() -> None:
    merged = baseline().merged(baseline(["INFO request 3", "INFO other"], "chat-00002-new"))
    assert merged.templates["chat"]["INFO request <n>"].count == 3
    assert merged.templates["chat"]["INFO request <n>"].first_seen == "chat-00001-old"
    assert merged.templates["chat"]["INFO other"].first_seen == "chat-00002-new"
    assert merged.lines == {"chat": 6}


def test_a_log_in_which_every_line_differs_does_not_fill_the_memory() -> None:
    window = Window("chat", None)
    words = [f"w{chr(97 + i % 26)}{'x' * (i // 26)}" for i in range(160)]
    for event in assemble(entries([f"{a} {b}" for a in words for b in words])):
        window.add(event)
    assert len(window.ranked()) == 20_001


NAMES = ["ana", "ben", "cleo", "dan", "eve", "fay"]


def test_novel_lines_of_one_statement_are_one() -> None:
    lines = [f"ERROR user {name} has no home" for name in NAMES]
    assert ranked([*lines, *lines], baseline()) == [
        ("ERROR user <*> has no home", Novelty.NOVEL_SEVERE)
    ]


def test_two_messages_that_differ_in_a_word_stay_two() -> None:
    lines = ["ERROR the store is closed", "ERROR the store is full", "ERROR the vault is full"]
    assert len(ranked(lines, baseline())) == 3


def test_what_is_known_is_not_merged_with_what_is_new() -> None:
    green = [f"INFO user {name} came in" for name in NAMES[:3]]
    assert len(ranked([f"INFO user {name} came in" for name in NAMES], baseline(green))) == 6


def test_statuses_are_not_values() -> None:
    lines = [f"request done status={500 + number}" for number in range(6)]
    assert len(ranked(lines, baseline())) == 6


def test_a_flood_of_different_lines_hides_neither_the_bad_one_nor_what_it_is() -> None:
    words = ("".join(letters) for letters in itertools.product("abcdefghijkl", repeat=4))
    flood = [f"INFO said {word}" for word in itertools.islice(words, 20_500)]
    window = Window("chat", baseline())
    *_, last = (window.add(event) for event in assemble(entries([*flood, "ERROR it broke"])))
    assert last == "ERROR it broke"
    assert window.is_novel(last) is True
    assert window.ranked()[0].template == last


def test_of_lines_whose_templates_are_not_kept_nobody_says_that_green_had_them() -> None:
    words = ("".join(letters) for letters in itertools.product("abcdefghijkl", repeat=4))
    flood = [f"INFO said {word}" for word in itertools.islice(words, 20_500)]
    window = Window("chat", baseline(flood))
    *_, last = (window.add(event) for event in assemble(entries(flood)))
    assert window.is_novel(last) is None
