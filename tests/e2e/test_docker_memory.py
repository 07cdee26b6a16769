"""A starved container is given one step of memory for the run, and no more than the cap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from docker_services import container_loop, docker_opened
from rig import Project
from word_loop import ended, remedy, worklog

TAKES_35M = "hold = b'x' * 35_000_000\n"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with docker_opened(tmp_path) as project:
        yield project


def starved(project: Project, **remediate: Any) -> None:
    keys: Mapping[str, Any] = {"remediate": {"mode": "auto", **remediate}}
    container_loop(project, prelude=TAKES_35M, run={"memory": "40Mi"}, keys=keys)


def test_a_starved_container_is_given_one_step_and_the_first_screen_says_what_to_write(
    project: Project,
) -> None:
    starved(project)
    ran = project.run("web")
    assert ended(ran) == (0, "green", 2), str(ran)
    assert list(ran.result["cycles"][0]["findings"][0]["remedy"].items()) == [
        ("action", "raise-memory"),
        ("mode", "auto"),
        ("result", "done"),
    ]
    done = remedy(ran, 0)
    assert done["mended"] is True
    told = "web is given 80Mi of memory in place of 40Mi for this run; write run.memory: 80Mi"
    assert told in ran.line("TRIED")
    assert "is healthy" in ran.line("TRIED")
    assert told in worklog(ran)
    assert "40Mi" in (project.root / "loops" / "web.yaml").read_text(), "nobody wrote to it"


@pytest.mark.slow
def test_it_goes_no_further_than_the_loop_file_allows(project: Project) -> None:
    starved(project, max_memory="40Mi")
    ran = project.run("web")
    assert ended(ran)[1:] == ("needs-human", 1), str(ran)
    assert remedy(ran)["result"] == "proposed"
    assert "it has 40Mi, and 40Mi is the most" in remedy(ran)["detail"]
