"""A pytest plugin that streams what each test does and whom it meets, one JSON line per event.

loopctl loads this file into the *user's* interpreter (`-p loopctl_evidence`), so it and its
neighbours need nothing but the standard library (Python >= 3.8) and pytest >= 7. It reports to the
file that `LOOPCTL_SPOOL` names, does nothing without it, never changes a test's outcome (but for
`LOOPCTL_REFUSE` and `LOOPCTL_STAND_IN`, the control run) and never raises: a fault of its own
becomes a `plugin-error` line. README.md beside it lists the events and the neighbours.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from loopctl_guard import report_to
from loopctl_recorder import Recorder
from loopctl_spool import Spool

if TYPE_CHECKING:
    from collections.abc import Generator

_recorder: Recorder | None = None


def _activate(config: pytest.Config) -> None:
    """Start recording, once a process: a pytest run by a test inside this one is not the suite."""
    global _recorder  # noqa: PLW0603 - the one session this process records
    path = os.environ.get("LOOPCTL_SPOOL")
    if not path or _recorder is not None:
        return
    spool = Spool(path)
    try:
        recorder = Recorder(spool, dict(os.environ), _forget)
        config.pluginmanager.register(recorder, "loopctl-evidence-recorder")
        _recorder = recorder
        report_to(spool.problem)
    except Exception as problem:  # noqa: BLE001 - the suite runs unobserved, and its reader sees so
        spool.problem("activate", problem)


def _forget() -> None:
    """The session is over."""
    global _recorder  # noqa: PLW0603 - the one session this process records
    _recorder = None
    report_to(None)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, Any, None]:
    """Start before the user's conftest files, which may open connections when imported."""
    _activate(early_config)
    outcome = yield
    if outcome.excinfo is not None and _recorder is not None:
        _recorder.conftest_failed(outcome.excinfo[1])


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Learn which xdist worker this is; start here if the plugin came after the conftest files."""
    _activate(config)
    if _recorder is not None and hasattr(config, "workerinput"):
        _recorder.works_for(config.workerinput)
