"""What `keep_logs` wrote is read back as it was."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from loopctl.model.logs import RequestEntry
from loopctl.stages.keep_logs import request_document
from loopctl.stages.kept_logs import requests

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_request_is_read_back_also_when_it_never_got_an_answer(tmp_path: Path) -> None:
    whole = RequestEntry(NOW, "web", "web-00001-abc", "GET", "/hello", 200, trace="ab" * 16)
    cut = RequestEntry(NOW, "web", "", "GET", "/slow", None, error="client-gone", remote_port=4711)
    file = tmp_path / "web.requests.jsonl"
    file.write_text("".join(json.dumps(request_document(each)) + "\n" for each in (whole, cut)))
    assert list(requests(file)) == [whole, cut]
