"""Tests that work against their own process, the plugin or loopctl, each in a run of its own.

Whatever they do, the run ends in time with the right exit code, names the victim, counts nothing
that did not end, leaves users with what was verified before and no process behind, and takes no
memory for it: `hostile_rig` looks at what is left, `ended_well` at the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hostile_rig import AFTER, BEFORE, Attacked, Ended, attacked

MOST_MB = 200
MOST_S = 30
LIMITS = {"suite": "60s", "test": "2s"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """A project with a green run, shared by all of them: none may leave a trace in it."""
    with attacked(tmp_path_factory.mktemp("hostile")) as ours:
        yield ours


@dataclass(frozen=True, slots=True)
class Attack:
    """What the second of three tests does, and what it is told to have come to."""

    body: str
    code: int
    status: str
    message: str


LOST, RED = 3, 1
FAILS = "assert ask() == 'what it never says'"
NEVER_SAYS = "what it never says"

ATTACKS = {
    "segfaults": Attack("import ctypes; ctypes.string_at(0)", LOST, "lost", "SIGSEGV"),
    "kills its own group": Attack("os.killpg(0, signal.SIGKILL)", LOST, "lost", "SIGKILL"),
    "ends from a thread": Attack(
        "threading.Thread(target=os._exit, args=(0,)).start()\ntime.sleep(60)",
        LOST,
        "lost",
        "exit code 0",
    ),
    # In C and with the interpreter's lock held no Python code and no signal handler runs any more.
    "hangs in C": Attack(
        "import ctypes; ctypes.PyDLL(None).sleep(60)", RED, "timeout", "2 s"
    ),
    "stops its own process": Attack("os.kill(os.getpid(), signal.SIGSTOP)", RED, "timeout", "2 s"),
    "forks, and its child goes on as pytest": Attack(
        "child = os.fork()\nif child:\n    os.waitpid(child, 0)\n    assert not 'of the parent'",
        RED,
        "failed",
        "of the parent",
    ),
    "forks, and its child exits": Attack(
        f"if not os.fork():\n    os._exit(0)\nos.wait()\n{FAILS}", RED, "failed", NEVER_SAYS
    ),
    "removes the plugin from sys.modules": Attack(
        f"for name in [n for n in sys.modules if 'loopctl' in n]: del sys.modules[name]\n{FAILS}",
        RED,
        "failed",
        NEVER_SAYS,
    ),
    "changes directory": Attack(f"os.chdir('/')\n{FAILS}", RED, "failed", NEVER_SAYS),
    "forgets its environment": Attack(
        f"for name in [n for n in os.environ if 'LOOPCTL' in n]: del os.environ[name]\n{FAILS}",
        RED,
        "failed",
        NEVER_SAYS,
    ),
    "starts a daemon that outlives it": Attack(
        "name = LEFT + '/daemon.pid'\n"
        "subprocess.Popen(['setsid', 'env', '-i', 'sh', '-c',\n"
        "                  'cd /; echo $$ > \"$0\"; exec sleep 600', name])\n"
        "while not (os.path.exists(name) and os.path.getsize(name)): time.sleep(0.01)\n"
        f"{FAILS}",
        RED,
        "failed",
        NEVER_SAYS,
    ),
}


def three(body: str) -> str:
    """Three tests, of which the second is the hostile one."""
    hostile = "\n    ".join(["def test_hostile():", *body.splitlines()])
    imports = "import signal, subprocess, threading\n"
    return f"{imports}{BEFORE}\n{hostile}\n\n{AFTER}"


def ended_well(ended: Ended, code: int) -> None:
    """In time, with its exit code, and in little memory."""
    assert ended.ran.code == code, str(ended.ran)
    assert ended.ran.seconds < MOST_S
    assert ended.peak_mb < MOST_MB
    assert ended.suite["passed"] == list(ended.statuses().values()).count("passed")


def proven(ended: Ended, *names: str) -> None:
    for name in names:
        case = ended.case(name)
        assert (case["status"], case["grade"]) == ("passed", "proven"), case


def test_who_ends_the_process_with_exit_code_0_is_lost_and_the_others_are_run(
    project: Attacked,
) -> None:
    ended = project.run(three("ask()\nos._exit(0)"), timeout=LIMITS)
    ended_well(ended, LOST)
    assert ended.statuses() == {"before": "passed", "hostile": "lost", "after": "passed"}
    assert "exit code 0" in ended.case("hostile")["message"]
    proven(ended, "before", "after")
    assert "test_hostile" in ended.ran.line("FAILED")


FAKE = """
import io

class Fake:
    def setsockopt(self, *_): pass
    def sendall(self, _): pass
    def close(self): pass
    def makefile(self, *_, **__):
        return io.BytesIO(b"HTTP/1.1 200 OK\\r\\nContent-Length: 7\\r\\n\\r\\nhealthy")

def connect(*_, **__):
    return Fake()

def test_patches_the_socket(monkeypatch):
    monkeypatch.setattr(socket, "create_connection", connect)
    assert ask() == "healthy"

def test_is_itself_again():
    assert "healthy" in ask()

def test_replaces_the_socket_for_good():
    socket.create_connection = connect
    assert ask() == "healthy"

def test_comes_after():
    assert ask() == "healthy"
"""


def test_a_socket_that_is_replaced_by_a_fake_proves_nothing(project: Attacked) -> None:
    ended = project.run(BEFORE + FAKE)
    ended_well(ended, LOST)
    assert set(ended.statuses().values()) == {"passed"}
    proven(ended, "before", "is_itself_again")
    assert ended.case("patches_the_socket")["grade"] == "contradicted"
    assert ended.case("patches_the_socket")["reason"].startswith("mocked socket.create_connection")
    for name in ("replaces_the_socket_for_good", "comes_after"):
        assert ended.case(name)["grade"] == "unproven"
        assert ended.case(name)["reason"] == "no connection was made"
    assert "3 of 5 passes prove less than observed" in ended.reasons


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_who_works_against_its_process_is_named_and_the_others_are_run(
    project: Attacked, name: str
) -> None:
    attack = ATTACKS[name]
    ended = project.run(three(attack.body), timeout=LIMITS)
    ended_well(ended, attack.code)
    assert ended.statuses() == {"before": "passed", "hostile": attack.status, "after": "passed"}
    assert attack.message in ended.case("hostile")["message"]
    proven(ended, "before", "after")
    assert "test_hostile" in ended.ran.line("FAILED")
