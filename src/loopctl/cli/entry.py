"""From `sys.argv` to an exit code: every error is told once, here."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
import typer

from loopctl.cli import output
from loopctl.cli.app import app
from loopctl.cli.settings import hoist
from loopctl.errors import ExitCode, LoopctlError, Stopped


def entry(arguments: Sequence[str]) -> int:
    """Run one command; the exit code of the contract."""
    hoisted = hoist(arguments)
    as_json = "--json" in hoisted
    try:
        result = typer.main.get_command(app)(hoisted, standalone_mode=False)
    except LoopctlError as error:
        return output.failed(error, as_json=as_json)
    except Stopped as stopped:
        output.warn(f"loopctl: stopped: {stopped.reason}")
        return int(ExitCode.SIGTERM if stopped.reason == "SIGTERM" else ExitCode.SIGINT)
    except click.exceptions.Abort:
        return int(ExitCode.SIGINT)
    except click.ClickException as error:
        error.show(sys.stderr)
        return int(ExitCode.USAGE)
    except BrokenPipeError:
        # Whoever read our output has had enough; nothing is wrong.
        sys.stderr.close()
        return 0
    return result if isinstance(result, int) else 0
