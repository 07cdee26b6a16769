"""The budget of reads: waited for by readers, left alone by polls, learnt from a refusal."""

from __future__ import annotations

import pytest

from loopctl.errors import Stopped
from loopctl.model.plan import CloudRunPlace
from loopctl.platforms.cloud_run.errors import ApiError, Code
from loopctl.platforms.cloud_run.quota import QuotaSpent, ReadQuota, is_quota, quota_of
from loopctl.process import Stop


class Clock(Stop):
    """A stop whose waits pass at once, on a clock of their own."""

    def __init__(self, until: float = 1e9) -> None:
        super().__init__()
        self.now = 100.0
        self.until = until

    def wait(self, seconds: float) -> None:
        self.now += seconds
        if self.now > self.until:
            raise Stopped("deadline")

    def __call__(self) -> float:
        return self.now


def refusal(value: str = "120", text: str = "Quota exceeded") -> ApiError:
    metadata = {"quota_limit_value": value} if value else {}
    return ApiError(Code.RESOURCE_EXHAUSTED, text, doing="read", metadata=metadata)


def taken_in(quota: ReadQuota, clock: Clock, reads: int) -> float:
    began = clock.now
    for _ in range(reads):
        quota.take(clock)
    return clock.now - began


def test_a_minute_holds_so_many_reads_and_a_tenth_is_left_to_others() -> None:
    clock = Clock()
    quota = ReadQuota(60, clock)
    assert taken_in(quota, clock, 54) == 0
    assert quota.is_short()
    assert taken_in(quota, clock, 1) == pytest.approx(60)
    assert taken_in(quota, clock, 53) == 0
    assert taken_in(quota, clock, 54) == pytest.approx(60)


def test_what_is_spared_is_there_for_what_matters_more() -> None:
    clock = Clock()
    quota = ReadQuota(10, clock)
    for _ in range(5):
        quota.take(clock, spare=4)
    assert quota.is_short(spare=4)
    assert taken_in(quota, clock, 4) == 0
    began = clock.now
    quota.take(clock, spare=4)
    assert clock.now - began == pytest.approx(60)


def test_a_wait_ends_with_its_stop() -> None:
    clock = Clock(until=110.0)
    quota = ReadQuota(10, clock)
    with pytest.raises(Stopped):
        taken_in(quota, clock, 10)


def test_polls_have_a_quarter_and_never_what_is_left_to_reads() -> None:
    clock = Clock()
    quota = ReadQuota(60, clock)
    for _ in range(15):
        quota.poll(clock)
    with pytest.raises(QuotaSpent):
        quota.poll(clock)
    assert taken_in(quota, clock, 39) == 0
    clock.now += 61
    assert taken_in(quota, clock, 39) == 0
    with pytest.raises(QuotaSpent):
        quota.poll(clock)
    assert taken_in(quota, clock, 15) == 0, "they are still there for reads"


def test_a_refusal_tells_the_limit_and_is_waited_out_longer_each_time() -> None:
    clock = Clock()
    quota = ReadQuota(60, clock)
    quota.refused(refusal("120"))
    assert quota.limit == 120
    assert "120 log reads a minute" in quota.told
    assert taken_in(quota, clock, 1) == pytest.approx(5)
    quota.refused(refusal("120"))
    assert quota.is_short()
    with pytest.raises(QuotaSpent):
        quota.poll(clock)
    assert taken_in(quota, clock, 1) == pytest.approx(10)
    quota.granted()
    quota.refused(refusal(""))
    assert taken_in(quota, clock, 1) == pytest.approx(5)
    assert quota.limit == 120


@pytest.mark.parametrize("value", ["", "0", "-5", "many", "٣"])
def test_a_limit_that_is_none_is_not_learnt(value: str) -> None:
    quota = ReadQuota(60)
    quota.refused(refusal(value))
    assert quota.limit == 60


def test_even_the_smallest_limit_lets_something_through() -> None:
    clock = Clock()
    quota = ReadQuota(1, clock)
    assert taken_in(quota, clock, 1) == 0
    assert taken_in(quota, clock, 1) == pytest.approx(60)


def test_a_message_that_is_too_large_is_no_quota() -> None:
    assert is_quota(refusal())
    assert not is_quota(refusal(text="Received message larger than max (5 vs. 4)"))


def test_a_project_has_one_budget_in_this_process() -> None:
    one, other = CloudRunPlace("p-one", "r"), CloudRunPlace("p-two", "r")
    assert quota_of(one) is quota_of(CloudRunPlace("p-one", "elsewhere", transport="rest"))
    assert quota_of(one) is not quota_of(other)


def test_a_quota_is_shut_once_nothing_but_refusals_came() -> None:
    quota = ReadQuota(60, Clock())
    for shut in (False, False, True):
        quota.refused(refusal())
        assert quota.is_shut is shut
    quota.granted()
    assert not quota.is_shut
