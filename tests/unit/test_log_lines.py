"""What several services have said, told as one."""

from __future__ import annotations

import json
from pathlib import Path

from loopctl.api import log_line, log_lines


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
