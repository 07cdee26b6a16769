"""What process.py promises of waiting, threads and children; with real processes."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from loopctl.errors import Stopped
from loopctl.process import (
    Child,
    Stop,
    TaskScope,
    capture,
    identify,
    in_parallel,
    is_alive,
    terminate,
)

WAIT_S = 10.0
QUICK_LADDER = ((signal.SIGINT, 0.3), (signal.SIGTERM, 0.3), (signal.SIGKILL, 5.0))


def spend(*_: object) -> None:
    """Take output and forget it."""


def python(
    code: str, cwd: Path, on: Callable[[bytes], None] = spend, *, kept: bool = True
) -> Child:
    command = [sys.executable, "-c", code]
    return Child(command, cwd=cwd, env=os.environ, on_stdout=on, on_stderr=spend, kept=kept)


class Heard:
    """What a child said, and a way to wait for a word of it."""

    def __init__(self) -> None:
        self.text = b""
        self._news = threading.Condition()

    def __call__(self, chunk: bytes) -> None:
        with self._news:
            self.text += chunk
            self._news.notify_all()

    def line(self, number: int = 1) -> str:
        with self._news:
            assert self._news.wait_for(lambda: self.text.count(b"\n") >= number, WAIT_S)
            return self.text.decode().splitlines()[number - 1]


def is_gone(pid: int) -> bool:
    until = time.monotonic() + WAIT_S
    while identify(pid) is not None and time.monotonic() < until:
        time.sleep(0.01)
    return identify(pid) is None


# Stop


def test_a_wait_ends_the_moment_someone_stops() -> None:
    stop = Stop()
    threading.Timer(0.05, stop.stop, ["SIGINT"]).start()
    began = time.monotonic()
    with pytest.raises(Stopped) as stopped:
        stop.wait(WAIT_S)
    assert stopped.value.reason == "SIGINT"
    assert time.monotonic() - began < WAIT_S / 2


def test_a_wait_ends_at_the_deadline_and_says_so() -> None:
    with pytest.raises(Stopped, match="deadline"):
        Stop(0.05).wait(WAIT_S)


def test_the_next_blocking_call_never_gets_more_than_is_left() -> None:
    assert Stop(2.0).remaining(5.0) <= 2.0
    assert Stop().remaining(5.0) == 5.0


def test_the_first_reason_stays() -> None:
    stop = Stop()
    stop.stop("SIGTERM")
    stop.stop("a parallel task failed")
    assert stop.reason == "SIGTERM"


def test_a_child_stops_with_its_parent_and_never_the_other_way_round() -> None:
    parent = Stop()
    with parent.child() as child, child.child() as grandchild:
        grandchild.stop("enough")
        assert (child.reason, parent.reason) == (None, None)
        parent.stop("SIGINT")
        assert child.reason == "SIGINT"


def test_a_child_of_what_has_stopped_has_stopped() -> None:
    parent = Stop()
    parent.stop("SIGINT")
    with parent.child(5) as child, pytest.raises(Stopped, match="SIGINT"):
        child.remaining(1)


def test_a_child_cannot_outlast_its_parents_deadline() -> None:
    with Stop(0.05).child(WAIT_S) as child, pytest.raises(Stopped, match="deadline"):
        child.wait(WAIT_S)


# TaskScope and in_parallel


Work = Callable[[Stop], None]


def in_scope(stop: Stop, tasks: Sequence[Work], body: Work | None = None) -> None:
    with TaskScope(stop) as scope:
        for number, task in enumerate(tasks):
            scope.start(f"task {number}", task)
        if body is not None:
            body(scope.stop)


def test_a_scope_is_left_only_when_every_thread_has_ended() -> None:
    ended: list[str] = []
    gate = threading.Event()

    def slow(_: Stop) -> None:
        gate.wait(WAIT_S)
        ended.append("slow")

    with TaskScope(Stop()) as scope:
        scope.start("slow", slow)
        gate.set()
    assert ended == ["slow"]


def test_the_first_error_stops_the_siblings_and_is_raised() -> None:
    told: list[str] = []

    def patient(stop: Stop) -> None:
        try:
            stop.wait(WAIT_S)
        except Stopped as stopped:
            told.append(stopped.reason)
            raise

    def failing(_: Stop) -> None:
        raise ValueError("the registry is gone")

    outer = Stop()
    with pytest.raises(ValueError, match="the registry is gone"):
        in_scope(outer, [patient, failing])
    assert told == ["a parallel task failed"]
    assert outer.reason is None


def test_a_body_stopped_by_a_failed_task_does_not_hide_why() -> None:
    def failing(_: Stop) -> None:
        raise ValueError("the disk is full")

    with pytest.raises(ValueError, match="the disk is full"):
        in_scope(Stop(), [failing], lambda stop: stop.wait(WAIT_S))


def test_an_error_in_the_body_stops_the_threads_and_stays_the_error() -> None:
    stopped = threading.Event()

    def patient(stop: Stop) -> None:
        try:
            stop.wait(WAIT_S)
        except Stopped:
            stopped.set()

    def failing(_: Stop) -> None:
        raise KeyError("body")

    with pytest.raises(KeyError):
        in_scope(Stop(), [patient], failing)
    assert stopped.is_set()


def test_threads_are_named_for_what_they_do() -> None:
    names: list[str] = []
    with TaskScope(Stop()) as scope:
        scope.start("build chat", lambda _: names.append(threading.current_thread().name))
    assert names == ["build chat"]


def test_parallel_results_come_by_name_in_the_order_asked() -> None:
    tasks = {name: (lambda _, n=name: n.upper()) for name in ("b", "a", "c")}
    assert list(in_parallel(Stop(), 2, tasks).items()) == [("b", "B"), ("a", "A"), ("c", "C")]


def test_no_more_tasks_run_at_once_than_allowed() -> None:
    lock, running, most = threading.Lock(), 0, 0

    def task(stop: Stop) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        stop.wait(0.02)
        with lock:
            running -= 1

    in_parallel(Stop(), 2, {str(number): task for number in range(6)})
    assert most == 2


def test_after_an_error_no_further_task_begins() -> None:
    begun: list[str] = []

    def failing(_: Stop) -> None:
        begun.append("failing")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        in_parallel(Stop(), 1, {"failing": failing, "never": lambda _: begun.append("never")})
    assert begun == ["failing"]


# Child


@pytest.mark.parametrize("kept", [True, False])
def test_both_pipes_take_a_megabyte_and_lose_nothing(tmp_path: Path, *, kept: bool) -> None:
    code = (
        "import sys\n"
        "for _ in range(16):\n"
        "    sys.stderr.write('e' * 65536); sys.stdout.write('o' * 65536)"
    )
    command = [sys.executable, "-c", code]
    end, out, err = capture(command, cwd=tmp_path, stop=Stop(WAIT_S), kept=kept)
    assert end.code == 0
    assert (out, err) == (b"o" * (1 << 20), b"e" * (1 << 20))


@pytest.mark.parametrize("kept", [True, False])
def test_the_exit_code_is_told_and_a_signal_is_negative(tmp_path: Path, *, kept: bool) -> None:
    assert python("raise SystemExit(3)", tmp_path, kept=kept).wait(Stop(WAIT_S)).code == 3
    dying = python("import os; os.kill(os.getpid(), 9)", tmp_path, kept=kept)
    killed = dying.wait(Stop(WAIT_S))
    assert (killed.code, killed.stopped) == (-9, None)


def test_a_command_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        capture(["no-such-command"], cwd=tmp_path, stop=Stop())


@pytest.mark.parametrize("kept", [True, False])
def test_a_child_has_a_session_of_its_own_and_no_terminal(tmp_path: Path, *, kept: bool) -> None:
    code = "import os, sys; print(os.getsid(0), os.getpgid(0), repr(sys.stdin.read()))"
    child = python(code, tmp_path, heard := Heard(), kept=kept)
    child.wait(Stop(WAIT_S))
    assert heard.line() == f"{child.pid} {child.pid} ''"


def test_the_deadline_ends_a_child_and_says_that_it_did(tmp_path: Path) -> None:
    child = python("import time; time.sleep(60)", tmp_path)
    end = child.wait(Stop(0.1), QUICK_LADDER)
    assert end.stopped == "deadline"
    assert end.code != 0
    assert is_gone(child.pid)


def test_a_stop_from_above_ends_a_child_at_once(tmp_path: Path) -> None:
    run = Stop()
    child = python("import time; print('up', flush=True); time.sleep(60)", tmp_path, up := Heard())
    up.line()
    run.stop("SIGTERM")
    with run.child(WAIT_S) as inner:
        end = child.wait(inner)
    assert end.stopped == "SIGTERM"
    assert end.duration_s < WAIT_S


@pytest.mark.parametrize("kept", [True, False])
def test_the_ladder_begins_gently_and_ends_with_kill(tmp_path: Path, *, kept: bool) -> None:
    code = (
        "import signal, sys\n"
        "def note(number, _): print(signal.Signals(number).name, flush=True)\n"
        "signal.signal(signal.SIGINT, note); signal.signal(signal.SIGTERM, note)\n"
        "print('up', flush=True)\n"
        "while True: signal.pause()"
    )
    child = python(code, tmp_path, heard := Heard(), kept=kept)
    heard.line()
    stop = Stop()
    stop.stop("test timeout")
    end = child.wait(stop, QUICK_LADDER)
    assert heard.text.decode().split() == ["up", "SIGINT", "SIGTERM"]
    assert (end.code, end.stopped) == (-signal.SIGKILL, "test timeout")


def test_a_child_that_goes_when_asked_is_not_killed(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGINT, lambda *_: sys.exit(7))\n"
        "print('up', flush=True); time.sleep(60)"
    )
    child = python(code, tmp_path, heard := Heard())
    heard.line()
    stop = Stop()
    stop.stop("enough")
    assert child.wait(stop).code == 7


@pytest.mark.parametrize("kept", [True, False])
def test_what_a_child_left_in_its_group_is_dead_afterwards(tmp_path: Path, *, kept: bool) -> None:
    code = (
        "import subprocess, sys\n"
        "left = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(left.pid, flush=True)"
    )
    child = python(code, tmp_path, heard := Heard(), kept=kept)
    assert child.wait(Stop(WAIT_S)).code == 0
    assert is_gone(int(heard.line()))


def leaving(code: str) -> str:
    """Code that starts a grandchild in a session of its own, tells its pid and ends."""
    return (
        "import subprocess, sys\n"
        f"command = [sys.executable, '-c', {code!r}]\n"
        "print(subprocess.Popen(command, start_new_session=True).pid, flush=True)"
    )


def test_a_grandchild_that_left_the_group_and_holds_the_pipe_does_not_hold_us(
    tmp_path: Path,
) -> None:
    code = leaving("import time; time.sleep(60)")
    child = python(code, tmp_path, heard := Heard(), kept=False)
    began = time.monotonic()
    end = child.wait(Stop(WAIT_S))
    daemon = int(heard.line())
    try:
        assert end.code == 0
        assert time.monotonic() - began < 5.0
        assert identify(daemon) is not None
    finally:
        os.kill(daemon, signal.SIGKILL)


def test_nothing_is_handed_on_once_the_wait_has_returned(tmp_path: Path) -> None:
    go = tmp_path / "go"
    late = (
        "import os, time\n"
        f"while not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
        "os.write(1, b'late')"
    )
    child = python(leaving(late), tmp_path, heard := Heard(), kept=False)
    assert child.wait(Stop(WAIT_S)).code == 0
    daemon = int(heard.line())
    go.touch()
    assert is_gone(daemon)
    assert b"late" not in heard.text


def test_output_that_cannot_be_kept_is_an_error_of_the_wait(tmp_path: Path) -> None:
    def full(_: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left"):
        python("print('much')", tmp_path, full).wait(Stop(WAIT_S))


def test_a_process_is_told_from_a_later_one_of_its_number(tmp_path: Path) -> None:
    child = python("import time; time.sleep(60)", tmp_path)
    identity = child.identity()
    assert identity is not None
    assert is_alive(identity)
    assert not is_alive(type(identity)(identity.pid, identity.started - 1))
    os.killpg(child.pid, signal.SIGKILL)
    child.wait(Stop(WAIT_S))
    assert not is_alive(identity)
    assert child.identity() is None


def test_only_that_very_process_is_told_to_end() -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        mine = identify(sleeper.pid)
        assert mine is not None
        assert not terminate(replace(mine, started=mine.started + 1))
        assert sleeper.poll() is None
        assert terminate(mine)
        assert sleeper.wait(20) == -signal.SIGTERM
        assert not terminate(mine)
    finally:
        sleeper.kill()
