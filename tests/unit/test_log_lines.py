"""What several services have said, told as one."""

from __future__ import annotations

import json
from pathlib import Path

from loopctl.api import kept_logs, log_line, log_lines
from loopctl.journal.wording import seconds


def said(second: str, text: str, **fields: object) -> str:
    entry = {"at": f"2025-09-10T20:30:{second}", "revision": "chat-1", "stream": "stdout"}
    return json.dumps(entry | {"text": text} | fields)


def test_lines_of_all_services_come_in_the_order_of_time(tmp_path: Path) -> None:
    chat, login = tmp_path / "chat.jsonl", tmp_path / "login.jsonl"
    chat.write_text("\n".join([said("01Z", "a"), said("03.5Z", "c"), "torn", said("05Z", "e")]))
    login.write_text(
        "\n".join([said("02+00:00", "b"), said("04", "naive", at=7), said("06Z", "f")])
    )
    told = [log_line(text) for text in log_lines([chat, login])]
    assert [line.rpartition(" ")[2] for line in told] == [
        "a",
        "b",
        '"naive"}',
        "c",
        "torn",
        "e",
        "f",
    ]
    assert told[0] == "2025-09-10T20:30:01.000Z chat-1 stdout a"
    assert list(log_lines([])) == []


def test_a_line_that_somebody_has_edited_is_shown_as_it_is() -> None:
    assert log_line('{"at": "2025-09-10T20:30:01Z", "text": "x"}\n').endswith(" x")
    assert log_line("[" * 100_000) == "[" * 100_000


def test_a_clock_at_the_end_of_time_and_a_length_that_is_none_cost_no_line(tmp_path: Path) -> None:
    log = tmp_path / "chat.jsonl"
    ends = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00")
    log.write_text("\n".join(json.dumps({"at": at, "text": "said"}) for at in ends))
    assert sorted(log_line(text)[-4:] for text in log_lines([log])) == ["said"] * 3
    lengths = (float("nan"), float("inf"), -1e308, 1e308)
    assert {seconds(each) for each in lengths} == {"not measured"}


def test_a_folder_that_only_looks_like_a_cycle_is_none(tmp_path: Path) -> None:
    for name in ("²", "2"):
        (tmp_path / "logs" / name).mkdir(parents=True)
        (tmp_path / "logs" / name / "chat.jsonl").touch()
    assert [path.parent.name for path in kept_logs(tmp_path)] == ["2"]
