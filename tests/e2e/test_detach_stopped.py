"""A signal while a detached run is being begun."""

from __future__ import annotations

import pytest
from rig import Project
from services import tiny_loop

from loopctl import api
from loopctl.errors import StoppedEarlyError
from loopctl.process import Stop


def test_a_run_that_had_no_time_to_begin_leaves_nothing_behind(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_loop(project, "def test_it():\n    assert True\n")
    monkeypatch.chdir(project.root)
    stop = Stop()
    stop.stop("SIGINT")
    with pytest.raises(StoppedEarlyError, match="nothing was changed"):
        api.detach("web", stop=stop)
    assert not list((project.root / ".loopctl" / "runs").iterdir())
