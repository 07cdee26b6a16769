"""What a kept child promises: nothing of it outlives its end, or loopctl; with real processes."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from loopctl import process_table
from loopctl.process import Child, Exit, Stop

WAIT_S = 20.0
SHORT_LADDER = ((signal.SIGTERM, 0.2), (signal.SIGKILL, 0.5))

# A daemon of the old school: nothing is left that would lead from it to whoever started it.
DAEMON = """
import os, signal, sys, time
here = os.getcwd()
def told():
    return [name for name in os.listdir(here) if name.endswith(".pid")]
def tell():
    open(f"{here}/{os.getpid()}.pid", "w").close()
def daemon():
    known = len(told())
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 64)
            os.chdir("/")
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            tell()
            time.sleep(60)
        os._exit(0)
    while len(told()) == known:
        time.sleep(0.005)
"""

HOLDERS = """
inner = os.getppid()
keeper = int(open(f"/proc/{inner}/stat").read().rpartition(")")[2].split()[1])
"""


@dataclass(slots=True)
class Rig:
    """A folder that the processes of a test work in, where each may leave its pid."""

    folder: Path
    out: bytearray = field(default_factory=bytearray)
    err: bytearray = field(default_factory=bytearray)

    def start(
        self, *command: str, env: Mapping[str, str] = os.environ, private: Path | None = None
    ) -> Child:
        return Child(
            command,
            cwd=self.folder,
            env=env,
            on_stdout=self.out.extend,
            on_stderr=self.err.extend,
            private=private,
        )

    def python(self, code: str) -> Child:
        return self.start(sys.executable, "-c", DAEMON + code)

    def end(self, *command: str, env: Mapping[str, str] = os.environ) -> Exit:
        return self.start(*command, env=env).wait(Stop(WAIT_S))

    def told(self) -> list[int]:
        return [int(path.stem) for path in self.folder.glob("*.pid")]

    def left(self) -> list[int]:
        """Those that told their pid and still run, or work in the folder without having told."""
        inside = [pid for pid in process_table.pids() if self._works_here(pid)]
        return [pid for pid in {*self.told(), *inside} if process_table.is_running(pid)]

    def _works_here(self, pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(self.folder)
        except OSError:
            return False


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    for pid in rig.left():
        os.kill(pid, signal.SIGKILL)


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def above(child: Child) -> tuple[int, int]:
    """The inner process and the keeper of a child."""
    _, inner, keeper, *_ = process_table.ancestry(child.pid)
    return inner, keeper


def by_name(name: str) -> Path:
    return next(
        Path(folder, name) for folder in ("/bin", "/usr/bin") if Path(folder, name).exists()
    )


# What the command is given


def test_the_command_is_given_its_environment_and_arguments_and_nothing_else(rig: Rig) -> None:
    env = {"A": "1", "PATH": "/usr/bin:/bin", "EMPTY": "", "B": "x=y\nz\udcff"}
    assert rig.end("env", "-0", env=env).code == 0
    assert {*bytes(rig.out).split(b"\0")} == {
        *(b"A=1", b"PATH=/usr/bin:/bin", b"EMPTY=", b"B=x=y\nz\xff", b"")
    }
    rig.out.clear()
    rig.end("sh", "-c", 'printf "<%s>" "$@"', "sh", "", "a b", "\udcff")
    assert rig.out == b"<><a b><\xff>"


def test_no_open_file_and_no_ignored_signal_comes_down_to_the_command(rig: Rig) -> None:
    rig.end("ls", "/proc/self/fd")
    assert rig.out.decode().split() == ["0", "1", "2", "3"]  # the last is the folder it reads
    rig.out.clear()
    before = signal.signal(signal.SIGQUIT, signal.SIG_IGN)  # as in a shell's background
    try:
        rig.end("grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")
    finally:
        signal.signal(signal.SIGQUIT, before)
    masks = [int(mask, 16) for mask in re.findall(r"[0-9a-f]{16}", rig.out.decode())]
    # 32 and 33 are the C library's own (nptl(7)): no program can set them through it.
    assert [mask & ~(0b11 << 31) for mask in masks] == [0, 0]
    assert rig.err == b""


def test_the_end_of_the_command_is_told_faithfully(rig: Rig) -> None:
    codes = [rig.end("sh", "-c", f"exit {code}").code for code in (0, 1, 75, 255)]
    assert codes == [0, 1, 75, 255]
    deaths = (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGINT, signal.SIGPIPE)
    ended = [rig.end("sh", "-c", f"kill -{int(number)} $$").code for number in deaths]
    assert ended == [-number for number in deaths]


def test_a_command_that_cannot_be_started_is_an_os_error_with_its_number(rig: Rig) -> None:
    (rig.folder / "plain").write_text("#!/bin/sh\n")
    (rig.folder / "wordless").write_text("nothing to run it by\n")
    (rig.folder / "wordless").chmod(0o755)
    (rig.folder / "folder").mkdir()
    wrong = {
        "no-such-command": errno.ENOENT,
        "./none": errno.ENOENT,
        "./plain": errno.EACCES,
        "./folder": errno.EACCES,
        "./plain/below": errno.ENOTDIR,
        "./wordless": errno.ENOEXEC,
    }
    for command, number in wrong.items():
        with pytest.raises(OSError, match=re.escape(command)) as problem:
            rig.start(command)
        assert (problem.value.errno, problem.value.filename) == (number, command)
        assert type(problem.value) is type(OSError(number, ""))
    with pytest.raises(FileNotFoundError, match="gone"):
        Rig(rig.folder / "gone").start("true")
    with pytest.raises(ValueError, match="null byte"):
        rig.start("tr\0ue")
    with pytest.raises(ValueError, match="variable name"):
        rig.start("true", env={"A=B": "C"})
    assert (rig.left(), bytes(rig.out), bytes(rig.err)) == ([], b"", b"")


def test_a_program_is_sought_on_the_path_of_its_own_environment(rig: Rig) -> None:
    for folder, mode in (("first", 0o644), ("second", 0o755)):
        (rig.folder / folder).mkdir()
        program = rig.folder / folder / "tool"
        program.write_text(f"#!/bin/sh\necho {folder}\n")
        program.chmod(mode)
    path = f"{rig.folder}/none:{rig.folder}/first:{rig.folder}/second:/usr/bin:/bin"
    rig.end("tool", env={"PATH": path})
    assert rig.out == b"second\n"
    with pytest.raises(PermissionError):
        rig.start("tool", env={"PATH": f"{rig.folder}/first"})


def test_much_on_stderr_before_stdout_does_not_hang(rig: Rig) -> None:
    rig.end("sh", "-c", "head -c 300000 /dev/zero >&2; echo done")
    assert (len(rig.err), bytes(rig.out)) == (300_000, b"done\n")


# Nothing outlives it


def test_a_daemon_that_cut_every_tie_is_dead_when_the_wait_returns(rig: Rig) -> None:
    ended = rig.python("daemon()").wait(Stop(WAIT_S))
    assert (ended.code, len(rig.told())) == (0, 1)
    assert rig.left() == []


def test_a_daemon_without_an_environment_is_dead_too(rig: Rig) -> None:
    script = f"env -i {sys.executable} -c '{DAEMON}daemon()'; exit 4"
    assert rig.end("sh", "-c", script).code == 4
    assert len(rig.told()) == 1
    assert rig.left() == []


def test_fifty_children_in_sessions_of_their_own_are_all_dead(rig: Rig) -> None:
    code = """
for _ in range(50):
    if os.fork() == 0:
        os.setsid()
        tell()
        time.sleep(60)
while len(told()) < 50:
    time.sleep(0.01)
"""
    assert rig.python(code).wait(Stop(WAIT_S)).code == 0
    assert len(rig.told()) == 50
    assert rig.left() == []


def test_what_forks_faster_than_one_look_takes_is_dead(rig: Rig) -> None:
    # Each starts the next and ends, in a session of its own, so no look ever sees the same one.
    code = """
if os.fork() == 0:
    for _ in range(2000):
        if os.fork():
            os._exit(0)
        os.setsid()
        time.sleep(0.002)
"""
    assert rig.python(code).wait(Stop(WAIT_S)).code == 0
    assert rig.left() == []


def test_orphans_are_reaped_while_the_command_still_runs(rig: Rig) -> None:
    child = rig.start("sh", "-c", "for i in 1 2 3 4 5; do (sleep 0 & echo up); done; exec sleep 60")
    until(lambda: rig.out.count(b"up") == 5)
    inner, keeper = above(child)
    until(lambda: process_table.children(inner) == [child.pid])
    assert process_table.children(keeper) == [inner]
    child.wait(Stop(0), SHORT_LADDER)


def test_no_zombie_and_no_keeper_is_left(rig: Rig) -> None:
    before = set(process_table.children(os.getpid()))
    rig.python("daemon()").wait(Stop(WAIT_S))
    rig.python("daemon(); time.sleep(60)").wait(Stop(0.2), SHORT_LADDER)
    assert set(process_table.children(os.getpid())) == before
    assert rig.left() == []


@pytest.mark.parametrize(
    "blow",
    [
        "os.kill(os.getppid(), signal.SIGKILL)",
        "os.killpg(0, signal.SIGKILL)",
        "os.kill(os.getsid(0), signal.SIGKILL)",
    ],
)
def test_a_command_that_kills_its_parent_or_its_group_only_harms_itself(
    rig: Rig, blow: str
) -> None:
    ended = rig.python(f"daemon()\n{blow}\ntime.sleep(60)").wait(Stop(WAIT_S))
    assert (ended.code, ended.stopped) == (-signal.SIGKILL, None)
    assert len(rig.told()) == 1
    assert rig.left() == []


def test_no_signal_but_kill_moves_those_who_hold_the_command(rig: Rig) -> None:
    code = (
        HOLDERS
        + """
for pid in (inner, keeper):
    for number in (1, 2, 15):
        os.kill(pid, number)
time.sleep(0.1)
sys.exit(7)
"""
    )
    ended = rig.python(code).wait(Stop(WAIT_S))
    assert ended.code == 7


@pytest.mark.parametrize("whom", ["inner,", "keeper,", "keeper, inner"])
def test_a_command_that_stops_who_holds_it_is_ended_at_the_deadline(rig: Rig, whom: str) -> None:
    code = f"{HOLDERS}daemon()\nfor pid in {whom}: os.kill(pid, signal.SIGSTOP)\nsys.exit(3)"
    began = time.monotonic()
    ended = rig.python(code).wait(Stop(1.0), SHORT_LADDER)
    assert ended.stopped == "deadline"
    assert rig.left() == []
    assert time.monotonic() - began < WAIT_S / 2


def test_the_interrupt_comes_to_each_of_the_group_once_and_its_handlers_run(rig: Rig) -> None:
    code = """
heard = []
signal.signal(signal.SIGINT, lambda *_: heard.append(1))
if os.fork() == 0:
    daemon()
    os.write(1, b"up\\n")
while not heard:
    time.sleep(0.01)
time.sleep(0.3)
os.write(1, b"heard %d\\n" % len(heard))
"""
    child = rig.python(code)
    until(lambda: b"up" in rig.out)
    stop = Stop()
    stop.stop("SIGINT")
    assert child.wait(stop).stopped == "SIGINT"
    assert rig.out.count(b"heard 1") == rig.out.count(b"heard")
    assert b"heard 1" in rig.out
    assert rig.left() == []


# The keeper itself is killed


def test_a_killed_keeper_takes_all_with_it_and_the_child_counts_as_killed(rig: Rig) -> None:
    child = rig.python("daemon(); print('up', flush=True); time.sleep(60)")
    until(lambda: b"up" in rig.out)
    os.kill(above(child)[1], signal.SIGKILL)
    assert child.wait(Stop(WAIT_S)).code == -signal.SIGKILL
    assert rig.left() == []


def test_with_both_that_hold_it_killed_the_command_and_its_session_die(rig: Rig) -> None:
    code = "\nif os.fork() == 0: os.setpgid(0, 0); tell()\nprint('up', flush=True); time.sleep(60)"
    child = rig.python(code)
    until(lambda: rig.out.count(b"up") == 2)
    for pid in reversed(above(child)):
        os.kill(pid, signal.SIGKILL)
    assert child.wait(Stop(WAIT_S)).code == -signal.SIGKILL
    until(lambda: not rig.left())


# loopctl is killed

LIKE_LOOPCTL = """
import os, sys
from pathlib import Path
from loopctl.process import Child, Stop
command, folder, private = [sys.executable, "-c", sys.argv[1]], Path(sys.argv[2]), sys.argv[3:]
child = Child(
    command, cwd=folder, env={}, on_stdout=sys.stdout.buffer.write, on_stderr=print,
    private=Path(*private) if private else None,
)
child.wait(Stop(60))
"""


def like_loopctl(rig: Rig, code: str, *private: str) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", LIKE_LOOPCTL, DAEMON + code, str(rig.folder), *private]
    return subprocess.Popen(words, cwd="/", stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def test_all_is_gone_a_moment_after_loopctl_was_killed_and_its_spool_too(
    rig: Rig, tmp_path_factory: pytest.TempPathFactory
) -> None:
    spool = tmp_path_factory.mktemp("spool")
    (spool / "deep").mkdir()
    (spool / "deep" / "spool.jsonl").write_text("a secret")
    loopctl = like_loopctl(rig, "daemon(); tell(); time.sleep(60)", str(spool))
    until(lambda: len(rig.told()) == 2)
    loopctl.kill()
    loopctl.wait()
    until(lambda: not rig.left())
    until(lambda: not spool.exists())


def test_the_command_dies_with_loopctl_and_all_that_hold_it(rig: Rig) -> None:
    loopctl = like_loopctl(rig, "tell(); time.sleep(60)")
    until(rig.told)
    holders = list(process_table.ancestry(rig.told()[0]))[1:3]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        # Stopped first, so that none of them can act on the death of another.
        for pid in (loopctl.pid, *reversed(holders)):
            os.kill(pid, number)
    loopctl.wait()
    until(lambda: not rig.left())


def test_a_loopctl_that_was_killed_at_any_moment_of_a_start_leaves_nothing(rig: Rig) -> None:
    for delay in (0.0, 0.005, 0.01, 0.015, 0.02, 0.03):
        loopctl = like_loopctl(rig, "tell(); time.sleep(60)")
        until(lambda: len(process_table.children(loopctl.pid)) > 0)  # noqa: B023 - called at once
        threading.Event().wait(delay)
        loopctl.kill()
        loopctl.wait()
        until(lambda: not rig.left())


def test_a_deadline_leaves_the_private_folder_to_loopctl(rig: Rig) -> None:
    private = rig.folder / "private"
    private.mkdir()
    child = rig.start("sleep", "60", private=private)
    assert child.wait(Stop(0.1), ((signal.SIGCONT, 0.1),)).code == -signal.SIGKILL
    assert private.is_dir()


def test_a_wait_that_is_broken_off_by_an_error_leaves_nothing(rig: Rig) -> None:
    class Broken(Stop):
        def remaining(self, at_most: float) -> float:
            raise KeyboardInterrupt

    child = rig.python("daemon(); print('up', flush=True); time.sleep(60)")
    until(lambda: b"up" in rig.out)
    with pytest.raises(KeyboardInterrupt):
        child.wait(Broken())
    assert rig.left() == []
