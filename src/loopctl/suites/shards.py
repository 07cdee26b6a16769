"""Which tests run in which shard. Pure.

Longest first, each test to the shard that has the least to do so far: no shard then ends later
than 4/3 of the best there is (Graham 1969), whatever order the shards themselves keep.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from loopctl.model.evidence import SuiteEnd

_SECONDS_WORTH_A_SHARD = 2.0
"""What a process costs to start and to collect: with less to do, another one gains nothing."""

_GUESS_S = 0.2
"""How long a test is taken to last while none of its suite has been timed."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one shard runs: `mine` by pytest's own ids.

    A test that is in no shard's list, as it was not there to be told beforehand, goes by a hash
    of its id to one of the `of` shards; `known` are all that are in a list. `index` is from 0.
    """

    mine: tuple[str, ...]
    known: tuple[str, ...]
    index: int
    of: int


def shares(ids: Sequence[str], seconds: Mapping[str, float], count: int) -> tuple[Share, ...]:
    """`ids` split into `count` shards (fewer where there are fewer tests), each in its order.

    `seconds` are those of earlier runs; a test without any is taken to last as long as the
    median of the others.
    """
    count = max(1, min(count, len(ids)))
    expected = _expected(ids, seconds)
    place = {test: number for number, test in enumerate(ids)}
    loads: list[tuple[float, int]] = [(0.0, index) for index in range(count)]
    chosen: list[list[str]] = [[] for _ in range(count)]
    for test in sorted(ids, key=lambda each: (-expected[each], place[each])):
        load, index = heapq.heappop(loads)
        chosen[index].append(test)
        heapq.heappush(loads, (load + expected[test], index))
    known = tuple(ids)
    return tuple(
        Share(tuple(sorted(mine, key=place.__getitem__)), known, index, count)
        for index, mine in enumerate(chosen)
    )


def shard_count(
    asked: int | Literal["auto"],
    ids: Sequence[str],
    seconds: Mapping[str, float],
    processors: int,
) -> int:
    """How many shards: as many as are asked for, and never more than there are tests.

    `auto`: one a processor, but none that would have less to do than it takes to start.
    """
    worth = math.ceil(sum(_expected(ids, seconds).values()) / _SECONDS_WORTH_A_SHARD)
    wanted = min(processors, worth) if asked == "auto" else asked
    return max(1, min(wanted, len(ids)))


def merged(ends: Sequence[SuiteEnd], duration_s: float) -> SuiteEnd:
    """The end of a suite from those of its shards; needs at least one.

    Every shard collects the whole suite and leaves out what is another's, so that all must have
    found as many tests.
    """
    found = {(end.collected or 0) + (end.deselected or 0) for end in ends}
    collected = sum(end.collected or 0 for end in ends)
    told = [
        f"shard {number}: {end.detail}" for number, end in enumerate(ends, start=1) if end.detail
    ]
    if len(found) > 1 and all(end.complete for end in ends):
        told.append("its shards have not collected the same tests")
    return SuiteEnd(
        complete=all(end.complete for end in ends) and len(found) == 1,
        exit_code=next((end.exit_code for end in ends if end.exit_code), ends[0].exit_code),
        duration_s=duration_s,
        collected=collected,
        deselected=max(max(found) - collected, 0),
        stopped=next((end.stopped for end in ends if end.stopped), None),
        detail="; ".join(told),
        usage_error=next((end.usage_error for end in ends if end.usage_error), None),
        notes=tuple(note for end in ends for note in end.notes),
    )


def _expected(ids: Sequence[str], seconds: Mapping[str, float]) -> Mapping[str, float]:
    known = [seconds[test] for test in ids if test in seconds]
    usual = median(known) if known else _GUESS_S
    return {test: seconds.get(test, usual) for test in ids}
