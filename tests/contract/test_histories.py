"""What runs leave of their cases is found again: promises of the port, kept by every adapter."""

from __future__ import annotations

import json
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bucket_rig import BucketRig, a_bucket
from gcs_rig import GcsRig, a_gcs

from loopctl.errors import Stopped
from loopctl.journal.history_files import FileHistory
from loopctl.model.baseline import Baseline, Seen
from loopctl.model.evidence import CaseStatus, Grade
from loopctl.model.plan import UrlPlace
from loopctl.platforms.cloud_run.bucket_history import BucketHistory
from loopctl.platforms.url_history import UrlHistory
from loopctl.ports.history import (
    CaseRecord,
    FindingRecord,
    History,
    HistoryError,
    RemedyRecord,
    RunRecord,
)
from loopctl.process import Stop, in_parallel

P, F = CaseStatus.PASSED, CaseStatus.FAILED
BEGAN = datetime(2025, 9, 10, 20, 30, tzinfo=UTC)
LOOP, ENV, SUITE = "golden-path", "local", "p1"


BROKEN = ("{", "[]", "null", "\x00" * 99, "[" * 100_000, "\x1f\x8b\x08 not packed")


class HistoryRig(ABC):
    """A history, another of the same place, and a hand that writes below it by name.

    `at_once` is how many may make the key side by side.
    """

    history: History
    elsewhere: History
    at_once = 2

    @abstractmethod
    def write(self, name: str, content: str) -> None: ...

    @abstractmethod
    def names(self) -> list[str]: ...


class FileRig(HistoryRig):
    def __init__(self, root: Path) -> None:
        self._root = root
        self.history, self.elsewhere = FileHistory(root), FileHistory(root)

    def write(self, name: str, content: str) -> None:
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def names(self) -> list[str]:
        return [str(p.relative_to(self._root)) for p in self._root.rglob("*") if p.is_file()]


class InBucket(HistoryRig):
    def __init__(self, bucket: BucketRig | GcsRig) -> None:
        self._bucket = bucket
        self.history = BucketHistory(bucket.client())
        self.elsewhere = BucketHistory(bucket.client())

    def write(self, name: str, content: str) -> None:
        self._bucket.write(name, content)

    def names(self) -> list[str]:
        return self._bucket.names()


class AtUrl(FileRig):
    """By fsspec, on files: `local` is what it calls them beside `file`."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        place = UrlPlace(f"local://{root}")
        self.history, self.elsewhere = UrlHistory(place), UrlHistory(place)


@contextmanager
def url_rig() -> Iterator[HistoryRig]:
    with tempfile.TemporaryDirectory(prefix="lc-") as folder:
        yield AtUrl(Path(folder) / "history")


@contextmanager
def file_rig() -> Iterator[HistoryRig]:
    with tempfile.TemporaryDirectory(prefix="lc-") as folder:
        yield FileRig(Path(folder) / "history")


@contextmanager
def gcs_rig() -> Iterator[HistoryRig]:
    with a_gcs() as bucket:
        rig = InBucket(bucket)
        # That server looks whether there is an object, and writes it, in two steps.
        rig.at_once = 1
        yield rig


@contextmanager
def bucket_rig() -> Iterator[HistoryRig]:
    with a_bucket() as bucket:
        yield InBucket(bucket)


ADAPTERS: Mapping[str, Callable[[], AbstractContextManager[HistoryRig]]] = {
    "files": file_rig,
    "bucket": bucket_rig,
    "gcs": gcs_rig,
    "url": url_rig,
}


@pytest.fixture(params=ADAPTERS)
def rig(request: pytest.FixtureRequest) -> Iterator[HistoryRig]:
    with ADAPTERS[request.param]() as made:
        yield made


@pytest.fixture
def stop() -> Stop:
    return Stop(20)


def a_run(number: int, **cases: CaseStatus) -> RunRecord:
    """The run of that number: the greater the newer."""
    return of_cases(number, {name: CaseRecord(status, 0.25) for name, status in cases.items()})


def of_cases(number: int, cases: Mapping[str, CaseRecord]) -> RunRecord:
    at = BEGAN + timedelta(seconds=number)
    return RunRecord(
        f"{at:%Y%m%d-%H%M%S}-{LOOP}-{number:04x}",
        LOOP,
        ENV,
        at,
        verdict="green",
        commit="19d714b3b",
        images={"chat": "sha256:aaaa"},
        suites={SUITE: cases},
        outcomes={SUITE: "passed"},
        seconds={SUITE: 8.25},
    )


def test_a_record_is_read_as_it_was_kept(rig: HistoryRig, stop: Stop) -> None:
    strange = "tests/t.py::test_ü[\ud800 \n \x1b[31m]"
    kept = of_cases(1, {strange: CaseRecord(P, 0.25, Grade.PROVEN, "c0de"), "b": CaseRecord(F, 2)})

    rig.history.put(kept, stop)

    assert rig.elsewhere.recent(LOOP, ENV, 10, stop) == [kept]
    assert rig.names() == [f"{LOOP}/{ENV}/{kept.run_id}.json"]


def a_green(number: int) -> RunRecord:
    """A record in which every field says something."""
    seen = {"started on port <n>": Seen(2, "chat-00001-k7q"), "ü \ud800 <n>": Seen(1, "chat-2")}
    return replace(
        a_run(number, a=P),
        verified={"chat": "chat-00002-abc"},
        duration_s=12.5,
        durations={"build": 1.25},
        green=Baseline(
            {"chat": seen, "quiet": {}},
            {"chat": 3, "quiet": 0},
            {"chat": 8.5, "quiet": 0.0},
            {"chat": (12.5,)},
            {"chat": {"chat-00002-abc": 100}},
            {SUITE: '{"kinds":{}}'},
            2,
        ),
        greens=(a_run(number).run_id, a_run(0).run_id),
        configuration={"LOG_LEVEL of chat": "c0ffee"},
        hashed_by="abad1dea",
        files={"loops/web.yaml": "sha256:aa"},
        findings=(FindingRecord("v1|x", None, "TypeError", "chat"),),
        remedies=(
            RemedyRecord("deploy.stale-image", "rebuild", "done", BEGAN, "chat", mended=True),
        ),
    )


def test_all_that_a_green_run_leaves_is_read_as_it_was_kept(rig: HistoryRig, stop: Stop) -> None:
    many = {f"line {n} of <q>": Seen(n + 1, f"chat-{n % 7}") for n in range(3_000)}
    large = replace(a_green(2), green=Baseline({"chat": many}, {"chat": 9}, {"chat": 1.0}))
    for kept in (a_green(1), large):
        rig.history.put(kept, stop)

    assert rig.elsewhere.recent(LOOP, ENV, 10, stop) == [large, a_green(1)]


def test_what_others_wrote_as_a_commit_is_no_option_of_git(rig: HistoryRig, stop: Stop) -> None:
    rig.history.put(replace(a_run(1, a=P), commit="--output=/tmp/owned"), stop)
    assert rig.history.recent(LOOP, ENV, 9, stop) == [replace(a_run(1, a=P), commit=None)]


def test_runs_are_found_by_name_however_many_came_after_them(rig: HistoryRig, stop: Stop) -> None:
    for number in range(4):
        rig.history.put(a_run(number, a=P), stop)
    names = [a_run(number).run_id for number in (2, 9, 0)]

    assert rig.elsewhere.named(LOOP, ENV, names, stop) == [a_run(2, a=P), a_run(0, a=P)]
    assert rig.elsewhere.named(LOOP, ENV, ["../../key", "key", ""], stop) == []
    assert rig.elsewhere.named("..", ENV, names, stop) == []


def test_all_who_share_a_history_have_one_key(rig: HistoryRig, stop: Stop) -> None:
    asked = {name: h.key for name, h in {"here": rig.history, "there": rig.elsewhere}.items()}
    first = in_parallel(stop, rig.at_once, asked)
    rig.history.put(a_run(1, a=P), stop)

    assert len(set(first.values())) == 1
    assert rig.elsewhere.key(stop) == first["here"]
    assert len(first["here"]) == 32
    assert len(rig.history.recent(LOOP, ENV, 9, stop)) == 1


def test_the_newest_come_first_and_no_more_than_asked_for(rig: HistoryRig, stop: Stop) -> None:
    for number in (2, 3, 1):
        rig.history.put(a_run(number, a=P), stop)

    assert rig.history.recent(LOOP, ENV, 2, stop) == [a_run(3, a=P), a_run(2, a=P)]
    assert rig.history.recent("other", ENV, 9, stop) == []
    assert rig.history.recent(LOOP, "staging", 9, stop) == []
    assert rig.history.recent(LOOP, ENV, 0, stop) == []


def test_a_run_that_was_gone_on_with_replaces_its_record(rig: HistoryRig, stop: Stop) -> None:
    rig.history.put(a_run(1, a=F, b=F), stop)
    rig.elsewhere.put(a_run(1, a=P), stop)
    rig.elsewhere.put(a_run(1, a=P), stop)

    assert rig.history.recent(LOOP, ENV, 9, stop) == [a_run(1, a=P)]


def test_environments_and_loops_whose_names_begin_alike_are_told_apart(
    rig: HistoryRig, stop: Stop
) -> None:
    one, other = a_run(1, a=P), replace(a_run(2, a=P), environment=f"{ENV}-2")
    third = replace(a_run(3, a=P), loop=f"{LOOP}-2")
    for record in (one, other, third):
        rig.history.put(record, stop)

    assert rig.history.recent(LOOP, ENV, 9, stop) == [one]
    assert rig.history.recent(LOOP, f"{ENV}-2", 9, stop) == [other]
    assert rig.history.recent(f"{LOOP}-2", ENV, 9, stop) == [third]


@pytest.mark.parametrize(
    "content",
    [
        *("", "7"),
        json.dumps({"schema": 3}),
        json.dumps({"schema": 2, "run_id": a_run(9).run_id, "loop": LOOP, "environment": ENV}),
        json.dumps({"schema": 1, "run_id": a_run(9).run_id, "loop": "another"}),
        *(pytest.param(text, marks=pytest.mark.slow) for text in BROKEN),
    ],
)
def test_what_is_no_record_costs_no_other(rig: HistoryRig, stop: Stop, content: str) -> None:
    for number in (8, 10):
        rig.history.put(a_run(number, a=P), stop)
    rig.write(f"{LOOP}/{ENV}/{a_run(9).run_id}.json", content)
    rig.write(f"{LOOP}/{ENV}/notes.txt", "mine")

    assert rig.history.recent(LOOP, ENV, 9, stop) == [a_run(10, a=P), a_run(8, a=P)]


@pytest.mark.parametrize("name", ["..", "a/b", "", "/etc", "\x1b[31m", "x" * 300])
def test_a_name_that_leads_elsewhere_is_no_name(rig: HistoryRig, stop: Stop, name: str) -> None:
    for record in (
        replace(a_run(1, a=P), loop=name),
        replace(a_run(1, a=P), environment=name),
        replace(a_run(1, a=P), run_id=name),
    ):
        with pytest.raises(HistoryError, match="no name"):
            rig.history.put(record, stop)
    assert rig.history.recent(name, ENV, 9, stop) == []
    assert rig.names() == []


def test_a_stop_ends_the_reading_and_the_writing(rig: HistoryRig) -> None:
    stop = Stop(20)
    rig.history.put(a_run(1, a=P), stop)
    stop.stop("SIGINT")

    with pytest.raises(Stopped):
        rig.history.recent(LOOP, ENV, 9, stop)
    with pytest.raises(Stopped):
        rig.history.put(a_run(2, a=P), stop)


def test_a_record_too_large_to_be_read_again_is_not_kept(rig: HistoryRig, stop: Stop) -> None:
    large = of_cases(1, {"x" * (9 << 20): CaseRecord(P, 1.0)})
    with pytest.raises(HistoryError, match="can be read again"):
        rig.history.put(large, stop)
    assert rig.names() == []


def test_one_that_is_just_small_enough_is_kept_and_read(rig: HistoryRig, stop: Stop) -> None:
    large = of_cases(1, {"x" * ((8 << 20) - 1200): CaseRecord(P, 1.0)})
    rig.history.put(large, stop)
    assert rig.history.recent(LOOP, ENV, 1, stop) == [large]
