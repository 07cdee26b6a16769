"""What the tests of suites are given, and how they interrupt one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_suite_rig import Project, until
from web_service import serving

from loopctl.errors import Stopped
from loopctl.process import Stop, identify


def a_service() -> Iterator[str]:
    """For a fixture of a module: a service's URL."""
    with serving() as url:
        yield url


def a_project(tmp_path: Path, service: str) -> Project:
    """For a fixture: an empty project of the test's own."""
    return Project.at(tmp_path, service)


def interrupted_once_begun(pid: Path, run: Callable[[Stop], object]) -> None:
    """Tell `run` to stop when it has left its `pid`: it passes that on, and the process is gone."""
    stop = Stop(60)

    def interrupt() -> None:
        until(lambda: pid.exists() and bool(pid.read_text()))
        stop.stop("SIGINT")

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(Stopped, match="SIGINT"):
        run(stop)
    thread.join()
    assert identify(int(pid.read_text())) is None
