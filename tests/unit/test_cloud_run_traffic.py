"""Who is sent what share, by rows as servers may tell them; and the names of what loopctl makes."""

from __future__ import annotations

from typing import Any

import pytest
from google.cloud.run_v2 import Service, TrafficTarget

from loopctl.model.artifact import DeployKey
from loopctl.platforms.cloud_run import traffic
from loopctl.platforms.cloud_run.names import (
    is_own_tag,
    name_problems,
    restored_name,
    revision_name,
    tag_of,
)
from loopctl.platforms.cloud_run.traffic import LATEST, REVISION

FULL = "projects/p/locations/r/services/chat/revisions/"


def row(revision: str = "", percent: int = 0, tag: str = "", **given: Any) -> dict[str, Any]:
    kind = REVISION if revision else LATEST
    return {"type_": kind, "revision": revision, "percent": percent, "tag": tag, **given}


def service(statuses: Any = (), wished: Any = (), **given: Any) -> Service:
    return Service(traffic=list(wished), traffic_statuses=list(statuses), **given)


@pytest.mark.parametrize(
    ("found", "shares"),
    [
        (service([row("chat-1", 100)]), {"chat-1": 100}),
        (service([row(f"{FULL}chat-1", 100)]), {"chat-1": 100}),
        (service([row("a", 90), row("b", 10), row("c", 0, "t")]), {"a": 90, "b": 10}),
        # One revision may have two rows, and a row a tag and a share.
        (service([row("a", 60), row("a", 40, "t")]), {"a": 100}),
        (service([row(percent=100)], latest_ready_revision="chat-2"), {"chat-2": 100}),
        (service([row(percent=100)], latest_ready_revision=f"{FULL}chat-2"), {"chat-2": 100}),
        (service(latest_ready_revision="chat-2"), {"chat-2": 100}),
        (service(wished=[row(percent=100)], latest_ready_revision="chat-2"), {"chat-2": 100}),
        (service(wished=[row("chat-1", 100)], reconciling=True), {"chat-1": 100}),
        (
            service(wished=[row(percent=100)], latest_created_revision="chat-1", reconciling=True),
            {"chat-1": 100},
        ),
        # Its first revision has failed.
        (service(wished=[row("chat-1", 100)], latest_created_revision="chat-1"), {}),
        (service(wished=[row(percent=100)], latest_created_revision="chat-1"), {}),
        (service(), {}),
    ],
)
def test_what_serves(found: Service, shares: dict[str, int]) -> None:
    assert traffic.serving(found) == shares


def test_a_tag_leads_somewhere_once_it_has_an_address() -> None:
    rows = [row("chat-1", 100), row("chat-2", 0, "lc-00000")]
    assert traffic.tagged(service(rows), "lc-00000") is None
    rows[1]["uri"] = "https://lc-00000---chat.run.app"
    assert traffic.tagged(service(rows), "lc-00000") == ("chat-2", rows[1]["uri"])
    assert traffic.tagged(service(rows), "other") is None


def test_the_tags_of_others_are_kept_without_their_shares() -> None:
    wished = [
        row("chat-1", 50),
        row("chat-1", 50, "theirs"),
        row("", 0, "newest"),
        row("chat-2", 0, "lc-0a1b2"),
        row("chat-3", 0, "gone"),
    ]
    found = service(wished=wished)
    kept = [(r.tag, r.revision, r.percent) for r in traffic.kept_tags(found, without=["chat-3"])]
    assert kept == [("theirs", "chat-1", 0), ("newest", "", 0)]
    assert traffic.kept_tags(found)[1].type_ == LATEST
    assert [r.tag for r in traffic.kept_tags(found, ours_too=True)][2] == "lc-0a1b2"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ([row("b", 0, "t"), row("a", 100)], True),
        ([row(f"{FULL}a", 100), row("b", 0, "t"), row("c", 0)], True),
        ([row("a", 100)], False),
        ([row("a", 100), row("b", 0, "u")], False),
        ([row("a", 90), row("c", 10), row("b", 0, "t")], False),
        ([row(percent=100), row("b", 0, "t")], False),
    ],
)
def test_rows_are_the_same_when_they_mean_the_same(other: list[dict[str, Any]], same: bool) -> None:
    rows = [TrafficTarget(**each) for each in (row("a", 100), row("b", 0, "t"))]
    assert traffic.same(rows, [TrafficTarget(**each) for each in other]) is same


def test_names_are_those_of_one_deployment() -> None:
    key = DeployKey("20260101-120000-golden-path-0a1b", 3, "chat", "sha256:" + "0" * 64)
    name = revision_name(key)
    assert name == revision_name(key)
    assert name.startswith("chat-c3-")
    assert name != revision_name(DeployKey(key.run_id, 4, "chat", key.digest))
    assert restored_name("chat", name).startswith("chat-back-")
    assert is_own_tag(tag_of(name))
    assert not is_own_tag("lc-theirs")
    longest = "s" * 49
    for made in (revision_name(DeployKey("r", 99, longest, "d")), restored_name(longest, name)):
        assert len(made) < 64


@pytest.mark.parametrize(
    ("name", "tagged", "told"),
    [
        ("chat", True, ""),
        ("s" * 38, True, ""),
        ("s" * 39, True, "Cloud Run takes 46"),
        ("s" * 39, False, ""),
        ("s" * 49, False, ""),
        ("s" * 50, False, "Cloud Run takes 49"),
        ("Chat", False, "only lower-case"),
        ("chat-", False, "only lower-case"),
        ("1chat", False, "only lower-case"),
    ],
)
def test_names_that_would_be_refused_are_told(name: str, tagged: bool, told: str) -> None:
    problems = [problem.message for problem in name_problems(name, tagged=tagged)]
    assert bool(problems) == bool(told)
    assert all(told in problem for problem in problems)
