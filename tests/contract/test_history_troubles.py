"""A history meets many writers at once, and places that hang, are full or may not be written."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from test_histories import ENV, LOOP, P, a_green, a_run

from loopctl.errors import Stopped
from loopctl.journal.earlier_runs import EarlierRuns
from loopctl.journal.history_files import KEPT, FileHistory, keep_record
from loopctl.model.plan import UrlPlace
from loopctl.platforms.url_history import UrlHistory
from loopctl.platforms.url_history_child import KEPT as KEPT_AT_URL
from loopctl.ports.history import HistoryError
from loopctl.process import Stop

WRITER = Path(__file__).with_name("history_writer.py")


@pytest.fixture
def stop() -> Stop:
    return Stop(20)


def writers(place: str, machines: int, each: int) -> list[str]:
    """Let that many processes write at once; the key that each of them was given."""
    path = os.pathsep.join(filter(None, sys.path))
    started = [
        subprocess.Popen(
            [sys.executable, str(WRITER), place, str(number * each), str(each)],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(machines)
    ]
    told = [process.communicate(timeout=60)[0] for process in started]
    assert [process.returncode for process in started] == [0] * machines
    return [text.strip() for text in told]


def test_many_machines_write_plain_files_at_once_and_nothing_is_lost(
    tmp_path: Path, stop: Stop
) -> None:
    keys = writers(str(tmp_path), 4, 5)
    assert len(set(keys)) == 1
    found = FileHistory(tmp_path).recent(LOOP, ENV, 99, stop)
    assert found == [a_run(number, a=P) for number in reversed(range(20))]
    left = [path.name for path in (tmp_path / LOOP / ENV).iterdir()]
    assert len(left) == 20, "nothing half written stays behind"


@pytest.mark.slow
def test_many_machines_write_by_fsspec_at_once_and_nothing_is_lost(
    tmp_path: Path, stop: Stop
) -> None:
    keys = writers(f"local://{tmp_path}", 3, 3)
    assert len(set(keys)) == 1
    found = UrlHistory(UrlPlace(f"local://{tmp_path}")).recent(LOOP, ENV, 99, stop)
    assert found == [a_run(number, a=P) for number in reversed(range(9))]


def test_the_number_that_is_kept_is_bounded_and_the_last_greens_are_among_them(
    tmp_path: Path, stop: Stop
) -> None:
    history = FileHistory(tmp_path)
    history.put(replace(a_green(0), greens=(a_green(0).run_id,)), stop)
    for number in range(1, KEPT + 20):
        red = replace(a_run(number, a=P), verdict="red", greens=(a_green(0).run_id,))
        history.put(red, stop)

    past = EarlierRuns(history, LOOP, ENV).past()
    assert past.last_green is not None
    assert past.last_green.run_id == a_green(0).run_id
    assert past.baseline(2) == a_green(0).green
    assert len(list((tmp_path / LOOP / ENV).iterdir())) == KEPT + 1


def test_by_fsspec_too_the_oldest_go_and_the_last_greens_stay(tmp_path: Path, stop: Stop) -> None:
    plain = tmp_path / LOOP / ENV
    plain.mkdir(parents=True)
    for number in range(KEPT_AT_URL + 9):
        (plain / f"{a_run(number).run_id}.json").write_text("an old one")
    newest = replace(a_run(9999, a=P), greens=(a_run(3).run_id,))
    UrlHistory(UrlPlace(f"local://{tmp_path}")).put(newest, stop)
    left = sorted(path.name for path in plain.iterdir())
    assert len(left) == KEPT_AT_URL + 1
    assert left[0] == f"{a_run(3).run_id}.json"


@pytest.fixture
def silent() -> Iterator[UrlPlace]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield UrlPlace(f"ftp://127.0.0.1:{server.getsockname()[1]}/loopctl")


def test_a_place_that_hangs_is_left_when_the_time_is_up(silent: UrlPlace) -> None:
    history = UrlHistory(silent)
    began = time.monotonic()
    with pytest.raises(Stopped):
        history.recent(LOOP, ENV, 9, Stop(0.8))
    (told,) = keep_record(history, a_run(1, a=P), Stop(0.8))
    assert told == "what this run tells was not kept for later runs: ended by its deadline"
    assert time.monotonic() - began < 4


def test_earlier_runs_that_cannot_be_had_are_told_and_not_asked_for_again(
    silent: UrlPlace, stop: Stop
) -> None:
    earlier = EarlierRuns(UrlHistory(silent), LOOP, ENV)
    with stop.child(0.8) as limited:
        assert earlier.past(limited).unread == "no answer within 5 s"
    began = time.monotonic()
    assert earlier.past().records == ()
    assert earlier.key() is None
    assert time.monotonic() - began < 0.5


def test_nobody_there_is_told_in_one_line(stop: Stop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    place = UrlPlace(f"ftp://127.0.0.1:{port}/loopctl")
    with pytest.raises(HistoryError, match="cannot be had: ConnectionRefusedError") as refused:
        UrlHistory(place).recent(LOOP, ENV, 9, stop)
    assert refused.value.where == f"{place}/{LOOP}/{ENV}"
    assert "\n" not in refused.value.what


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KB, where a root may mount one."""
    place = tmp_path / "disk"
    place.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, timeout=10, check=False).returncode != 0:
        pytest.skip("mounting a small disk needs the right to mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True, timeout=10)


@pytest.mark.parametrize("by", ["files", "url"])
def test_a_full_disk_and_one_that_may_not_be_written_keep_what_they_had(
    tiny_disk: Path, stop: Stop, by: str
) -> None:
    history = FileHistory(tiny_disk)
    history.put(a_run(1, a=P), stop)
    asked = history if by == "files" else UrlHistory(UrlPlace(f"local://{tiny_disk}"))
    (tiny_disk / "ballast").write_bytes(b"x" * (40 << 10))

    large = a_run(2, **{f"case_{number}": P for number in range(900)})
    (full,) = keep_record(asked, large, stop)
    assert "No space left on device" in full
    assert asked.recent(LOOP, ENV, 9, stop) == [a_run(1, a=P)]

    command = ["mount", "-o", "remount,ro", str(tiny_disk)]
    subprocess.run(command, check=True, timeout=10)
    (refused,) = keep_record(asked, a_run(3, a=P), stop)
    assert "Read-only file system" in refused
    assert asked.recent(LOOP, ENV, 9, stop) == [a_run(1, a=P)]
    with pytest.raises(HistoryError, match="Read-only file system"):
        asked.key(stop)
