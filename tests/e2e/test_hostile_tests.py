"""Tests that work against their own process, the plugin or loopctl, each in a run of its own.

Whatever they do, the run ends in time with the right exit code, names the victim, counts nothing
that did not end, leaves users with what was verified before and no process behind, and takes no
memory for it: `hostile_rig` looks at what is left, `ended_well` at the rest.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hostile_rig import AFTER, BEFORE, Attacked, Ended, attacked

MOST_MB = 200
MOST_S = 30
LIMITS = {"suite": "60s", "test": "2s"}
LOST, RED = 3, 1


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """A project with a green run, shared by all of them: none may leave a trace in it."""
    with attacked(tmp_path_factory.mktemp("hostile")) as ours:
        yield ours


def three(body: str) -> str:
    """Three tests, of which the second is the hostile one."""
    hostile = "\n    ".join(["def test_hostile():", *body.strip().splitlines()])
    imports = "import ctypes, json, shutil, signal, subprocess, threading\n"
    return f"{imports}{BEFORE}\n{hostile}\n\n{AFTER}"


def ended_well(ended: Ended, code: int, within_s: float = MOST_S) -> None:
    """In time, with its exit code, in little memory, and with the victim on the first screen."""
    assert ended.ran.code == code, str(ended.ran)
    assert ended.ran.seconds < within_s
    assert ended.peak_mb < MOST_MB
    assert ended.suite["passed"] == list(ended.statuses().values()).count("passed")
    assert ended.suite["collected"] == 3, ended.reasons


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

def test_patches_it(monkeypatch):
    monkeypatch.setattr(socket, "create_connection", connect)
    assert ask() == "healthy"

def test_replaces_it_for_good():
    socket.create_connection = connect
    assert ask() == "healthy"
"""


def test_a_socket_that_is_replaced_by_a_fake_proves_nothing(project: Attacked) -> None:
    ended = project.run(BEFORE + FAKE)
    ended_well(ended, LOST)
    assert set(ended.statuses().values()) == {"passed"}
    proven(ended, "before")
    told = {name: ended.case(name) for name in ("patches_it", "replaces_it_for_good")}
    assert {case["grade"]: case["reason"] for case in told.values()} == {
        "contradicted": "mocked socket.create_connection, no contact with web",
        "unproven": "no connection was made",
    }
    assert "2 of 3 passes prove less than observed" in ended.reasons


# What a test can write into the file of the plugin in its process, which is its own user's.
FORGES = """
import json
SPOOL = os.environ["LOOPCTL_SPOOL"]
END = {"e": "session-end", "exitstatus": 0, "testsfailed": 0, "testscollected": 3}

def me():
    return os.environ["PYTEST_CURRENT_TEST"].split(" (")[0]

def last():
    return [json.loads(line)["seq"] for line in open(SPOOL)][-1]

def forge(events, seq):
    with open(SPOOL, "a") as spool:
        for seq, event in enumerate(events, seq + 1):
            line = {"t": time.time(), "seq": seq, "pid": os.getpid(), "worker": None, **event}
            spool.write(json.dumps(line) + "\\n")

def phase(test, name):
    contact = {"target": "web", "host": "127.0.0.1", "port": 1, "loopback": True,
               "connected_in": "call", "failed": None, "sent": 100, "received": 100, "count": 1}
    return {"e": "phase", "id": test, "phase": name, "attempt": 1, "began": time.time(),
            "outcome": "passed", "duration_s": 0.1, "exc": None, "trace": "", "sections": {},
            "contacts": [contact]}

def passes(test):
    start = {"e": "test-start", "id": test, "file": "tests/test_smoke.py", "line": 1}
    ended = [phase(test, name) for name in ("setup", "call", "teardown")]
    return [start, *ended, {"e": "test-end", "id": test}]

def all_passed():
    mine = passes(me())[1:]
    return [*mine, *passes(me().replace("hostile", "after")), END]
"""
LEAVES = "forge(all_passed(), {})\nos._exit(0)"


def test_what_a_test_writes_into_the_plugins_file_makes_no_green(project: Attacked) -> None:
    ended = project.run(FORGES + three(LEAVES.format(1)), timeout=LIMITS)
    ended_well(ended, LOST)
    assert ended.suite["outcome"] == "unproven"
    assert "lines missing, or some that pytest did not write" in ended.reasons
    assert "lines missing, or some that pytest did not write" in ended.ran.line("FAILED")
    proven(ended, "before")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(LEAVES.format(1), LOST, id="leaves, with numbers of its own"),
        pytest.param(LEAVES.format("last()"), LOST, id="leaves, with the right numbers"),
        pytest.param("forge(all_passed(), last())\nassert False", RED, id="fails after it"),
    ],
)
def test_a_pass_that_a_test_has_written_itself_is_not_counted(
    body: str, code: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # In a project of its own: what is taken for green is promoted.
    with attacked(tmp_path_factory.mktemp("forged")) as alone:
        ended = alone.run(FORGES + three(body), timeout=LIMITS)
        assert ended.statuses()["hostile"] != "passed", ended.case("hostile")
        assert ended.ran.code in (code, LOST), str(ended.ran)
        assert "test_hostile" in ended.ran.out
        proven(ended, "before")


FLOODS = {
    "a line of 300 MB": (
        "with open(SPOOL, 'a') as spool:\n    for _ in range(300): spool.write('x' * 1_000_000)"
    ),
    "half a million names": (
        "ids = [[f'tests/test_smoke.py::test_{n}_{m}' for m in range(500)] for n in range(1000)]\n"
        "forge([{'e': 'collected', 'ids': part, 'deselected': 0} for part in ids], 1)"
    ),
    "fifty thousand tests that begin": (
        "names = [f'tests/test_smoke.py::test_{n}' for n in range(50_000)]\n"
        "forge([{'e': 'test-start', 'id': name, 'file': 'x', 'line': 1} for name in names], 1)"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOODS)
def test_what_a_test_floods_the_plugins_file_with_takes_no_memory(
    project: Attacked, name: str
) -> None:
    body = f"{FLOODS[name]}\nassert False"
    ended = project.run(FORGES + three(body), timeout={"suite": "60s", "test": "20s"}, within_s=300)
    assert ended.ran.code in (RED, LOST), str(ended.ran)
    assert ended.statuses()["hostile"] in ("failed", "lost")
    proven(ended, "before", "after")
    assert ended.peak_mb < MOST_MB
    assert ended.ran.seconds < MOST_S


# A second, so that loopctl has read what came before it: what it had not read is gone for good.
EMPTIES = "time.sleep(1)\nopen(os.environ['LOOPCTL_SPOOL'], 'w').close()\n"


@pytest.mark.slow
def test_who_empties_the_plugins_file_is_named_and_not_counted(project: Attacked) -> None:
    ended = project.run(three(f"{EMPTIES}assert False"), timeout=LIMITS)
    assert ended.ran.code in (RED, LOST), str(ended.ran)
    assert ended.statuses()["hostile"] in ("failed", "lost")
    assert "test_hostile" in ended.ran.line("FAILED")
    proven(ended, "before")
    assert ended.peak_mb < MOST_MB


@dataclass(frozen=True, slots=True)
class Attack:
    """What the second of three tests does, and what it is told to have come to.

    `shown`: its output is not captured by pytest, and goes to loopctl.
    """

    body: str
    code: int
    status: str
    message: str
    shown: bool = False


FAILS = "assert ask() == 'what it never says'"
GIGABYTE = "for _ in range(1000): sys.stdout.write('x' * 999_999 + '\\n')\n"
DAEMON = """
name = LEFT + "/daemon.pid"
told = 'cd /; echo $$ > "$0"; exec sleep 600'
subprocess.Popen(["setsid", "env", "-i", "sh", "-c", told, name])
while not (os.path.exists(name) and os.path.getsize(name)): time.sleep(0.01)
"""


def _fails(after: str, *, shown: bool = False) -> Attack:
    """One whose failure must be heard of, whatever it has done before."""
    return Attack(f"{after}\n{FAILS}", RED, "failed", "what it never says", shown)


def _lost(body: str, message: str) -> Attack:
    return Attack(body, LOST, "lost", message)


ATTACKS = {
    "segfaults": _lost("ctypes.string_at(0)", "SIGSEGV"),
    "kills its own group": _lost("os.killpg(0, signal.SIGKILL)", "SIGKILL"),
    "ends itself by a signal": _lost(
        "os.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(60)", "SIGTERM"
    ),
    "leaves from a thread": _lost(
        "threading.Thread(target=os._exit, args=(0,)).start()\ntime.sleep(60)", "exit code 0"
    ),
    # In C and with the interpreter's lock held no Python code and no signal handler runs any more.
    "hangs in C": Attack("ctypes.PyDLL(None).sleep(60)", RED, "timeout", "2 s, its limit"),
    "stops its own process": Attack(
        "os.kill(os.getpid(), signal.SIGSTOP)", RED, "timeout", "2 s, its limit"
    ),
    "forks, and its child goes on as pytest": _fails("child = os.fork()\nif child: os.wait()"),
    "forks, and both go on as pytest": _fails("os.fork()"),
    "forks, and its child passes": Attack(
        "child = os.fork()\nif child:\n    os.wait()\n    assert not 'of the parent'",
        RED,
        "failed",
        "of the parent",
    ),
    "forks, and its child exits": _fails("if not os.fork(): os._exit(0)\nos.wait()"),
    "prints a gigabyte": _fails(GIGABYTE, shown=True),
    "removes the plugin from sys.modules": _fails(
        "for name in [n for n in sys.modules if 'loopctl' in n]: del sys.modules[name]"
    ),
    "changes directory": _fails("os.chdir('/')"),
    "forgets its environment": _fails(
        "for name in [n for n in os.environ if 'LOOPCTL' in n]: del os.environ[name]"
    ),
    "removes the plugin's file": _fails("os.unlink(os.environ['LOOPCTL_SPOOL'])"),
    "removes the plugin's folder": _fails(
        "shutil.rmtree(os.path.dirname(os.environ['LOOPCTL_SPOOL']))"
    ),
    # It holds the pipes that loopctl reads, too.
    "starts a daemon that outlives it": _fails(DAEMON, shown=True),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_who_works_against_its_process_is_named_and_the_others_are_run(
    project: Attacked, name: str
) -> None:
    attack = ATTACKS[name]
    much = name == "prints a gigabyte"
    limits = {"suite": "120s", "test": "100s"} if much else LIMITS
    run = "-s tests/test_smoke.py" if attack.shown else "tests/test_smoke.py"
    ended = project.run(three(attack.body), timeout=limits, run=run)
    if much:
        shutil.rmtree(ended.ran.run / "suites")  # what pytest keeps of its tests stays small
    ended_well(ended, attack.code, 120 if much else MOST_S)
    assert ended.statuses() == {"before": "passed", "hostile": attack.status, "after": "passed"}
    assert attack.message in ended.case("hostile")["message"]
    proven(ended, "before", "after")
    assert "test_hostile" in ended.ran.line("FAILED")


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        "os.kill(os.getpid(), signal.SIGINT)",
        "pytest.exit('enough', returncode=0)",
        f"sys.modules.clear()\n{FAILS}",
    ],
)
def test_who_ends_the_session_is_lost_and_those_that_were_not_run_are_named(
    project: Attacked, body: str
) -> None:
    ended = project.run(three(body), timeout=LIMITS)
    ended_well(ended, LOST)
    assert ended.statuses() == {"before": "passed", "hostile": "lost"}
    assert "1 collected but never started: tests/test_smoke.py::test_after" in ended.reasons
    proven(ended, "before")
    assert "test_hostile" in ended.ran.line("FAILED")


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, 3])
def test_who_closes_every_descriptor_is_named_and_passes_for_nobody(
    project: Attacked, first: int
) -> None:
    ended = project.run(three(f"os.closerange({first}, 65536)\n{FAILS}"), timeout=LIMITS)
    # pytest's own captures are closed with them: what becomes of the one after is its affair.
    ended_well(ended, LOST if first == 0 else RED)
    statuses = ended.statuses()
    assert statuses["hostile"] in ("failed", "broken", "lost")
    assert statuses.get("after") != "passed" or ended.case("after")["grade"] == "proven"
    proven(ended, "before")
    assert "test_hostile" in ended.ran.line("FAILED")
