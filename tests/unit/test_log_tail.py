"""The last telling line of a log, read while it grows, and never more than a little of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopctl.bootstrap.log_tail import LogTail, is_telling
from loopctl.platforms.host.log_file import LogFile

WATCHED = {"chat": "chat-00001-aaa"}


def test_only_lines_that_tell_of_trouble_are_news_and_each_once(tmp_path: Path) -> None:
    tail = LogTail(tmp_path, "local", tmp_path / "runs")
    assert not list(tail.news(WATCHED)), "there is no log yet"
    folder = tmp_path / "runs" / "hosts" / "local" / "logs" / "chat"
    folder.mkdir(parents=True)
    log = LogFile(folder / "chat-00001-aaa.jsonl", "chat-00001-aaa")
    log.write("stdout", ["INFO all is well", "WARNING pool is nearly empty"])
    assert [entry.text for entry in tail.news(WATCHED)] == ["WARNING pool is nearly empty"]
    assert not list(tail.news(WATCHED))
    log.write("stderr", ["INFO GET /a 200"] * 20_000 + ["ERROR it broke"])
    assert [(entry.service, entry.text) for entry in tail.news(WATCHED)] == [
        ("chat", "ERROR it broke")
    ]
    assert not list(tail.news({"chat": "another"}))
    log.close()


@pytest.mark.parametrize(
    ("line", "tells"),
    [
        ("2025-01-01 10:00:00 WARN slow", True),
        ("level=warning msg=x", True),
        ("ValueError: no", True),
        ("INFO no warning", False),
        ("DEBUG WARNING_LEVEL=3", False),
    ],
)
def test_what_a_line_tells(line: str, tells: bool) -> None:
    assert is_telling(line) is tells
