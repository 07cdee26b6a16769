"""How a suite is split: every test once, the longest first, and nothing lost at the seams."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from loopctl.model.evidence import SuiteEnd
from loopctl.suites.shards import merged, shard_count, shares

IDS = st.lists(st.text(min_size=1, max_size=6), unique=True, max_size=60)


def an_end(collected: int, deselected: int = 0) -> SuiteEnd:
    return SuiteEnd(
        complete=True, exit_code=0, duration_s=1.0, collected=collected, deselected=deselected
    )


@given(IDS, st.integers(1, 9), st.randoms())
def test_every_test_is_in_exactly_one_shard_in_its_order(
    ids: list[str], count: int, rng: random.Random
) -> None:
    seconds = {test: rng.random() * 5 for test in ids if rng.random() < 0.7}
    split = shares(ids, seconds, count)
    assert sorted(t for share in split for t in share.mine) == sorted(ids)
    for share in split:
        assert sorted(share.mine, key=ids.index) == list(share.mine)
        assert (share.known, share.of) == (tuple(ids), len(split))
    assert len(split) == max(1, min(count, len(ids)))


def test_the_longest_go_first_so_that_no_shard_waits_long_for_another() -> None:
    rng = random.Random(7)
    seconds = {f"t{n}": rng.lognormvariate(-1, 1) for n in range(200)}
    loads = [sum(seconds[t] for t in share.mine) for share in shares(list(seconds), seconds, 2)]
    assert max(loads) <= 1.01 * sum(seconds.values()) / 2


def test_a_test_that_was_never_timed_counts_as_the_usual_one() -> None:
    split = shares(["new", "a", "b", "c"], {"a": 9.0, "b": 3.0, "c": 3.0}, 2)
    assert [share.mine for share in split] == [("a",), ("new", "b", "c")]


def test_auto_takes_no_more_processors_than_there_is_work_for() -> None:
    ids = [f"t{n}" for n in range(40)]
    assert shard_count("auto", ids, dict.fromkeys(ids, 0.01), 8) == 1
    assert shard_count("auto", ids, dict.fromkeys(ids, 0.095), 8) == 2
    assert shard_count("auto", ids, dict.fromkeys(ids, 3.0), 8) == 8
    assert shard_count("auto", ids, {}, 3) == 3, "40 tests that nobody has timed"
    assert shard_count("auto", [], {}, 8) == 1


def test_more_shards_than_tests_are_no_shards() -> None:
    assert shard_count(5, ["a", "b"], {}, 1) == 2


def test_the_end_of_a_suite_is_that_of_all_its_shards() -> None:
    whole = merged([an_end(3, 4), an_end(2, 5)], 1.5)
    assert (whole.complete, whole.collected, whole.deselected, whole.duration_s) == (
        True,
        5,
        2,
        1.5,
    )


def test_one_bad_shard_is_told_by_its_number() -> None:
    broken = replace(
        an_end(2, 3), complete=False, exit_code=-11, detail="pytest was killed by SIGSEGV"
    )
    whole = merged([an_end(3, 2), broken], 1.0)
    assert not whole.complete
    assert whole.exit_code == -11
    assert whole.detail == "shard 2: pytest was killed by SIGSEGV"


def test_shards_that_collected_different_suites_prove_nothing_whole() -> None:
    whole = merged([an_end(3, 2), an_end(3, 1)], 1.0)
    assert not whole.complete
    assert whole.detail == "its shards have not collected the same tests"
