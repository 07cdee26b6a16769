"""Building by a `docker` command: the way for Dockerfiles that mount secrets or ssh keys.

These are asked for while the build runs, over a session that BuildKit opens to its client; that is
a protocol of its own beside the HTTP API, and the command speaks it.

Neither the context nor a secret meets a disk: the context is a pipe, each secret a file in memory.
The command is given their places below /proc, which the user's own processes alone may open.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from loopctl.engine.build_request import (
    BuildClientAbsentError,
    BuildRequest,
    Context,
    OnOutput,
    OnStep,
)
from loopctl.engine.cli_progress import CliProgress
from loopctl.engine.connection import Engine
from loopctl.engine.dockerfile_mounts import SessionMounts, needs_cli
from loopctl.engine.errors import EngineGoneError
from loopctl.engine.posting import went_away
from loopctl.errors import Stopped
from loopctl.process import Child, Stop, TaskScope, capture

__all__ = ["SessionMounts", "build_by_cli", "find_cli", "needs_cli"]

_USUAL: Final = ("/usr/bin", "/usr/local/bin")
_LOOKS_WITHIN_S: Final = 10.0
_POLL_S: Final = 0.05
# A client that is told to end cancels its build; one that does not is killed, which cancels it too.
_LADDER: Final = ((signal.SIGTERM, 0.5), (signal.SIGKILL, 5.0))
# How the command tells of a connection that broke; an engine that restarts at once is there again.
_LOST: Final = re.compile(
    r"transport is closing|error reading from server|unexpected EOF|error during connect"
    r"|Cannot connect to the Docker daemon|server did not provide an image ID"
)
#: What the command needs of loopctl's own environment: its plugins, logins and the ssh agent.
_THEIRS: Final = ("PATH", "HOME", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR", "TMPDIR")
_MIND_OWN_BUILDER: Final = {
    "DOCKER_BUILDKIT": "1",
    # A builder of the user's own may keep its images to itself.
    "BUILDX_BUILDER": "default",
    "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
    "DOCKER_CLI_HINTS": "false",
}


def find_cli(engine: Engine, stop: Stop, environ: Mapping[str, str] = os.environ) -> Path:
    """A `docker` that can build with BuildKit: of PATH, then of the usual places.

    A newer client without its buildx component cannot, and often stands first. Raises
    `BuildClientAbsentError`, `Stopped`.
    """
    found = _candidates(environ)
    for each in found:
        if _can_build(each, _environment(engine, environ), stop):
            return each
    here = ", ".join(map(str, found)) or "none at all"
    raise BuildClientAbsentError(
        "the Dockerfile mounts a secret or an ssh key, and no docker command here builds with "
        f"BuildKit (looked at: {here})",
        hint="install docker-buildx-plugin from Docker's packages, or docker.io from Debian's",
    )


def build_by_cli(
    engine: Engine,
    request: BuildRequest,
    context: Context,
    on: OnStep,
    output: OnOutput,
    stop: Stop,
    environ: Mapping[str, str] = os.environ,
) -> str:
    """Build; the image's id, `sha256:…`. Raises as `loopctl.engine.build.build` does."""
    # An engine that is not there is told apart here: the command has only words for it.
    engine.about(stop)
    cli = find_cli(engine, stop, environ)
    progress = CliProgress(on, output)
    with (
        tempfile.TemporaryDirectory(prefix="loopctl-build-") as folder,
        contextlib.ExitStack() as files,
    ):
        pipe = _Pipe(files)
        image = Path(folder, "image")
        secrets = _handed_over(request.secrets, files)
        command = [
            *("sh", "-c", 'exec "$@" < "$0"', pipe.place, str(cli), "build", "--no-cache"),
            *("--progress=plain", f"--iidfile={image}", *_options(request), *secrets, "-"),
        ]
        code = _run(command, folder, _environment(engine, environ), context, pipe, progress, stop)
        if code == 0 and image.is_file():
            return image.read_text(encoding="ascii").strip()
    stop.remaining(0)
    failed = progress.failure()
    if _LOST.search(failed.what) or not _is_there(engine, stop):
        raise went_away(engine.address, failed.what)
    raise failed


def _run(
    command: list[str],
    folder: str,
    env: Mapping[str, str],
    context: Context,
    pipe: _Pipe,
    progress: CliProgress,
    stop: Stop,
) -> int:
    over = Stop()
    # Whatever ends the feeding early ends the client first: only then may the pipe be closed, or
    # half a context would look like a whole one.
    with TaskScope(stop) as scope:
        child = Child(
            command,
            cwd=Path(folder),
            env=env,
            on_stdout=progress.heard_stdout,
            on_stderr=progress.heard_stderr,
            private=Path(folder),
        )
        scope.start("context", lambda inner: pipe.feed(context, inner, over))
        try:
            end = child.wait(scope.stop, _LADDER)
        finally:
            over.stop("the client has ended")
        progress.finish()
        scope.stop.remaining(0)
    return end.code


class _Pipe:
    """Standard input of a process that is started later."""

    def __init__(self, files: contextlib.ExitStack) -> None:
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._files = files
        files.callback(os.close, self._read)
        self._writing = os.fdopen(self._write, "wb", buffering=0)
        files.callback(self._writing.close)
        self.place = f"/proc/{os.getpid()}/fd/{self._read}"

    def feed(self, context: Context, stop: Stop, over: Stop) -> None:
        """Write all of the context, and end it, unless the reader has ended before."""
        for piece in context():
            rest = memoryview(piece)
            while rest:
                if over.reason is not None:
                    return
                stop.remaining(0)
                if select.select([], [self._write], [], _POLL_S)[1]:
                    with contextlib.suppress(BlockingIOError):
                        rest = rest[os.write(self._write, rest) :]
        self._end(over)

    def _end(self, over: Stop) -> None:
        # Not before the reader has opened the pipe: one that nobody holds open for writing is
        # opened never.
        with contextlib.suppress(Stopped):
            while _unread(self._read):
                over.wait(_POLL_S)
        self._writing.close()


def _unread(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


def _handed_over(secrets: Mapping[str, str], files: contextlib.ExitStack) -> list[str]:
    """The options for secrets, each a file in memory that ends with loopctl's process."""
    options = []
    for name, value in secrets.items():
        file = files.enter_context(os.fdopen(os.memfd_create("secret"), "wb", buffering=0))
        file.write(value.encode("utf-8", "surrogateescape"))
        options.append(f"--secret=id={name},src=/proc/{os.getpid()}/fd/{file.fileno()}")
    return options


def _options(request: BuildRequest) -> list[str]:
    options = [f"--file={request.dockerfile}"]
    options += [f"--build-arg={name}={value}" for name, value in request.args.items()]
    options += [f"--label={name}={value}" for name, value in request.labels.items()]
    if request.tag is not None:
        options.append(f"--tag={request.tag}")
    if request.target is not None:
        options.append(f"--target={request.target}")
    if request.pull:
        options.append("--pull")
    if request.ssh:
        options.append("--ssh=default")
    return options


def _environment(engine: Engine, environ: Mapping[str, str]) -> Mapping[str, str]:
    own = {name: environ[name] for name in _THEIRS if name in environ}
    return {**own, **engine.environ, "DOCKER_HOST": engine.address, **_MIND_OWN_BUILDER}


def _candidates(environ: Mapping[str, str]) -> list[Path]:
    folders = [*environ.get("PATH", "").split(os.pathsep), *_USUAL]
    found: dict[Path, Path] = {}
    for folder in folders:
        program = Path(folder, "docker")
        if folder and os.access(program, os.X_OK) and program.is_file():
            found.setdefault(program.resolve(), program)
    return list(found.values())


def _can_build(cli: Path, env: Mapping[str, str], stop: Stop) -> bool:
    """Whether it is Docker's own, with a BuildKit client. Podman also answers to this name."""
    said = _said([str(cli), "--version"], env, stop)
    return said.startswith(b"Docker version") and b"--secret" in _said(
        [str(cli), "build", "--help"], env, stop
    )


def _said(command: list[str], env: Mapping[str, str], stop: Stop) -> bytes:
    with stop.child(_LOOKS_WITHIN_S) as short:
        try:
            end, out, _ = capture(command, cwd=Path("/"), env=env, stop=short)
        except OSError:
            return b""
    stop.remaining(0)
    return out if end.code == 0 else b""


def _is_there(engine: Engine, stop: Stop) -> bool:
    try:
        engine.about(stop)
    except EngineGoneError:
        return False
    return True
