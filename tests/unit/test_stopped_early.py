"""Being stopped has one exit code for each reason, whoever tells it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from loopctl.cli import entry as entry_module
from loopctl.errors import SIGNAL_EXITS, ExitCode, Stopped, StoppedEarlyError

CODES = [("SIGINT", 130), ("SIGTERM", 143), ("deadline", 3)]


@pytest.mark.parametrize(("reason", "code"), CODES)
def test_the_code_is_that_of_the_reason(reason: str, code: int) -> None:
    stopped = Stopped(reason)
    assert StoppedEarlyError("stopped", stopped).exit_code == stopped.exit_code == code


def test_signals_have_the_codes_of_a_run_that_they_end() -> None:
    assert {name: Stopped(name).exit_code for name in SIGNAL_EXITS} == SIGNAL_EXITS
    assert StoppedEarlyError.exit_code is ExitCode.INTERNAL, "no reason is everybody's"


@pytest.mark.parametrize(("reason", "code"), CODES)
def test_a_command_that_is_stopped_ends_in_that_code_and_says_why(
    reason: str,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stopped(_arguments: Sequence[str], *, standalone_mode: bool) -> None:
        raise Stopped(reason)

    monkeypatch.setattr(entry_module, "app", stopped)
    assert entry_module.entry(["plan", "web"]) == code
    said = "its deadline" if reason == "deadline" else reason
    assert f"loopctl: stopped by {said} before it came to an end" in capsys.readouterr().err
    assert entry_module.entry(["plan", "web", "--json"]) == code
    assert json.loads(capsys.readouterr().out)["exit_code"] == code
