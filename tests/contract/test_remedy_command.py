"""A remedy's command is run safely, whatever it does: real commands, real processes."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from loopctl.builders.git_source import GitSources
from loopctl.errors import Stopped
from loopctl.ports.remedy import CommandEnd, RemedyError
from loopctl.process import Stop
from loopctl.redact import Redactor
from loopctl.remedies.command import ShellFreeCommand
from loopctl.remedies.work_tree import GitWorkTree

SECRET = "s3cr3t-value-of-the-shop"
VARIABLES = {
    "LOOPCTL_RUN_ID": "20261121-000000-shop-0000",
    "LOOPCTL_CYCLE": "1",
    "LOOPCTL_ENV": "local",
    "LOOPCTL_BUNDLE": "bundle",
}


class Workshop:
    """A project and what runs remedies in it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self.root.mkdir()
        self.output = folder / "run" / "1.txt"
        self.output.parent.mkdir(mode=0o700)
        self.environ: Mapping[str, str] = dict(os.environ)

    def run(self, *command: str, timeout_s: float = 20.0, stop: Stop | None = None) -> CommandEnd:
        runner = ShellFreeCommand(self.root, Redactor({"TOKEN": SECRET}), self.environ)
        return runner.run(command, VARIABLES, self.output, timeout_s, stop or Stop())

    def python(self, program: str, timeout_s: float = 20.0, stop: Stop | None = None) -> CommandEnd:
        return self.run(sys.executable, "-c", program, timeout_s=timeout_s, stop=stop)

    def script(self, text: str, name: str = "fix.sh") -> Path:
        path = self.root / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    @property
    def printed(self) -> bytes:
        return self.output.read_bytes()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    shop = Workshop(tmp_path)
    yield shop
    # Only after a test that failed is it still there.
    left = shop.root / "pid"
    if left.exists() and is_running(int(left.read_text())):
        os.kill(int(left.read_text()), signal.SIGKILL)


def is_running(pid: int) -> bool:
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return False
    return fields[0] not in (b"Z", b"X")


def assert_gone(file: Path) -> None:
    """The process whose id is in the file does not run any more."""
    pid = int(file.read_text())
    until = time.monotonic() + 3
    while is_running(pid) and time.monotonic() < until:
        threading.Event().wait(0.02)
    assert not is_running(pid)


def test_a_script_runs_in_the_project_root_and_its_end_is_told(shop: Workshop) -> None:
    shop.script('#!/bin/sh\npwd\necho "mended $LOOPCTL_CYCLE"\n')
    end = shop.run("./fix.sh")
    assert (end.code, end.late, end.last_line, end.output_lost) == (0, False, "mended 1", "")
    assert shop.printed == f"{shop.root}\nmended 1\n".encode()


def test_both_streams_are_kept(shop: Workshop) -> None:
    shop.script("#!/bin/sh\necho to stdout\necho to stderr >&2\n")
    shop.run("./fix.sh")
    # Two pipes, so that neither cuts a secret of the other: which comes first is nobody's promise.
    assert sorted(shop.printed.splitlines()) == [b"to stderr", b"to stdout"]


def test_the_words_meet_no_shell(shop: Workshop) -> None:
    end = shop.run("echo", "$HOME", "`id`", "; touch pwned", "*")
    assert end.last_line == "$HOME `id` ; touch pwned *"
    assert not list(shop.root.iterdir())


@pytest.mark.parametrize(("code", "seen"), [(75, 75), (1, 1), (0, 0)])
def test_the_exit_code_is_the_commands_own(shop: Workshop, code: int, seen: int) -> None:
    assert shop.python(f"raise SystemExit({code})").code == seen


def test_a_death_by_a_signal_is_told_as_one(shop: Workshop) -> None:
    assert shop.python("import os; os.kill(os.getpid(), 9)").code == -9


def test_the_environment_is_the_allow_list_and_the_contracts_variables(shop: Workshop) -> None:
    shop.environ = {
        "PATH": os.environ["PATH"],
        "HOME": "/home/ana",
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
        "GOOGLE_APPLICATION_CREDENTIALS": "key.json",
        "AWS_SECRET_ACCESS_KEY": "aws",
        "AWS_PROFILE": "prod",
        "CLOUDSDK_CONFIG": "/home/ana/.config/gcloud",
        "KUBECONFIG": "/home/ana/.kube/config",
        "SSH_AUTH_SOCK": "/tmp/agent",
        "GITHUB_TOKEN": "gh",
        "LOOPCTL_RUNS_DIR": "elsewhere",
        "LD_PRELOAD": "",
        "PYTHONPATH": "x",
        "ANYTHING": "else",
    }
    assert shop.run("env").code == 0
    seen = dict(line.split("=", 1) for line in shop.printed.decode().splitlines())
    given = {"PATH", "HOME", "LC_ALL", "TERM", *VARIABLES}
    led_away = {
        *("CLOUDSDK_CONFIG", "DOCKER_CONFIG", "AZURE_CONFIG_DIR", "KUBECONFIG", "BOTO_CONFIG"),
        *("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"),
    }
    switches = {"NO_GCE_CHECK", "AWS_EC2_METADATA_DISABLED"}
    # What watches the command may mark it; a mark of its own is no variable of the user's.
    inherited = seen.keys() - given - led_away - switches
    assert not inherited & shop.environ.keys()
    assert given <= seen.keys()
    assert all(str(shop.output.parent) in seen[name] for name in led_away)


def test_credentials_below_home_are_looked_for_in_an_empty_private_folder(shop: Workshop) -> None:
    program = (
        "import os; p = os.environ['CLOUDSDK_CONFIG'];"
        "print(os.listdir(p), oct(os.stat(p).st_mode & 0o777),"
        "os.path.exists(os.environ['AWS_SHARED_CREDENTIALS_FILE']))"
    )
    assert shop.python(program).last_line == "[] 0o700 False"
    assert [path.name for path in shop.output.parent.iterdir()] == ["1.txt"]


def test_what_it_prints_is_private_and_without_secrets(shop: Workshop) -> None:
    # Cut in two, the other stream in between: each stream is searched on its own.
    program = f"""
import os, time
os.write(1, {SECRET[:9]!r}.encode())
os.write(2, b"noise\\n")
time.sleep(0.1)
os.write(1, {SECRET[9:]!r}.encode() + b" was the token\\n")
"""
    end = shop.python(program)
    assert end.last_line == "[redacted:TOKEN] was the token"
    assert SECRET.encode() not in shop.printed
    assert SECRET[9:].encode() not in shop.printed
    assert stat.S_IMODE(shop.output.stat().st_mode) == 0o600


def test_the_last_line_cannot_act_on_a_terminal(shop: Workshop) -> None:
    end = shop.python("print('\\x1b]0;owned\\x07\\x1b[31mred')")
    assert "\x1b" not in end.last_line
    assert "red" in end.last_line


def test_a_flood_is_bounded_with_its_head_and_its_end(shop: Workshop) -> None:
    program = """
import sys
print("the first line")
for _ in range(50):
    sys.stdout.write("filler filler filler filler 123\\n" * 32768)
print("the last line")
"""
    end = shop.python(program, timeout_s=60)
    assert (end.code, end.last_line, end.output_lost) == (0, "the last line", "")
    assert shop.printed.startswith(b"the first line\n")
    assert shop.printed.endswith(b"the last line\n")
    assert b"bytes were left out here]\n" in shop.printed
    assert len(shop.printed) < 1024 * 1024 + 100


def test_one_that_never_ends_is_ended_when_its_time_is_up(shop: Workshop) -> None:
    began = time.monotonic()
    end = shop.run("sleep", "1000", timeout_s=0.3)
    assert end.late
    assert time.monotonic() - began < 5


@pytest.mark.slow
def test_one_that_ignores_sigterm_is_killed(shop: Workshop) -> None:
    program = """
import os, pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
pathlib.Path("pid").write_text(str(os.getpid()))
time.sleep(1000)
"""
    end = shop.python(program, timeout_s=0.5)
    assert end.late
    assert_gone(shop.root / "pid")


DAEMON = """
import os, pathlib, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for descriptor in (0, 1, 2):
            os.close(descriptor)
        pathlib.Path("pid.new").write_text(str(os.getpid()))
        os.rename("pid.new", "pid")
        time.sleep(1000)
    os._exit(0)
while not os.path.exists("pid"):
    time.sleep(0.01)
"""


def test_a_daemon_that_it_leaves_behind_does_not_outlive_it(shop: Workshop) -> None:
    assert shop.python(DAEMON).code == 0
    assert_gone(shop.root / "pid")


def test_a_daemon_that_holds_the_output_does_not_keep_the_run_waiting(shop: Workshop) -> None:
    holding = DAEMON.replace("            os.close(descriptor)\n", "            pass\n")
    began = time.monotonic()
    assert shop.python(holding).code == 0
    assert time.monotonic() - began < 10
    assert_gone(shop.root / "pid")


def test_one_that_kills_its_parent_harms_nobody_but_itself(shop: Workshop) -> None:
    """In a process of its own: the parent that it kills must not be the test's."""
    program = f"""
import os, sys
from pathlib import Path
from loopctl.process import Stop
from loopctl.redact import Redactor
from loopctl.remedies.command import ShellFreeCommand
runner = ShellFreeCommand(Path({str(shop.root)!r}), Redactor({{}}), os.environ)
kill = [sys.executable, "-c", "import os; os.kill(os.getppid(), 9); print('survived')"]
end = runner.run(kill, {{}}, Path({str(shop.output)!r}), 10, Stop())
print("told", end.code != 0 or end.last_line == "survived")
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "told True\n"), ran.stderr


def test_a_stop_ends_all_of_it_before_it_is_passed_on(shop: Workshop) -> None:
    stop = Stop()
    endless = DAEMON + "\ntime.sleep(1000)\n"

    def stop_once_it_runs() -> None:
        while not (shop.root / "pid").exists():
            threading.Event().wait(0.01)
        stop.stop("SIGINT")

    watcher = threading.Thread(target=stop_once_it_runs)
    watcher.start()
    with pytest.raises(Stopped, match="SIGINT"):
        shop.python(endless, stop=stop)
    watcher.join()
    assert_gone(shop.root / "pid")
    assert [path.name for path in shop.output.parent.iterdir()] == ["1.txt"]


def test_nothing_is_started_once_the_run_is_stopped(shop: Workshop) -> None:
    stop = Stop()
    stop.stop("SIGTERM")
    with pytest.raises(Stopped):
        shop.run("touch", "started", stop=stop)
    assert not list(shop.root.iterdir())


def test_what_cannot_be_started_is_told_with_what_to_do(shop: Workshop) -> None:
    with pytest.raises(RemedyError, match="nowhere-to-be-found") as missing:
        shop.run("nowhere-to-be-found")
    assert "PATH" in str(missing.value)
    (shop.root / "fix.sh").write_text("#!/bin/sh\n")
    with pytest.raises(RemedyError, match=r"fix\.sh") as closed:
        shop.run("./fix.sh")
    assert "chmod +x" in str(closed.value)
    shop.script("echo no interpreter is named\n", "bare.sh")
    with pytest.raises(RemedyError, match=r"bare\.sh") as bare:
        shop.run("./bare.sh")
    assert "#!/bin/sh" in str(bare.value)
    with pytest.raises(RemedyError, match="null byte"):
        shop.run("echo", "a\0b")


def test_a_full_disk_loses_the_output_and_says_so_but_not_the_end(
    shop: Workshop, small_disk: Path
) -> None:
    shop.output = small_disk / "1.txt"
    end = shop.python("print('x' * 100 + '\\n', end='') or [print('y' * 999) for _ in range(900)]")
    assert end.code == 0
    assert end.last_line == "y" * 200 + "… (+799 characters)"
    assert "space" in end.output_lost


def test_a_disk_that_is_full_before_starts_nothing(shop: Workshop, small_disk: Path) -> None:
    shop.output = small_disk / "nowhere" / "1.txt"
    shop.output.parent.touch()
    with pytest.raises(RemedyError, match="not started"):
        shop.run("touch", "started")
    assert not list(shop.root.iterdir())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", "size=512k,mode=0700", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, timeout=10, check=False).returncode != 0:
        pytest.skip("mounting a small disk needs the right to mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True, timeout=10)


def test_one_that_deletes_git_is_seen(shop: Workshop) -> None:
    subprocess.run(["git", "init", "-q"], cwd=shop.root, check=True, timeout=10)
    (shop.root / "app.py").write_text("1\n")
    tree = GitWorkTree(shop.root, GitSources(), always=())
    before = tree.read(Stop())
    assert shop.run("rm", "-rf", ".git").code == 0
    after = tree.read(Stop())
    assert (before.in_git, after.in_git) == (True, False)
    assert all(name.startswith(".git/") for name in before.changed(after)), "nothing else is blamed"
