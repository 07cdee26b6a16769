"""One issue for each cause, on a GitHub that knows nothing but what GitHub publishes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from github_rig import CLOSED_1000, UNKNOWN, a_run, repository
from github_server import GitHub, github

from loopctl.integrations.github.issues import Issues
from loopctl.process import Stop


@pytest.fixture
def hub() -> Iterator[GitHub]:
    with github() as running:
        yield running


def tell(hub: GitHub, *runs: object, labels: tuple[str, ...] = ()) -> list[str]:
    said: list[str] = []
    for run in runs:
        said += Issues(repository(hub), labels).announce(run, Stop(20))  # type: ignore[arg-type]
    return said


def test_a_cause_has_one_issue_however_often_it_is_seen(hub: GitHub) -> None:
    said = tell(hub, a_run(1, causes=(CLOSED_1000, UNKNOWN)), a_run(2), a_run(3))
    first, second = hub.issues.values()
    assert first["title"] == (
        "deploy: The service closes live sockets in the middle, as if all were well — chat"
    )
    assert second["title"] == "deploy: no known cause: assert 3 == 4 — api"
    assert len(hub.comments[first["number"]]) == 2
    assert "Seen in 3 runs, since 2026-11-22 11:00 UTC" in first["body"]
    assert said == ["opened issue #1", "opened issue #2", *["told it on issue #1"] * 2]
