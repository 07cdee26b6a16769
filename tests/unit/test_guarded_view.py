"""A view that fails is told once, and the run goes on."""

from __future__ import annotations

import pytest
import worklogs

from loopctl.cli.views import Guarded
from loopctl.model.events import Event


class BrokenView:
    """Fails at every event and at its end."""

    def __init__(self) -> None:
        self.events = 0

    def __call__(self, event: Event) -> None:
        self.events += 1
        raise RuntimeError("the terminal shrank to nothing")

    def close(self) -> None:
        raise RuntimeError("and is gone")


def test_a_broken_view_is_told_once_and_asked_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    view = BrokenView()
    guarded = Guarded(view)
    for event in worklogs.green().events:
        guarded(event)
    guarded.close()
    assert view.events == 1
    assert capsys.readouterr().err.count("the view has failed, the run goes on") == 1
