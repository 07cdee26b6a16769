"""Runs to be told on the GitHub of the tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from github_server import TOKEN, GitHub

from loopctl.integrations.github.client import Repository
from loopctl.model.ci_job import CiJob, CiSystem
from loopctl.model.state import Verdict
from loopctl.ports.announcer import AnnouncedCause, Announcement
from loopctl.redact import Secret

BEGAN = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
COMMIT = "7f308d73da3c" + "0" * 28

CLOSED_1000 = AnnouncedCause(
    fingerprint="v1|signature|ws.closed-1000|chat",
    title="The service closes live sockets in the middle, as if all were well",
    signature="ws.closed-1000",
    service="chat",
    confidence=0.99,
    quote='"/ws/guest closed 1000 main cleanup by the service after 0.01 s"',
    source="logs/1/chat.requests.jsonl#31",
    suggestion="look at what in the service closes them",
    cases=11,
)
UNKNOWN = AnnouncedCause(
    fingerprint="v1|message|assert <num> == <num>",
    title="no known cause",
    service="api",
    quote="assert 3 == 4",
    source="suites/1/smoke",
    cases=1,
)


def a_job(hub: GitHub, pull_request: int | None = None) -> CiJob:
    return CiJob(
        CiSystem.GITHUB,
        url="https://ci.example.test/shop/api/actions/runs/1",
        repository=hub.repository,
        commit=COMMIT,
        pull_request=pull_request,
    )


def a_run(number: int = 1, **keys: Any) -> Announcement:
    """The run that began `number` hours after the first."""
    began = BEGAN + timedelta(hours=number)
    run = Announcement(
        run_id=f"{began:%Y%m%d-%H%M%S}-shop-{number:04x}",
        loop="shop",
        environment="staging",
        verdict=Verdict.RED,
        exit_code=1,
        started_at=began,
        ended_at=began + timedelta(seconds=9),
        duration_s=9.0,
        folder=".loopctl/runs/x",
        commit=COMMIT,
        lines=(("VERDICT", "red"), ("FAILED", "events (P0) failed")),
        causes=(CLOSED_1000,),
    )
    return replace(run, **keys)


def repository(hub: GitHub) -> Repository:
    return Repository(hub.url, hub.repository, Secret("github.token", TOKEN))
