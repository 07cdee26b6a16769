"""Leases in a bucket: by the server's clock alone, through cut connections, for many machines."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bucket_rig import PLACE, BucketRig, a_bucket

from emulator.storage_server import Trouble
from loopctl.errors import Stopped
from loopctl.model.artifact import Target
from loopctl.model.plan import BucketPlace
from loopctl.platforms.cloud_run.bucket_lease import BucketLeases
from loopctl.platforms.cloud_run.bucket_lease_record import BucketLease
from loopctl.ports.leases import HeldByOther, LeaseError, LeaseLost
from loopctl.process import Stop, identify

CHAT, WEB = (Target("cloud-run", "p/r", name) for name in ("chat", "web"))


@pytest.fixture
def rig() -> Iterator[BucketRig]:
    with a_bucket() as made:
        yield made


@pytest.fixture
def leases(rig: BucketRig) -> BucketLeases:
    return BucketLeases(rig.client())


@pytest.fixture
def stop() -> Stop:
    return Stop(20)


def alter(rig: BucketRig, **facts: Any) -> None:
    """Change the record of the one lease that there is: another machine's, another process's."""
    [name] = rig.names()
    rig.write(name, json.dumps(json.loads(rig.content(name)) | facts))


def pass_time(rig: BucketRig, seconds: float) -> None:
    rig.server.buckets.offset += timedelta(seconds=seconds)


def test_a_lease_is_one_small_object_below_the_prefix(
    rig: BucketRig, leases: BucketLeases, stop: Stop
) -> None:
    held = leases.acquire([WEB, CHAT], "run-1", 90, stop)
    chat, web = rig.names()
    assert chat.startswith("leases/chat-")
    assert web.startswith("leases/web-")
    record = json.loads(rig.content(chat))
    assert (record["run_id"], record["target"], record["ttl_s"]) == ("run-1", str(CHAT), 90)
    assert held.targets == (CHAT, WEB), "in sorted order"
    leases.release(held)
    assert rig.names() == []


@pytest.mark.parametrize("years", [-30, 30])
def test_no_clock_counts_but_the_servers(
    rig: BucketRig, leases: BucketLeases, stop: Stop, years: int
) -> None:
    pass_time(rig, years * 365 * 86_400)
    held = leases.acquire([CHAT], "run-1", 60, stop)
    assert abs((held.since - datetime.now(UTC)).days // 365) in (29, 30, 31)
    assert held.until - held.since == timedelta(seconds=60)
    alter(rig, realm="another machine")
    other = BucketLeases(rig.client())
    with pytest.raises(HeldByOther):
        other.acquire([CHAT], "run-2", 60, stop)
    pass_time(rig, 55)
    assert other.peek(CHAT, stop) is not None
    pass_time(rig, 10)
    assert other.peek(CHAT, stop) is None
    assert other.acquire([CHAT], "run-2", 60, stop).run_id == "run-2"


def test_a_renewal_counts_from_when_the_server_wrote_it(
    rig: BucketRig, leases: BucketLeases, stop: Stop
) -> None:
    held = leases.acquire([CHAT], "run-1", 90, stop)
    pass_time(rig, 60)
    renewed = leases.renew(held, stop)
    assert 59 < (renewed.until - held.until).total_seconds() < 65
    alter(rig, realm="another machine")
    pass_time(rig, 60)
    assert leases.peek(CHAT, stop) is not None
    assert (renewed.since, renewed.fence) == (held.since, held.fence)


def test_a_host_of_the_same_name_is_not_the_same_machine(
    rig: BucketRig, leases: BucketLeases, stop: Stop
) -> None:
    """In a container every process is number 7 of the host `runner`: it has not died for that."""
    leases.acquire([CHAT], "run-1", 90, stop)
    alter(rig, realm="another machine", pid=2**22 + 1)
    with pytest.raises(HeldByOther, match="run-1"):
        leases.acquire([CHAT], "run-2", 90, stop)


def test_a_process_of_this_machine_that_has_died_holds_nothing(
    rig: BucketRig, leases: BucketLeases, stop: Stop
) -> None:
    leases.acquire([CHAT], "run-1", 90, stop)
    alter(rig, pid=2**22 + 1)
    assert leases.peek(CHAT, stop) is None
    assert leases.acquire([CHAT], "run-2", 90, stop).run_id == "run-2"


def test_a_run_that_goes_on_elsewhere_takes_its_own_lease(
    rig: BucketRig, leases: BucketLeases, stop: Stop
) -> None:
    old = leases.acquire([CHAT], "run-1", 90, stop)
    again = leases.acquire([CHAT], "run-1", 90, stop)
    assert again.fence != old.fence, "the same process, going on with its run"
    alter(rig, realm="another machine")
    there = BucketLeases(rig.client()).acquire([CHAT], "run-1", 90, stop)
    with pytest.raises(LeaseLost, match="taken by run run-1"):
        leases.renew(again, stop)
    assert leases.peek(CHAT, stop) == there


def test_a_run_that_another_living_process_goes_on_with_is_not_gone_on_with_twice(
    rig: BucketRig, leases: BucketLeases, stop: Stop
) -> None:
    leases.acquire([CHAT], "run-1", 90, stop)
    parent = identify(os.getppid())
    assert parent is not None
    alter(rig, pid=parent.pid, started=parent.started)
    with pytest.raises(HeldByOther, match=f"process {os.getppid()} on"):
        leases.acquire([CHAT], "run-1", 90, stop)


@pytest.mark.parametrize("kind", ["lost", "unheard", "halved"])
@pytest.mark.parametrize("verb", ["GET", "POST", "DELETE"])
def test_a_connection_that_is_cut_anywhere_leaves_the_lease_whole(
    rig: BucketRig, leases: BucketLeases, stop: Stop, verb: str, kind: str
) -> None:
    """A write may have been done and its answer lost: ours is told from another's by its fence."""
    other = BucketLeases(rig.client())

    def cut() -> None:
        rig.server.troubles[:] = [Trouble(kind, verb)]  # type: ignore[arg-type]

    cut()
    held = leases.acquire([CHAT, WEB], "run-1", 90, stop)
    with pytest.raises(HeldByOther, match="run-1"):
        other.acquire([WEB], "run-2", 90, stop)
    cut()
    held = leases.renew(held, stop)
    assert other.peek(CHAT, stop) == replace(held, targets=(CHAT,), until=_until(other, stop))
    cut()
    leases.release(held)
    assert rig.names() == []


def _until(leases: BucketLeases, stop: Stop) -> datetime:
    seen = leases.peek(CHAT, stop)
    assert seen is not None
    return seen.until


def test_what_was_taken_is_let_go_when_the_rest_cannot_be(
    rig: BucketRig, leases: BucketLeases, stop: Stop
) -> None:
    rig.server.troubles.append(Trouble("refuse", "POST", after=1, status=403, message="no"))
    with pytest.raises(LeaseError):
        leases.acquire([CHAT, WEB], "run-1", 90, stop)
    assert rig.names() == []


def test_what_was_taken_is_let_go_when_the_run_is_stopped_meanwhile(
    rig: BucketRig, leases: BucketLeases
) -> None:
    stop = Stop(1.0)
    rig.server.troubles.append(Trouble("hang", "POST", after=1))
    with pytest.raises(Stopped):
        leases.acquire([CHAT, WEB], "run-1", 90, stop)
    assert rig.names() == []


def test_a_lease_that_is_taken_between_the_look_and_the_write_is_seen(
    rig: BucketRig, leases: BucketLeases, stop: Stop
) -> None:
    other = BucketLeases(rig.client())
    old = leases.acquire([CHAT], "run-0", 5, stop)
    pass_time(rig, 10)
    # What the taker sees has run out; by the time that it writes, another one stands there.
    seen = leases._look(CHAT, stop)
    won = other.acquire([CHAT], "run-1", 90, stop)
    mine = BucketLease.of_this_process("run-2", 90)
    with pytest.raises(HeldByOther, match="run-1"):
        leases._take(CHAT, seen, mine, stop)
    with pytest.raises(LeaseLost, match="run-1"):
        leases._rewrite(CHAT, old, seen, stop)
    assert other.peek(CHAT, stop) == won


def test_of_many_processes_that_take_it_again_and_again_one_has_it_at_a_time(
    rig: BucketRig, stop: Stop
) -> None:
    inside: list[str] = []
    crowded: list[list[str]] = []
    taken: list[str] = []

    def contend(name: str) -> None:
        leases = BucketLeases(rig.client())
        for turn in range(6):
            try:
                held = leases.acquire([CHAT, WEB], f"{name}-{turn}", 90, stop)
            except HeldByOther:
                continue
            inside.append(name)
            crowded.extend([list(inside)] if len(inside) > 1 else [])
            leases.renew(held, stop)
            taken.append(name)
            inside.remove(name)
            leases.release(held)

    threads = [threading.Thread(target=contend, args=(f"run-{n}",)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert crowded == []
    assert taken
    assert rig.names() == []


def test_a_lease_of_a_later_version_is_not_taken_for_none(
    rig: BucketRig, leases: BucketLeases, stop: Stop
) -> None:
    leases.acquire([CHAT], "run-1", 90, stop)
    alter(rig, v=2)
    asks: list[Callable[[], object]] = [
        lambda: leases.peek(CHAT, stop),
        lambda: leases.acquire([CHAT], "run-2", 90, stop),
    ]
    for ask in asks:
        with pytest.raises(LeaseError, match="later version of loopctl") as refused:
            ask()
        assert refused.value.where == f"{PLACE}/{rig.names()[0]}"


def test_an_object_of_any_size_in_its_place_is_not_read(
    rig: BucketRig, leases: BucketLeases, stop: Stop
) -> None:
    leases.acquire([CHAT], "run-1", 90, stop)
    [name] = rig.names()
    rig.write(name, "x" * (1 << 20))
    rig.server.calls.clear()
    assert leases.peek(CHAT, stop) is None
    assert len(rig.server.calls) == 1
    assert leases.acquire([CHAT], "run-2", 90, stop).run_id == "run-2"


def test_no_bucket_and_no_permission_are_told_with_what_mends_them(
    rig: BucketRig, leases: BucketLeases, stop: Stop
) -> None:
    nowhere = BucketLeases(rig.client(BucketPlace("theirs", "x")))
    with pytest.raises(LeaseError, match="The specified bucket does not exist") as refused:
        nowhere.acquire([CHAT], "run-1", 90, stop)
    assert "gcloud storage buckets create gs://theirs" in str(refused.value.hint)
    held = leases.acquire([CHAT], "run-1", 90, stop)
    text = "a@b.iam.gserviceaccount.com does not have storage.objects.get access"
    rig.server.troubles.append(Trouble("refuse", status=403, message=text, times=9))
    asks: list[Callable[[], object]] = [
        lambda: leases.acquire([CHAT], "run-1", 90, stop),
        lambda: leases.renew(held, stop),
        lambda: leases.release(held),
        lambda: leases.peek(CHAT, stop),
    ]
    for ask in asks:
        with pytest.raises(LeaseError, match="the leases cannot be used: cannot read") as told:
            ask()
        assert "--member=serviceAccount:a@b.iam.gserviceaccount.com" in str(told.value.hint)
        assert "\n" not in told.value.what


def test_one_that_cannot_be_let_go_of_in_time_is_a_leases_error_and_no_end_of_the_run(
    rig: BucketRig, leases: BucketLeases, stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = leases.acquire([CHAT], "run-1", 90, stop)
    monkeypatch.setattr("loopctl.platforms.cloud_run.bucket_lease._RELEASE_S", 0.3)
    rig.server.troubles.append(Trouble("hang", times=9))
    with pytest.raises(LeaseError, match="could not be let go of"):
        leases.release(held)


def test_a_server_that_tells_no_time_makes_nobody_dead(
    rig: BucketRig, leases: BucketLeases, stop: Stop
) -> None:
    leases.acquire([CHAT], "run-1", 5, stop)
    alter(rig, realm="another machine")
    pass_time(rig, 3600)
    rig.server.dated = False
    with pytest.raises(HeldByOther):
        BucketLeases(rig.client()).acquire([CHAT], "run-2", 90, stop)
