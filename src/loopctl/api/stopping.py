"""Stopping a run that goes on in another process."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loopctl.api.looking_back import worklog_of
from loopctl.api.places import journal_of
from loopctl.api.running import Subscriber
from loopctl.api.watching import POLL_S, watch
from loopctl.errors import LockedError, Stopped
from loopctl.files import is_being_written, storage
from loopctl.journal.commands import Commands
from loopctl.journal.tail import read
from loopctl.journal.worklog import Worklog
from loopctl.model.events import RunResumed, StageFinished
from loopctl.model.state import OutcomeKind
from loopctl.process import ProcessId, Stop, is_alive, terminate

ASKED_NAME: Final = "stop-asked"
"""The process that was told to stop: told twice, it would end at once and put nothing back."""

_REPORTS_S: Final = 30.0


def stop_run(
    folder: Path, *, subscribers: Sequence[Subscriber] = (), stop: Stop | None = None
) -> Worklog:
    """Tell the process of a run to stop, and wait for its end, as `watch` does.

    It puts back what it has changed, writes its reports and ends `interrupted`. A run that does not
    go on is left as it is: `ended` of its worklog tells. Told once is enough: whoever asks again
    waits with the first. Raises what `watch` raises, and `LockedError` where its process is not to
    be found on this machine, or is somebody else's.
    """
    path = journal_of(folder)
    stop = stop or Stop()
    worklog = worklog_of(folder)
    last = worklog.resumed[-1] if worklog.resumed else worklog.run
    process = ProcessId(last.pid, last.pid_started)
    if is_being_written(path):
        _tell(folder, worklog, process)
    worklog = watch(folder, subscribers=subscribers, stop=stop)
    # Its reports come after the last event.
    with contextlib.suppress(Stopped), stop.child(_REPORTS_S) as limited:
        while is_alive(process):
            limited.wait(POLL_S)
    return worklog


def _tell(folder: Path, worklog: Worklog, process: ProcessId) -> None:
    if worklog.ended is not None or _is_stopping(folder) or not _is_first(folder, process):
        return
    try:
        told = terminate(process)
    except PermissionError:
        told = False
    if not told and is_being_written(journal_of(folder)):
        with contextlib.suppress(OSError):
            (folder / ASKED_NAME).unlink(missing_ok=True)
        commands = Commands.of_run(worklog.run, folder.parent.parent)
        raise LockedError(
            f"run {folder.name} goes on in a process that cannot be told to stop: "
            f"{process.pid} is not its number on this machine, or is somebody else's",
            hint=f"stop it where it was begun; {commands.watch(folder.name)} shows it",
        )


def _is_stopping(folder: Path) -> bool:
    """Whether a signal has reached the process that writes it, as Ctrl-C where it was begun."""
    stopping = False
    for event in read(journal_of(folder)):
        match event.payload:
            case RunResumed():
                stopping = False
            case StageFinished(kind=OutcomeKind.INTERRUPTED):
                stopping = True
            case _:
                pass
    return stopping


def _is_first(folder: Path, process: ProcessId) -> bool:
    """Whether nobody has told this process yet; from now on somebody has."""
    path, mine = folder / ASKED_NAME, f"{process.pid} {process.started}\n"
    with storage("note who was told to stop", path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "r+", encoding="utf-8") as notes:
            fcntl.flock(notes, fcntl.LOCK_EX)
            notes.seek(0)
            if mine in notes.readlines():
                return False
            notes.write(mine)
            return True
