"""From `sys.argv` to an exit code: every error is told once, here."""

from __future__ import annotations

from collections.abc import Sequence

from loopctl.cli import output
from loopctl.cli.app import app
from loopctl.cli.settings import hoist
from loopctl.errors import ExitCode, LoopctlError, Stopped, StoppedEarlyError


def entry(arguments: Sequence[str]) -> int:
    """Run one command; the exit code of the contract."""
    code = _run(hoist(arguments))
    output.flush()
    return code


def _run(hoisted: Sequence[str]) -> int:
    try:
        app(hoisted)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(ExitCode.GREEN)
    except LoopctlError as error:
        return output.failed(error, as_json="--json" in hoisted)
    except Stopped as stopped:
        return output.failed(_before_its_end(stopped), as_json="--json" in hoisted)
    except Exception as error:  # noqa: BLE001 - a fault of ours is never told as a red run
        return output.crashed(error)
    return int(ExitCode.GREEN)


def _before_its_end(stopped: Stopped) -> StoppedEarlyError:
    """Of a command that only looks; one that writes has told by itself how far it came."""
    what = f"stopped by {stopped.by} before it came to an end"
    return StoppedEarlyError(what, stopped, hint="ask again; loopctl doctor looks at this machine")
