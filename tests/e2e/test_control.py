"""The control run: what still passes while the service is refused is no proof, and nobody else is
accused.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from kill_rig import (
    AT_ONCE,
    PATIENT,
    End,
    is_running,
    let_go,
    of_kind,
    processes_of,
    resumed,
)
from rig import Project, Ran, met_by_users, until
from services import CLIENT, suite, tiny_service
from slow import SLOW

COUNTED = """
@pytest.fixture(autouse=True)
def counted(request):
    with open("ran", "a") as ran:
        ran.write(request.node.name + "\\n")
"""
HONEST = "def test_honest():\n    assert 'healthy' in ask()\n"
OTHER = "def test_other():\n    assert 'healthy' in ask()\n"
VACUOUS = "def test_vacuous():\n    try: ask()\n    except OSError: pass\n"
NOT_PYTHONS = """
import subprocess
import grpc  # type: ignore[import-untyped]

def test_curl():
    subprocess.run(["curl", "-s", BASE + "/hello"])

def test_grpc():
    with grpc.insecure_channel(os.environ["LOOPCTL_URL_RPC"].rpartition("/")[2]) as channel:
        assert channel.unary_unary("/chat.Chat/Say")(b"?", timeout=5) == b"?"
"""
WAITS_WHEN_REFUSED = """
import pathlib

def test_honest():
    with open("again", "a") as again:
        again.write("x")
    if os.path.getsize("again") == 2:
        pathlib.Path("waiting").write_text(str(os.getpid()))
        deadline = time.monotonic() + 50
        while not os.path.exists("let-go") and time.monotonic() < deadline:
            time.sleep(0.02)
    assert 'healthy' in ask()
"""
NOT_REFUSED = "which cannot be refused"


class _Echo(grpc.GenericRpcHandler):  # type: ignore[misc]
    def service(self, _: object) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(lambda request, _: request)


class _HealthOrRpc(socketserver.BaseRequestHandler):
    """A gRPC service that answers about its health in HTTP/1.1, at the same port."""

    inner = 0

    def handle(self) -> None:
        near: socket.socket = self.request
        if near.recv(3, socket.MSG_PEEK) != b"PRI":
            near.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", self.inner)) as far:
            back = threading.Thread(target=_pass_on, args=(far, near))
            back.start()
            _pass_on(near, far)
            back.join()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def rpc() -> Iterator[dict[str, Any]]:
    """A gRPC service that runs already, as the loop file names it."""
    server = grpc.server(ThreadPoolExecutor(2), handlers=(_Echo(),))
    handler = type("Handler", (_HealthOrRpc,), {"inner": server.add_insecure_port("127.0.0.1:0")})
    server.start()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as front:
        front.daemon_threads = True
        thread = threading.Thread(target=front.serve_forever, args=(0.02,))
        thread.start()
        yield {"url": f"http://127.0.0.1:{front.server_address[1]}", "health": {"path": "/health"}}
        front.shutdown()
        thread.join()
    server.stop(None)


def loop(
    project: Project, *, control: str = "changed", rpc: dict[str, Any] | None = None, **keys: Any
) -> None:
    """A loop whose suite is the folder `tests`, each test of which is counted in the file `ran`."""
    project.write(".gitignore", ".loopctl/\n__pycache__/\nran\nagain\nwaiting\nlet-go\n")
    project.write("tests/conftest.py", "import pytest\n" + COUNTED)
    services = {"web": {**tiny_service(project), **AT_ONCE}, **({"rpc": rpc} if rpc else {})}
    made = suite(
        project,
        HONEST,
        run="tests",
        repeatable=True,
        evidence={"require": "plausible", "target": [*services], "control": control},
        timeout=PATIENT,
    )
    project.loop("web", services=services, suites=[made], **keys)
    project.commit()


def run(project: Project, *words: str) -> tuple[Ran, Counter[str]]:
    """A run, and how often each test was executed in it."""
    counted = project.root / "ran"
    counted.unlink(missing_ok=True)
    ran = project.run("web", *words)
    return ran, Counter(counted.read_text().split())


def test_a_vacuous_test_is_contradicted_and_only_what_has_changed_is_run_again(
    project: Project, rpc: dict[str, Any]
) -> None:
    loop(project, rpc=rpc)
    project.write("tests/test_other.py", CLIENT + OTHER)
    project.write("tests/test_not_pythons.py", CLIENT + NOT_PYTHONS)
    first, times = run(project)
    assert first.code == 0, str(first)
    assert times == {"test_honest": 3, "test_other": 3, "test_curl": 1, "test_grpc": 1}
    honest = first.case("::test_honest")
    assert (honest["status"], honest["grade"]) == ("passed", "proven")
    assert (
        honest["control"]
        == "it fails while web is refused, and while it answers wrongly (control run)"
    )
    for name, why in (
        ("curl", "a child process ran (curl)"),
        ("grpc", "code in C connected to rpc"),
    ):
        case = first.case(f"::test_{name}")
        assert case["control"].startswith(f"control unavailable: {why}"), case
        assert case["control"].endswith(NOT_REFUSED)
        assert case["grade"] != "contradicted"
    assert first.suite("smoke")["collected"] == 4, "the control run counts nothing"

    unchanged, times = run(project)
    assert unchanged.code == 0, str(unchanged)
    assert set(times.values()) == {1}
    said = "unchanged since a control run has borne it out"
    assert unchanged.case("::test_honest")["control"] == said
    good = unchanged.service("web")["revision"]

    project.write("tests/test_smoke.py", CLIENT + "# edited\n" + HONEST)
    project.write("tests/test_vacuous.py", CLIENT + VACUOUS)
    vacuous, times = run(project)
    assert (vacuous.code, vacuous.result["verdict"]) == (3, "unproven"), str(vacuous)
    once = {"test_other": 1, "test_curl": 1, "test_grpc": 1}
    assert times == {"test_honest": 3, "test_vacuous": 2, **once}
    is_contradicted(vacuous)
    assert "promote" not in vacuous.stages()
    assert met_by_users(first.stable_url) == good
    assert f"web: {good} 100 %" in vacuous.first_line

    (project.root / "tests" / "test_vacuous.py").unlink()
    project.write("tests/conftest.py", "import pytest\n" + COUNTED + "\n# edited\n")
    conftest, times = run(project)
    assert conftest.code == 0, str(conftest)
    assert times == {"test_honest": 3, "test_other": 3, "test_curl": 1, "test_grpc": 1}


def is_contradicted(ran: Ran) -> None:
    """Its case, the suite, the first screen and the worklog say so."""
    why = "it still passes while web is refused (control run)"
    case = ran.case("::test_vacuous")
    assert (case["status"], case["grade"], case["reason"]) == ("passed", "contradicted", why)
    assert ran.suite("smoke")["grades"]["contradicted"] == 1
    assert "test.vacuous" in ran.findings(), str(ran)
    assert ran.line("FAILED").endswith(
        " passes proves nothing: tests/test_vacuous.py::test_vacuous still passes while web is"
        " refused (control run)"
    )
    assert "A test passes without its service (test.vacuous" in ran.line("LIKELY CAUSE")
    assert "mend the test, not the service" in ran.line("LIKELY CAUSE")
    assert ran.line("NEXT") == f"NEXT: less .loopctl/runs/{ran.run.name}/worklog.md"
    worklog = (ran.run / "worklog.md").read_text()
    assert why in worklog
    assert "1 still passes and proves nothing: `tests/test_vacuous.py::test_vacuous`" in worklog


@SLOW
def test_nothing_is_run_twice_in_a_protected_environment(project: Project) -> None:
    protected = {"prod": {"platform": "local"}}
    loop(project, control="always", environments=protected, default_environment="prod")
    ran, times = run(project, "--confirm", "prod", "--create")
    assert ran.code == 0, str(ran)
    assert times == {"test_honest": 1}
    assert ran.case("::test_honest")["control"] is None
    _, _, unchecked = (ran.run / "worklog.md").read_text().partition("Not checked")
    assert "control run of smoke" in unchecked
    assert "prod is protected: no test is run twice there" in unchecked


@pytest.mark.slow
@pytest.mark.parametrize(
    "number",
    [signal.SIGKILL, pytest.param(signal.SIGINT, marks=SLOW)],
    ids=lambda each: each.name,
)
def test_a_control_run_that_was_cut_short_is_done_again(
    project: Project, number: signal.Signals
) -> None:
    loop(project, control="always")
    project.write("tests/test_smoke.py", CLIENT + WAITS_WHEN_REFUSED)
    project.commit()
    going = project.start("run", "web", "-q")
    folder = going.folder()
    told = project.root / "waiting"
    until(lambda: told.exists() and told.read_text())
    going.signal(number)
    interrupted = going.end()
    assert interrupted.code == (130 if number is signal.SIGINT else -signal.SIGKILL)
    until(lambda: not is_running(int(told.read_text())))
    assert of_kind(folder, "suite.finished") == []

    let_go(project)
    ran = resumed(project, folder)
    assert ran.code == 0, str(ran)
    assert (project.root / "again").read_text() == "x" * 5, "both are done again"
    case = ran.case("::test_honest")
    assert (
        case["control"]
        == "it fails while web is refused, and while it answers wrongly (control run)"
    )
    end = End.of(ran)
    cycles = 2 if number is signal.SIGINT else 1
    assert (end.verdict, end.cycles, end.suites["smoke"]["collected"]) == ("green", cycles, 1)
    until(lambda: not processes_of(folder.name))
