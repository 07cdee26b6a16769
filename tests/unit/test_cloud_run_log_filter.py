"""What Cloud Logging is asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from loopctl.model.plan import CloudRunPlace
from loopctl.platforms.cloud_run.log_filter import ASKED, SAID, View, quoted, stamp

SINCE = datetime(2026, 5, 1, 12, 0, 0, 120, tzinfo=UTC)
PLACE = CloudRunPlace("shop-staging", "us-central1")
VIEW = View(PLACE, "chat", "chat-00002-k7q", SAID)


def test_a_view_is_one_query_of_indexed_fields_with_a_bound_in_time() -> None:
    asked = View(PLACE, "chat", "chat-00002-k7q", ASKED).between(SINCE, None)
    assert asked == (
        'resource.type="cloud_run_revision" AND resource.labels.service_name="chat" '
        'AND resource.labels.location="us-central1" '
        'AND resource.labels.revision_name="chat-00002-k7q" '
        'AND logName=("projects/shop-staging/logs/run.googleapis.com%2Frequests") '
        'AND timestamp>="2026-05-01T12:00:00.000120Z"'
    )


def test_all_that_was_said_is_asked_for_at_once() -> None:
    asked = VIEW.between(SINCE, SINCE + timedelta(hours=1))
    for log in ("stdout", "stderr", "requests", "varlog%2Fsystem"):
        assert f'"projects/shop-staging/logs/run.googleapis.com%2F{log}"' in asked
    assert "cloudaudit.googleapis.com%2Fsystem_event" in asked
    assert asked.endswith('AND timestamp<="2026-05-01T13:00:00.000120Z"')
    assert 'timestamp<"2026' in VIEW.between(SINCE, SINCE, before=True)


def test_any_revision_is_meant_where_none_is_named() -> None:
    assert "revision_name" not in View(PLACE, "chat", None, SAID).between(SINCE, None)


@pytest.mark.parametrize(
    ("text", "in_a_query"),
    [
        ("chat", '"chat"'),
        ('a" OR severity>=DEFAULT OR b="', '"a\\" OR severity>=DEFAULT OR b=\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("two\nlines\x1b", '"two\\u000alines\\u001b"'),
    ],
)
def test_no_text_ends_its_own_quotes(text: str, in_a_query: str) -> None:
    assert quoted(text) == in_a_query


def test_a_moment_is_told_in_utc() -> None:
    there = datetime(2026, 5, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    assert stamp(there) == "2026-05-01T12:00:00.000000Z"


def test_traces_are_asked_for_in_queries_that_are_not_too_long() -> None:
    traces = [f"{number:032x}" for number in range(500)]
    queries = list(VIEW.of_traces(traces, SINCE, None))
    assert len(queries) == 2
    assert all(len(query) <= 20_000 for query in queries)
    assert all(sum(query.count(trace) for query in queries) == 1 for trace in traces)
    assert list(VIEW.of_traces([], SINCE, None)) == []
