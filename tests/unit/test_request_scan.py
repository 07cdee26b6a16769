"""A request log that is read again and again: only what is new, whatever the clock says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from loopctl.platforms.hosted.captures import Mark
from loopctl.platforms.hosted.request_scan import RequestScan

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def record(at: datetime, path: str) -> str:
    fields = {
        "at": at.isoformat(),
        "service": "web",
        "revision": "web-1",
        "method": "GET",
        "path": path,
        "status": 200,
        "event": "request",
        "remote_port": 4000,
    }
    return json.dumps(fields) + "\n"


def log_of(folder: Path, times: list[datetime]) -> Path:
    """A log that a host has opened, with a request at each of the times."""
    file = folder / "web.jsonl"
    opened = json.dumps({"mark": "opened", "t": BEGAN.isoformat()}) + "\n"
    file.write_text(opened + "".join(record(at, f"/{n}") for n, at in enumerate(times)))
    return file


def paths(scan: RequestScan, file: Path, since: datetime) -> list[str]:
    return [item.path for item in scan.items(file, since) if not isinstance(item, Mark)]


def test_what_was_read_before_is_not_read_again(tmp_path: Path) -> None:
    times = [BEGAN + timedelta(seconds=n) for n in range(5000)]
    file, scan = log_of(tmp_path, times), RequestScan()
    assert len(paths(scan, file, BEGAN)) == 5000
    late = paths(scan, file, times[-100])
    assert late[-100:] == [f"/{n}" for n in range(4900, 5000)]
    assert len(late) < 500
    with file.open("a") as more:
        more.write(record(times[-1], "/more"))
    assert paths(scan, file, times[-1])[-1] == "/more"
    assert len(paths(scan, file, BEGAN)) == 5001, "nothing is forgotten"


def test_a_host_that_had_the_log_open_is_known_without_reading_its_mark(tmp_path: Path) -> None:
    times = [BEGAN + timedelta(seconds=n) for n in range(1000)]
    file, scan = log_of(tmp_path, times), RequestScan()
    assert len(list(scan.items(file, BEGAN))) == 1001
    first, *_ = scan.items(file, times[-1] + HOUR)
    assert isinstance(first, Mark)
    assert first.kind == "opened"
    assert first.at < times[-1] + HOUR


def test_a_clock_that_was_set_back_hides_no_request(tmp_path: Path) -> None:
    times = [BEGAN + timedelta(seconds=n) for n in range(1000)]
    back = [at - HOUR for at in times]
    file, scan = log_of(tmp_path, times + back), RequestScan()
    assert len(paths(scan, file, BEGAN)) == 2000
    assert paths(scan, file, back[0])[-1000:] == [f"/{n}" for n in range(1000, 2000)]
    assert paths(scan, file, times[-1])[-1000:] == [f"/{n}" for n in range(1000, 2000)]


def test_another_file_of_the_same_name_is_read_from_its_start(tmp_path: Path) -> None:
    times = [BEGAN + timedelta(seconds=n) for n in range(1000)]
    file, scan = log_of(tmp_path, times), RequestScan()
    assert len(paths(scan, file, BEGAN)) == 1000
    file.replace(tmp_path / "web.jsonl.1")
    file = log_of(tmp_path, times[:10])
    assert len(paths(scan, file, times[-1])) == 10
