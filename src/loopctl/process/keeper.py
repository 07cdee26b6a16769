"""Started in place of a command, so that nothing of the command outlives its end, or loopctl.

Run as `python -I -S keeper.py LAUNCH LIFELINE STATUS [FOLDER]`, importing only the standard
library. The numbers are open files: LAUNCH says what to start, LIFELINE is a pipe that ends when
loopctl has died, or holds a byte when loopctl lets go; STATUS takes what loopctl is told. FOLDER
is removed when loopctl has died.

Two processes hold the command: the keeper, and an inner one that is the command's parent, so that
a command which kills its parent has not killed the keeper. Orphans come to the nearer of the two
(PR_SET_CHILD_SUBREAPER, prctl(2)), so a daemon gets away from neither; each ends all below it when
its lifeline ends, and the inner one's is held by the keeper. Should both be killed at once,
PR_SET_PDEATHSIG takes the command with them.

STATUS gets `pid N` and `running`, or `errno N` when the command could not be started; then, when
all that it had started is dead, `ended S` with its wait status.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator
    from typing import NoReturn
else:
    # The C module, because the enumerations of the public one take a quarter of the whole start.
    import _signal as signal

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None)

# What cannot be killed waits for a disk or a network, and dies when that answers.
_DEAD_WITHIN_S = 5.0
_NEXT_LOOK_MS = 10
_UNTOLD = int(signal.SIGKILL)
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# What Python ignores, or whoever started loopctl may have: a shell lets no job that it starts in
# the background hear SIGQUIT.
_DEFAULT = (*_IGNORED, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD)


class Launch:
    """What to start: `COUNT`, so many arguments, then `NAME=VALUE` each, all parted by NUL."""

    def __init__(self, file: int) -> None:
        with os.fdopen(file, "rb") as launch:
            count, *words = launch.read().split(b"\0")
        self.command = words[: int(count)]
        self.environment = dict(word.split(b"=", 1) for word in words[int(count) :])

    def become(self) -> int:
        """Replace this process by the command; the error number when that cannot be."""
        refused = 0
        for path in self._paths():
            try:
                os.execve(path, self.command, self.environment)  # noqa: S606 - no shell
            except OSError as error:
                if refused in (0, errno.ENOENT, errno.ENOTDIR):
                    refused = error.errno or errno.ENOEXEC
        return refused

    def _paths(self) -> Iterator[bytes]:
        program = self.command[0]
        if b"/" in program:
            yield program
            return
        path = self.environment.get(b"PATH", os.fsencode(os.defpath))
        for folder in path.split(b":"):
            yield b"%s/%s" % (folder or b".", program)


class Watch:
    """Tells this process of every death below it, and of the end of its lifeline."""

    def __init__(self, lifeline: int) -> None:
        """Adopt the orphans below from now on."""
        self._lifeline = lifeline
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._deaths, alarm = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def until_ended(self, pid: int, told: int | None = None) -> int | None:
        """The wait status of a process; None when the lifeline ended first.

        Of one that has another parent, this parent says it on the pipe `told`; if the parent is
        killed before it could, the process becomes a child of this one.
        """
        while True:
            ended, alone = _reap()
            if pid in ended:
                return ended[pid]
            ready = self._awaited(told, 0 if alone else None)
            if self._lifeline in ready:
                return None
            if told is not None and told in ready:
                if said := os.read(told, 16):
                    return int(said)
                told = None
            elif alone:
                return _UNTOLD

    def end_all_below(self) -> None:
        """SIGKILL until no child is left, and so nothing below any."""
        until = time.monotonic() + _DEAD_WITHIN_S
        while not _reap()[1] and time.monotonic() < until:
            for pid in _below(os.getpid()):
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    continue
            self._awaited(None, _NEXT_LOOK_MS)

    def holder_is_dead(self) -> bool:
        """Whether the lifeline has ended, not only been let go."""
        waits = select.poll()
        waits.register(self._lifeline, select.POLLIN)
        return bool(waits.poll(0)) and not os.read(self._lifeline, 1)

    def _awaited(self, told: int | None, milliseconds: int | None) -> set[int | None]:
        waits = select.poll()
        for file in (self._deaths, self._lifeline, told):
            if file is not None:
                waits.register(file, select.POLLIN)
        ready: set[int | None] = {file for file, _ in waits.poll(milliseconds)}
        if self._deaths in ready:
            os.read(self._deaths, 4096)
        return ready


def main() -> int:
    """Keep the command to its end."""
    launch_file, lifeline, status = map(int, sys.argv[1:4])
    for file in (lifeline, status):
        fcntl.fcntl(file, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    watch = Watch(lifeline)
    try:
        command, told, _hold = _start(Launch(launch_file), lifeline)
    except OSError as error:
        watch.end_all_below()
        _say(status, b"errno %d\n" % (error.errno or errno.EAGAIN))
        return 1
    _mute()
    _say(status, b"pid %d\nrunning\n" % command)
    ended = watch.until_ended(command, told)
    watch.end_all_below()
    if sys.argv[4:] and watch.holder_is_dead():
        _remove(sys.argv[4])
    _say(status, b"ended %d\n" % (_UNTOLD if ended is None else ended))
    return 0


def _start(launch: Launch, keepers: int) -> tuple[int, int, int]:
    """The command's pid, where its end is told, and what holds the inner process.

    `keepers` is the keeper's own lifeline. Raises the `OSError` of a command that does not start.
    """
    (birth, born), (told, tell), (lifeline, hold) = os.pipe(), os.pipe(), os.pipe()
    inner = os.fork()
    if inner == 0:
        # Not STATUS: its end says that the inner process, too, has ended what is below it.
        for file in (keepers, birth, told, hold):
            os.close(file)
        _hold_command(launch, lifeline, born, tell)
    for file in (born, tell, lifeline):
        os.close(file)
    with os.fdopen(birth, "rb") as said:
        words = said.read().split()
    if words[:1] != [b"pid"] or b"errno" in words:
        raise OSError(int(words[-1]) if words else errno.EAGAIN, "not started")
    return int(words[1]), told, hold


def _hold_command(launch: Launch, lifeline: int, born: int, tell: int) -> NoReturn:
    """What the inner process does: it is the command's parent until the command ends."""
    try:
        watch, parent = Watch(lifeline), os.getpid()
        command = os.fork()
        if command == 0:
            _become_command(launch, parent, born)
        os.close(born)
        _mute()
        ended = watch.until_ended(command)
        watch.end_all_below()
        if ended is not None:
            _say(tell, b"%d" % ended)
    except OSError as error:
        _say(born, b"errno %d" % (error.errno or errno.EAGAIN))
    finally:
        os._exit(0)


def _become_command(launch: Launch, parent: int, born: int) -> NoReturn:
    """What the command's process does: `born` is told its pid, and ends when the command runs."""
    try:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.setsid()
        for number in _DEFAULT:
            signal.signal(number, signal.SIG_DFL)
        if os.getppid() == parent:
            _say(born, b"pid %d " % os.getpid())
            _say(born, b"errno %d" % launch.become())
    finally:
        os._exit(127)


def _reap() -> tuple[dict[int, int], bool]:
    """The wait statuses of children that have ended, and whether there are no more children."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended, True
        if pid == 0:
            return ended, False
        ended[pid] = status


def _below(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        try:
            for task in os.scandir(f"/proc/{each}/task"):
                with open(f"{task.path}/children", "rb") as children:  # noqa: PTH123 - slow start
                    found.extend(map(int, children.read().split()))
        except OSError:
            continue
    return found[1:]


def _mute() -> None:
    """Let go of the command's pipes, which end when nobody holds them any more."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(nothing, stream)
    os.close(nothing)


def _say(pipe: int, words: bytes) -> None:
    try:
        os.write(pipe, words)
    except OSError:
        return  # nobody listens any more


def _remove(folder: str) -> None:
    import shutil  # noqa: PLC0415 - it would double the time that the start takes

    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    os._exit(main())
