"""From `sys.argv` to an exit code: every error is told once, here."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from typing import Protocol, TextIO, runtime_checkable

import typer

from loopctl.cli import output
from loopctl.cli.app import app
from loopctl.cli.settings import hoist
from loopctl.errors import ExitCode, LoopctlError, Stopped, StoppedEarlyError
from loopctl.model.ci_job import ci_job


def entry(arguments: Sequence[str]) -> int:
    """Run one command; the exit code of the contract."""
    # Until the options are read: what they say of the job comes after what is wrong with them.
    output.begin(ci_job(os.environ))
    code = _run(hoist(arguments))
    output.flush()
    return code


@runtime_checkable
class _Misused(Protocol):
    """What typer raises of arguments that it cannot take."""

    exit_code: int

    def show(self, file: TextIO) -> None: ...


def _run(hoisted: Sequence[str]) -> int:
    return told(lambda: app(hoisted, standalone_mode=False), as_json="--json" in hoisted)


def told(command: Callable[[], object], *, as_json: bool) -> int:
    """Carry out a command; its exit code. What it raises is told the way it was asked for."""
    try:
        ended = command()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(ExitCode.GREEN)
    except LoopctlError as error:
        return output.failed(error, as_json=as_json)
    except Stopped as stopped:
        return output.failed(_before_its_end(stopped), as_json=as_json)
    except typer.Abort:
        return int(ExitCode.SIGINT)
    except Exception as error:  # noqa: BLE001 - a fault of ours is never told as a red run
        return _misused(error) if isinstance(error, _Misused) else output.crashed(error)
    return ended if isinstance(ended, int) else int(ExitCode.GREEN)


def _misused(error: _Misused) -> int:
    """Arguments may be text of others, as the title of a pull request that a job passes on is."""
    shown = io.StringIO()
    error.show(file=shown)
    return output.misused(shown.getvalue(), error.exit_code)


def _before_its_end(stopped: Stopped) -> StoppedEarlyError:
    """Of a command that only looks; one that writes has told by itself how far it came."""
    what = f"stopped by {stopped.by} before it came to an end"
    return StoppedEarlyError(what, stopped, hint="ask again; loopctl doctor looks at this machine")
