"""What `keep_logs` wrote is read back as it was."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from loopctl.api import log_line
from loopctl.model.logs import LogEntry, RequestEntry
from loopctl.stages.keep_logs import log_document, request_document
from loopctl.stages.kept_logs import requests

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_line_of_a_whole_second_is_told_with_a_whole_time() -> None:
    entry = LogEntry(NOW, "web", "web-00001-abc", "stdout", "listening", 1)
    told = log_line(json.dumps(log_document(entry)))
    assert told == "2026-01-01T00:00:00.000Z web-00001-abc stdout listening"


def test_a_line_that_is_no_entry_is_told_as_it_is() -> None:
    assert [log_line(text) for text in ("17\n", "[]\n", "{}\n", "cut {\n")] == [
        "17", "[]", "{}", "cut {",
    ]  # fmt: skip


def test_a_request_is_read_back_also_when_it_never_got_an_answer(tmp_path: Path) -> None:
    whole = RequestEntry(NOW, "web", "web-00001-abc", "GET", "/hello", 200, trace="ab" * 16)
    cut = RequestEntry(NOW, "web", "", "GET", "/slow", None, error="client-gone", remote_port=4711)
    file = tmp_path / "web.requests.jsonl"
    file.write_text("".join(json.dumps(request_document(each)) + "\n" for each in (whole, cut)))
    assert list(requests(file)) == [whole, cut]
