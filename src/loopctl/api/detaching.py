"""Beginning a run in a process of its own."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final

from loopctl.api.beginning import check_options
from loopctl.api.loading import load
from loopctl.api.places import new_run, runs_dir_of
from loopctl.api.running import refuse_later
from loopctl.errors import (
    ExitCode,
    LoopctlError,
    PreflightError,
    Problem,
    Stopped,
    StoppedEarlyError,
    StorageError,
)
from loopctl.files import remove_tree, storage
from loopctl.journal.commands import Commands
from loopctl.journal.fold import WorklogFold
from loopctl.journal.history import JOURNAL_NAME
from loopctl.journal.tail import Tail, folding
from loopctl.journal.worklog import Worklog
from loopctl.model.events import RunEnded, StageEntered
from loopctl.model.options import RunOptions
from loopctl.model.select import select
from loopctl.process import Detached, Stop

STDOUT_NAME: Final = "stdout.txt"
STDERR_NAME: Final = "stderr.txt"

_MODULE: Final = "loopctl.cli.detached"
_BEGINS_S: Final = 60.0
_ENDS_S: Final = 60.0
_GONE_S: Final = 2.0
_POLL_S: Final = 0.05
_SAID: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that goes on in process `pid`, which writes what it says beside its journal.

    `ended` is the worklog of one that came to its end before its first stage: somebody else holds
    the environment. `watch` and `stop` are the commands for it.
    """

    run_id: str
    folder: Path
    pid: int
    watch: str
    stop: str
    ended: Worklog | None = None


@dataclass(frozen=True, slots=True)
class Errand:
    """What the process is told: the arguments of `run` as they were given here."""

    loop: str
    environment: str | None
    options: RunOptions
    runs_dir: Path
    run_id: str
    verbose: bool = False


def detach(
    loop: str,
    environment: str | None = None,
    options: RunOptions | None = None,
    *,
    runs_dir: Path | None = None,
    verbose: bool = False,
    stop: Stop | None = None,
) -> Begun:
    """Run the loop in a process of its own; returns once its journal has begun.

    Raises before that what `load` and `run` raise, `PreflightError` where it does not begin within
    a minute, and `StoppedEarlyError` after a signal, which is handed on to it.
    """
    options = options or RunOptions()
    plan = load(loop, environment=environment)
    refuse_later(plan)
    check_options(plan, options)
    select(plan, options)
    place = runs_dir_of(plan, runs_dir)
    run_id, folder = new_run(place, plan.loop)
    process = _started(Errand(loop, environment, options, place, run_id, verbose), folder)
    commands = Commands.of_plan(plan, place)
    begun = Begun(run_id, folder, process.pid, commands.watch(run_id), commands.stop(run_id))
    try:
        with (stop or Stop()).child(_BEGINS_S) as limited:
            return _seen_to_begin(process, begun, limited)
    except Stopped as stopped:
        process.terminate()
        raise _not_waited_for(process, begun, stopped) from None


def _started(errand: Errand, folder: Path) -> Detached:
    from pydantic import TypeAdapter

    told = TypeAdapter(Errand).dump_json(errand)
    out, err = folder / STDOUT_NAME, folder / STDERR_NAME
    with storage("begin a run", folder), _private(out) as stdout, _private(err) as stderr:
        return Detached(_MODULE, [errand.run_id], told, stdout, stderr)


def errand_of(told: bytes) -> Errand:
    """What `detach` has told its process."""
    from pydantic import TypeAdapter

    return TypeAdapter(Errand).validate_json(told)


def _private(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def _seen_to_begin(process: Detached, begun: Begun, stop: Stop) -> Begun:
    """Wait for its first stage or its end, whichever comes first."""
    path = begun.folder / JOURNAL_NAME
    tail, fold = Tail(path), WorklogFold()
    last: object = None
    while True:
        # Asked before the reading: what it writes before it ends is not missed.
        code = process.code()
        for event in tail.news() if path.exists() else ():
            with folding(path):
                fold.add(event)
            last = event.payload
            if isinstance(last, StageEntered):
                return begun
        if isinstance(last, RunEnded):
            process.code(_ENDS_S)
            return replace(begun, ended=fold.snapshot())
        if code is not None:
            raise _never_began(begun, code)
        stop.wait(_POLL_S)


def _never_began(begun: Begun, code: int) -> LoopctlError:
    """What it said instead."""
    try:
        said = (begun.folder / STDERR_NAME).read_bytes()[-_SAID:].decode("utf-8", "replace")
    except OSError:
        said = ""
    error = LoopctlError(said.strip().removeprefix("loopctl: ") or f"it ended with {code}")
    if code in tuple(ExitCode):
        error.exit_code = ExitCode(code)
    _has_begun_nothing(begun)
    return error


def _has_begun_nothing(begun: Begun) -> bool:
    """Whether it has ended without a journal; then its folder is nothing of a run, and goes."""
    if (begun.folder / JOURNAL_NAME).exists():
        return False
    with contextlib.suppress(StorageError):
        remove_tree(begun.folder)
    return True


def _not_waited_for(process: Detached, begun: Begun, stopped: Stopped) -> LoopctlError:
    where = str(begun.folder / STDERR_NAME)
    # One that had no time to hear signals is gone by them.
    if process.code(_GONE_S) is not None and _has_begun_nothing(begun):
        what = f"stopped by {stopped.by} before the run had begun; nothing was changed"
        return StoppedEarlyError(what, stopped)
    if stopped.reason == "deadline":
        what = f"the run did not begin within {_BEGINS_S:g} s, and was told to stop"
        return PreflightError(what, [Problem(what, where=where, hint=begun.watch)])
    what = f"stopped by {stopped.by} before the run had begun, which was told to stop, too"
    return StoppedEarlyError(what, stopped, where=where, hint=begun.watch)
