"""The entries that benches and crash tests are made of have the shapes that the facts tell of."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cloud_logging_rig import PARENT, PROJECT, STDERR, STDOUT, SYSTEM, Rig, serve

from emulator.log_fill import crash_at_start, fill
from emulator.log_filter_kinds import instant
from emulator.log_lines import DEFAULT, ERROR, WARNING, Revision
from emulator.log_store import LogStore

NOW = instant("2026-10-12T12:00:00Z") or 0


@pytest.fixture
def logging() -> Iterator[Rig]:
    yield from serve(Rig(LogStore(PROJECT, clock=lambda: NOW)))


def test_a_crash_is_told_out_of_order_and_mostly_without_severity(logging: Rig) -> None:
    broken = Revision(PROJECT, "shop", "shop-00003-6kk")
    logging.store.write(crash_at_start(broken, NOW - 60_000_000_000))
    found = logging.listed('resource.labels.revision_name="shop-00003-6kk"', page_size=1000)
    texts = [one.text_payload for one in found]
    assert texts[0].startswith("Starting new instance. Reason: DEPLOYMENT_ROLLOUT")
    assert texts.index("ERROR:    Application startup failed. Exiting.") < texts.index(
        "loading settings"
    )
    assert texts[-3] == "Container called exit(3)."
    assert texts[-2].endswith("CANCELLED.")
    assert [one.severity for one in found[-3:]] == [WARNING, ERROR, ERROR]
    stderr = [one for one in found if one.log_name == STDERR]
    assert {one.severity for one in stderr} == {DEFAULT}
    assert {one.timestamp.nanosecond % 1000 for one in stderr} == {0}
    assert all(one.timestamp.nanosecond % 1000 for one in found[-3:])
    (audit,) = logging.listed(
        'protoPayload.status.message=~"^Ready condition status changed to False for Revision shop-"'
    )
    assert audit.proto_payload.type_url.endswith("google.cloud.audit.AuditLog")
    assert 7.2 < (audit.timestamp - found[0].timestamp).total_seconds() < 7.4


def test_as_many_entries_as_were_asked_for_are_visible_within_the_hour(logging: Rig) -> None:
    fill(logging.store, Revision(PROJECT, "shop", "shop-00002-dj9"), 2500, until=NOW)
    assert len(logging.store) == 2500
    found = logging.listed('timestamp>="2026-10-12T11:00:00Z"', page_size=1000)
    assert len(found) == 2500
    assert {one.log_name for one in found} == {
        STDOUT, STDERR, f"{PARENT}/logs/run.googleapis.com%2Frequests"
    }  # fmt: skip
    assert SYSTEM not in {one.log_name for one in found}
    requests = [one for one in found if one.http_request.status]
    assert 830 <= len(requests) <= 836
    assert all(one.trace for one in requests)


def test_the_same_seed_writes_the_same(logging: Rig) -> None:
    other = LogStore(PROJECT, clock=lambda: NOW)
    for store in (logging.store, other):
        fill(store, Revision(PROJECT, "shop", "shop-00002-dj9"), 300, until=NOW, seed=7)
    pairs = zip(logging.store.rows(0, NOW), other.rows(0, NOW), strict=True)
    assert all(one.data == two.data for one, two in pairs)
