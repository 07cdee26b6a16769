"""One run at a time on a target: the promises of the leases port, kept by every adapter."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from annotation_leases_rig import AnnotatedServices, annotated_services
from bucket_rig import PLACE, BucketRig, a_bucket
from platform_rig import environment

from loopctl.model.artifact import Target
from loopctl.platforms.cloud_run.bucket_lease import BucketLeases
from loopctl.platforms.cloud_run.leases import TTL_S
from loopctl.platforms.host.rendezvous import Rendezvous
from loopctl.platforms.hosted.leases import FileLeases
from loopctl.ports.leases import Held, HeldByOther, LeaseError, LeaseLost, Leases
from loopctl.process import Stop

HOLD_AND_DIE = """
import os, sys
from pathlib import Path
from loopctl.platforms.host.rendezvous import Rendezvous
from loopctl.platforms.hosted.leases import FileLeases
from loopctl.process import Stop
place = Rendezvous.of(Path(sys.argv[1]), "local", Path(sys.argv[2]))
FileLeases(place).acquire([place.target("chat")], "run-dead", 600, Stop(5))
os._exit(9)
"""


HOLD_IN_BUCKET_AND_DIE = """
import os, sys
from loopctl.model.artifact import Target
from loopctl.model.plan import BucketPlace
from loopctl.platforms.cloud_run.bucket_client import BucketClient
from loopctl.platforms.cloud_run.bucket_lease import BucketLeases
from loopctl.process import Stop
place = BucketPlace.of_url(sys.argv[1])
target = Target("cloud-run", "p/r", "chat")
BucketLeases(BucketClient(place)).acquire([target], "run-dead", 600, Stop(5))
os._exit(9)
"""


class LeaseRig(ABC):
    """Leases as two runs see them; `pace` is by what their times are longer than the files'.

    `eager`: renewing makes a lease last longer each time, not only when half of it is over.
    """

    leases: Leases
    elsewhere: Leases
    pace = 1.0
    eager = True

    @abstractmethod
    def target(self, service: str) -> Target: ...

    @abstractmethod
    def pass_time(self, seconds: float, stop: Stop) -> None:
        """Let so much time pass, by the clock that counts."""

    @abstractmethod
    def alter(self, change: Callable[[str], str]) -> None:
        """Change the record of the one lease that there is, by another hand."""

    @abstractmethod
    def hold_and_die(self) -> None:
        """Take the lease on `chat` in a process that is killed with it."""


class FileRig(LeaseRig):
    """File leases of one environment, and of a second runs folder on the same project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "project").mkdir()
        self.place = Rendezvous.of(folder / "project", "local", folder / "runs")
        other = Rendezvous.of(folder / "project", "local", folder / "other-runs")
        self.leases = FileLeases(self.place)
        self.elsewhere = FileLeases(other)

    def target(self, service: str) -> Target:
        return self.place.target(service)

    def pass_time(self, seconds: float, stop: Stop) -> None:
        stop.wait(seconds)

    def alter(self, change: Callable[[str], str]) -> None:
        [file] = self.place.leases.glob("*.json")
        file.write_text(change(file.read_text()))

    def hold_and_die(self) -> None:
        where = [str(self.folder / "project"), str(self.folder / "runs")]
        died = subprocess.run([sys.executable, "-c", HOLD_AND_DIE, *where], check=False)
        assert died.returncode == 9


class InBucket(LeaseRig):
    """Leases in a bucket, by two clients of it. Only the server's clock counts: it is put ahead."""

    pace = 100.0

    def __init__(self, bucket: BucketRig) -> None:
        self.bucket = bucket
        self.leases = BucketLeases(bucket.client())
        self.elsewhere = BucketLeases(bucket.client())

    def target(self, service: str) -> Target:
        return Target("cloud-run", "p/r", service)

    def pass_time(self, seconds: float, stop: Stop) -> None:
        self.bucket.server.buckets.offset += timedelta(seconds=seconds)

    def alter(self, change: Callable[[str], str]) -> None:
        [name] = self.bucket.names()
        self.bucket.write(name, change(self.bucket.content(name)))

    def hold_and_die(self) -> None:
        command = [sys.executable, "-c", HOLD_IN_BUCKET_AND_DIE, str(PLACE)]
        assert subprocess.run(command, check=False).returncode == 9


class InAnnotations(LeaseRig):
    """Leases on services of Cloud Run. Every write costs, so one lasts as long as it can."""

    pace = TTL_S / 0.4
    eager = False

    def __init__(self, services: AnnotatedServices) -> None:
        self.services = services
        self.leases, self.elsewhere = services.leases, services.elsewhere

    def target(self, service: str) -> Target:
        return Target("cloud-run", "p/us-central1", service)

    def pass_time(self, seconds: float, stop: Stop) -> None:
        self.services.pass_time(seconds)

    def alter(self, change: Callable[[str], str]) -> None:
        self.services.annotate(change(self.services.annotation()))

    def hold_and_die(self) -> None:
        assert subprocess.run(self.services.dying, check=False).returncode == 9


@contextmanager
def annotation_rig() -> Iterator[InAnnotations]:
    with annotated_services() as services:
        yield InAnnotations(services)


@contextmanager
def file_rig() -> Iterator[FileRig]:
    with (
        tempfile.TemporaryDirectory(prefix="lc-") as folder,
        environment(LOOPCTL_RUNTIME_DIR=folder),
    ):
        yield FileRig(Path(folder))


@contextmanager
def bucket_rig() -> Iterator[InBucket]:
    with a_bucket() as bucket:
        yield InBucket(bucket)


ADAPTERS: Mapping[str, Callable[[], AbstractContextManager[LeaseRig]]] = {
    "local": file_rig,
    "bucket": bucket_rig,
    "annotations": annotation_rig,
}


@pytest.fixture(params=ADAPTERS)
def rig(request: pytest.FixtureRequest) -> Iterator[LeaseRig]:
    with ADAPTERS[request.param]() as made:
        yield made


@pytest.fixture
def files() -> Iterator[FileRig]:
    with file_rig() as made:
        yield made


@pytest.fixture
def stop() -> Stop:
    return Stop(20)


def test_a_lease_is_seen_held_and_let_go(rig: LeaseRig, stop: Stop) -> None:
    chat = rig.target("chat")
    assert rig.leases.peek(chat, stop) is None
    held = rig.leases.acquire([chat], "run-1", 60, stop)
    assert rig.leases.peek(chat, stop) == held
    assert 59 < (held.until - held.since).total_seconds() < 61
    rig.leases.release(held)
    assert rig.leases.peek(chat, stop) is None
    rig.leases.release(held)


def test_a_second_run_is_told_who_holds_it_and_what_to_do(rig: LeaseRig, stop: Stop) -> None:
    held = rig.leases.acquire([rig.target("chat")], "run-1", 60, stop)
    with pytest.raises(HeldByOther) as refused:
        rig.elsewhere.acquire([rig.target("chat")], "run-2", 60, stop)
    told = str(refused.value)
    assert "run-1" in told
    assert f"process {os.getpid()} on " in told
    assert f"{held.since:%Y-%m-%d %H:%M:%S} UTC" in told
    assert f"{held.until:%H:%M:%S} UTC" in told
    assert refused.value.hint is not None
    assert refused.value.exit_code == 6


def test_all_are_taken_or_none(rig: LeaseRig, stop: Stop) -> None:
    names = [rig.target(name) for name in ("web", "auth", "chat")]
    rig.leases.acquire([rig.target("chat")], "run-1", 60, stop)
    with pytest.raises(HeldByOther):
        rig.leases.acquire(names, "run-2", 60, stop)
    assert rig.leases.peek(rig.target("auth"), stop) is None
    assert rig.leases.peek(rig.target("web"), stop) is None


def test_the_lease_of_a_dead_process_is_taken_over(rig: LeaseRig, stop: Stop) -> None:
    rig.hold_and_die()
    assert rig.leases.peek(rig.target("chat"), stop) is None
    assert rig.leases.acquire([rig.target("chat")], "run-2", 60, stop).run_id == "run-2"


def test_a_lease_that_ran_out_is_taken_over_and_its_holder_learns_it(
    rig: LeaseRig, stop: Stop
) -> None:
    old = rig.leases.acquire([rig.target("chat")], "run-1", 0.05 * rig.pace, stop)
    rig.pass_time(0.1 * rig.pace, stop)
    new = rig.elsewhere.acquire([rig.target("chat")], "run-2", 60, stop)
    assert new.fence != old.fence
    with pytest.raises(LeaseLost, match="taken by run run-2"):
        rig.leases.renew(old, stop)
    rig.leases.release(old)
    assert rig.leases.peek(rig.target("chat"), stop) == new


def test_renewing_holds_on_for_as_long_again(rig: LeaseRig, stop: Stop) -> None:
    both = [rig.target("chat"), rig.target("auth")]
    first = held = rig.leases.acquire(both, "run-1", 0.4 * rig.pace, stop)
    for _ in range(4):
        rig.pass_time(0.15 * rig.pace, stop)
        renewed = rig.leases.renew(held, stop)
        assert (renewed.fence, renewed.since) == (held.fence, held.since)
        assert renewed.until > held.until or not rig.eager
        held = renewed
    assert held.until > first.until
    with pytest.raises(HeldByOther):
        rig.elsewhere.acquire([rig.target("auth")], "run-2", 60, stop)


def test_a_released_lease_cannot_be_renewed(rig: LeaseRig, stop: Stop) -> None:
    held = rig.leases.acquire([rig.target("chat")], "run-1", 60, stop)
    rig.leases.release(held)
    with pytest.raises(LeaseLost):
        rig.leases.renew(held, stop)
    assert rig.leases.peek(rig.target("chat"), stop) is None


def test_of_many_that_try_at_once_one_gets_it(rig: LeaseRig, stop: Stop) -> None:
    targets = [rig.target("chat"), rig.target("auth")]
    won: list[Held] = []
    refused: list[HeldByOther] = []

    def attempt(leases: Leases, name: str) -> None:
        try:
            won.append(leases.acquire(targets, name, 60, stop))
        except HeldByOther as error:
            refused.append(error)

    threads = [
        threading.Thread(target=attempt, args=(leases, f"run-{n}"))
        for n, leases in enumerate((rig.leases, rig.elsewhere) * 4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(refused)) == (1, 7)
    assert [rig.leases.peek(target, stop) is not None for target in targets] == [True, True]


def test_a_pid_that_was_given_to_another_process_holds_nothing(rig: LeaseRig, stop: Stop) -> None:
    held = rig.leases.acquire([rig.target("chat")], "run-1", 60, stop)

    def of_another(text: str) -> str:
        record = json.loads(text)
        return json.dumps(record | {"started": record["started"] - 1})

    rig.alter(of_another)
    assert rig.leases.peek(held.targets[0], stop) is None


def test_a_record_that_is_no_record_does_not_stand_in_the_way(rig: LeaseRig, stop: Stop) -> None:
    rig.leases.acquire([rig.target("chat")], "run-1", 60, stop)
    for nonsense in ("", "[]", '{"v": 1}', "\x00"):
        rig.alter(lambda _, text=nonsense: text)  # type: ignore[misc]
        assert rig.leases.peek(rig.target("chat"), stop) is None
    rig.leases.acquire([rig.target("chat")], "run-2", 60, stop)


def test_one_that_cannot_be_let_go_of_is_a_leases_error_and_no_end_of_the_run(
    files: FileRig, stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = files.leases.acquire([files.target("chat")], "run-1", 60, stop)
    monkeypatch.setattr("loopctl.platforms.hosted.leases._GUARD_LIMIT_S", 0.1)
    with (files.place.leases / "guard").open("r+") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        with pytest.raises(LeaseError, match="keeps them locked"):
            files.leases.release(held)
    files.leases.release(held)


def test_a_runtime_folder_that_is_open_to_others_is_refused(files: FileRig, stop: Stop) -> None:
    files.place.runtime.parent.mkdir(mode=0o700)
    files.place.runtime.parent.chmod(0o755)
    with pytest.raises(LeaseError, match="open to others"):
        files.leases.acquire([files.target("chat")], "run-1", 60, stop)
