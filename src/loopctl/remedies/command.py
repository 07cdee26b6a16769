"""Runs a remedy's command: no shell, little environment, a deadline, no process left behind."""

from __future__ import annotations

import contextlib
import errno
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from loopctl.errors import StorageError
from loopctl.files import ensure_private_dir, remove_tree
from loopctl.inert import one_line
from loopctl.ports.remedy import CommandEnd, RemedyCommand, RemedyError
from loopctl.process import Child, Exit, Stop
from loopctl.redact import Redactor
from loopctl.remedies.environment import remedy_environment
from loopctl.remedies.output import RemedyOutput

# No SIGINT before: what a shell has put in the background ignores it.
_LADDER: Final = ((signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0))

_HINTS: Final = {
    errno.ENOENT: "a name with a slash is relative to the project root, another is sought on PATH",
    errno.EACCES: "make it executable: chmod +x",
    errno.ENOEXEC: "its first line must name what runs it, such as #!/bin/sh",
}


class ShellFreeCommand(RemedyCommand):
    """Runs commands in `root`; `environ` is what the allow-listed variables are taken from."""

    def __init__(self, root: Path, redactor: Redactor, environ: Mapping[str, str]) -> None:
        self._root = root
        self._redactor = redactor
        self._environ = environ

    def run(
        self,
        command: Sequence[str],
        variables: Mapping[str, str],
        output: Path,
        timeout_s: float,
        stop: Stop,
    ) -> CommandEnd:
        """Run it to its end, with an empty folder beside `output` in the place of credentials."""
        stop.remaining(0)
        nothing = output.with_name(f"{output.name}.no-credentials")
        try:
            remove_tree(nothing)
            ensure_private_dir(nothing)
            kept = RemedyOutput(output, self._redactor)
        except (OSError, StorageError) as error:
            raise _unwritable(output, error) from error
        try:
            end = self._attend(command, variables, nothing, kept, timeout_s, stop)
        finally:
            kept.close()
            # What cannot be taken away harms nobody: it is in the run's own folder, and private.
            with contextlib.suppress(StorageError):
                remove_tree(nothing)
        return CommandEnd(
            code=end.code,
            duration_s=end.duration_s,
            late=end.stopped is not None,
            last_line=kept.last_line,
            output_lost=kept.lost,
        )

    def _attend(
        self,
        command: Sequence[str],
        variables: Mapping[str, str],
        nothing: Path,
        kept: RemedyOutput,
        timeout_s: float,
        stop: Stop,
    ) -> Exit:
        child = self._start(command, remedy_environment(self._environ, variables, nothing), kept)
        with stop.child(timeout_s) as limit:
            end = child.wait(limit, _LADDER)
        if end.stopped is not None:
            stop.remaining(0)
        return end

    def _start(
        self, command: Sequence[str], environment: Mapping[str, str], kept: RemedyOutput
    ) -> Child:
        first, *rest = command
        # Said outright: where a relative path starts from is not the same on every platform.
        program = str(self._root / first) if "/" in first else first
        try:
            return Child(
                [program, *rest],
                cwd=self._root,
                env=environment,
                on_stdout=kept.stream(),
                on_stderr=kept.stream(),
            )
        except (OSError, ValueError) as error:
            raise self._not_started(first, error) from error

    def _not_started(self, first: str, error: OSError | ValueError) -> RemedyError:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        number = error.errno if isinstance(error, OSError) else None
        name = one_line(self._redactor.text(first))
        return RemedyError(
            f"the remedy's command {name} cannot be started: {reason}",
            where=str(self._root),
            hint=_HINTS.get(number or 0, "check `command` in remediate.rules"),
        )


def _unwritable(output: Path, error: OSError | StorageError) -> RemedyError:
    reason = error.what if isinstance(error, StorageError) else error.strerror or str(error)
    return RemedyError(
        f"the remedy's command was not started, as its output cannot be kept: {reason}",
        where=str(output),
        hint="free some space there, or choose another place: --runs-dir",
    )
