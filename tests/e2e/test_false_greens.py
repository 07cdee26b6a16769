"""Passes that prove nothing are never green, and honest ones are not accused, whatever client."""

from __future__ import annotations

from pathlib import Path

import pytest
from rig import Project, Ran
from services import suite
from slow import but_slow

SERVICE = """
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path, _, query = self.path.partition("?")
        self.send_response({"/down": 503, "/missing": 404, "/away": 307}.get(path, 200))
        if path == "/away":
            self.send_header("Location", query)
        body = json.dumps({"path": path}).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""

HEAD = """
import concurrent.futures, multiprocessing, subprocess, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from unittest import mock
import httpx, requests, urllib3
from urllib.parse import urlsplit

URL = urlsplit(BASE)
PORT = URL.port or 1

def spoken(text, port=PORT):
    with socket.create_connection(("127.0.0.1", port), timeout=8) as line:
        line.sendall(text.encode())
        return line.recv(9999)

class Stand(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"stand-in")
    def log_message(self, *_):
        pass

def stand_in(host="127.0.0.1", port=0, family=socket.AF_INET):
    kind = type("Server", (HTTPServer,), {"address_family": family})
    server = kind((host, port), Stand)
    threading.Thread(target=server.handle_request, daemon=True).start()
    return server.server_port

class Wrapped(httpx.BaseTransport):
    def handle_request(self, request):
        return httpx.MockTransport(lambda _: httpx.Response(200)).handle_request(request)
"""

# Each name ends with the grade that it deserves.
FALSE = """
def test_only_ever_saw_503_contradicted():
    requests.get(BASE + "/down")

def test_only_ever_saw_503_over_a_raw_socket_contradicted():
    spoken("GET /down HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")

def test_saw_503_and_asked_for_its_health_contradicted():
    requests.get(BASE + "/down")
    requests.get(BASE + "/health")

def test_saw_503_and_ran_something_plausible():
    requests.get(BASE + "/down")
    subprocess.run(["true"])

def test_asked_for_health_and_ran_something_plausible():
    requests.get(BASE + "/health")
    subprocess.run(["true"])

def test_asked_for_health_over_a_raw_socket_suspect():
    spoken("GET /health HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")

def test_a_fake_within_a_transport_and_health_suspect():
    with httpx.Client(transport=Wrapped()) as client:
        assert client.get(BASE + "/hello").status_code == 200
    httpx.get(BASE + "/health")

def test_was_sent_to_a_stand_in_suspect():
    there = f"http://127.0.0.1:{stand_in()}/"
    assert requests.get(BASE + "/away?" + there).text == "stand-in"

def test_met_the_front_door_alone_contradicted():
    assert b" 400 " in spoken("hello\\r\\n\\r\\n")

def test_a_stand_in_on_the_same_port_of_another_address_contradicted():
    stand_in("127.0.0.2", PORT)
    assert requests.get(f"http://127.0.0.2:{PORT}/").text == "stand-in"

def test_met_what_served_before_contradicted():
    assert requests.get(os.environ["STABLE"] + "/hello").ok

def test_connected_and_said_nothing_unproven():
    socket.create_connection(("127.0.0.1", PORT)).close()

def test_asked_and_did_not_listen_unproven():
    line = socket.create_connection(("127.0.0.1", PORT))
    line.shutdown(socket.SHUT_RD)
    line.sendall(b"GET /hello HTTP/1.0\\r\\n\\r\\n")
    line.close()
"""

HONEST = """
@pytest.fixture(scope="session")
def kept():
    with requests.Session() as session:
        session.get(BASE + "/health")
        yield session

@pytest.fixture(scope="session")
def pool():
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        yield pool

def answers():
    assert requests.get(BASE + "/hello").json() == {"path": "/hello"}

def test_requests():
    answers()

def test_a_session_kept_open(kept):
    assert kept.get(BASE + "/hello").ok

def test_httpx():
    assert httpx.get(BASE + "/hello").status_code == 200

def test_urllib3():
    assert urllib3.PoolManager().request("GET", BASE + "/hello").status == 200

def test_a_raw_socket():
    assert b" 200 " in spoken("GET /hello HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")

def test_a_thread_of_a_pool(pool):
    pool.submit(answers).result()

def test_a_forked_child():
    child = multiprocessing.get_context("fork").Process(target=answers)
    child.start()
    child.join()
    assert child.exitcode == 0

def test_a_spawned_child():
    child = multiprocessing.get_context("spawn").Process(target=answers)
    child.start()
    child.join()
    assert child.exitcode == 0

def test_a_child_that_is_no_python():
    assert b"hello" in subprocess.check_output(["curl", "-s", BASE + "/hello"])

def test_an_upload():
    assert requests.post(BASE + "/up", data=b"x" * 200_000).ok

def test_an_expected_404():
    assert requests.get(BASE + "/missing").status_code == 404

def test_an_expected_503_and_what_still_works():
    assert requests.get(BASE + "/down").status_code == 503
    answers()

def test_by_its_other_name():
    assert requests.get(f"http://localhost:{PORT}/hello").ok

def test_a_redirect_that_is_not_followed():
    assert httpx.get(BASE + "/away?http://127.0.0.1:1/").status_code == 307
"""

TWO = """
def test_good():
    assert ask()

def test_bad():
    assert ask() == "what it never says"
"""

HOOK = "import pytest\n@pytest.hookimpl(hookwrapper=True, tryfirst=True)\ndef "
CONFTESTS = {
    "report": HOOK + "pytest_runtest_makereport(item, call):\n"
    "    done = yield\n    done.get_result().outcome = 'passed'\n"
    "    done.get_result().longrepr = None\n",
    "excinfo": HOOK
    + "pytest_runtest_makereport(item, call):\n    call.excinfo = None\n    yield\n",
    "call": HOOK + "pytest_runtest_call(item):\n    done = yield\n    done.force_result(None)\n",
    "log": "def pytest_runtest_logreport(report):\n    report.outcome = 'passed'\n",
}
FEWER = (
    "def pytest_collection_modifyitems(config, items):\n"
    "    if not config.option.collectonly:\n        del items[1:]\n"
)
FORGES = """
import json

def test_good():
    assert ask()

def test_bad():
    me, seq = os.environ["PYTEST_CURRENT_TEST"].split(" (")[0], 1
    call = {"e": "phase", "phase": "call", "outcome": "passed"}
    with open(os.environ["LOOPCTL_SPOOL"], "a") as spool:
        for event in (call, {"e": "test-end"}):
            line = {"t": time.time(), "seq": seq, "pid": os.getpid(), "id": me, **event}
            spool.write(json.dumps(line) + "\\n")
    assert ask() == "what it never says"
"""


def loop(project: Project, *suites: dict[str, object], version: str = "") -> None:
    project.write("web/service.py", SERVICE)
    project.write("web/version.txt", version)
    web = {
        "source": "../web",
        "run": {"command": ["python", "service.py"]},
        "health": {"path": "/health", "stable_for": "100ms", "timeout": "20s"},
    }
    project.loop("web", services={"web": web}, suites=[*suites])
    project.commit()


def with_conftest(project: Project, name: str, conftest: str, tests: str) -> dict[str, object]:
    """A suite in a folder of its own, so that no other one meets its conftest."""
    spec = suite(project, tests, name=name, on_fail="continue")
    path = Path(str(spec["run"]))
    written = (project.root / path).read_text()
    (project.root / path).unlink()
    project.write(f"tests/{name}/{path.name}", written)
    project.write(f"tests/{name}/conftest.py", conftest)
    return {**spec, "run": f"tests/{name}"}


def wrongly_graded(ran: Ran) -> dict[str, str]:
    """The cases whose name does not end with their grade."""
    told = {
        case["id"].rpartition("::")[2]: f"{case['grade']}: {case['reason']}" for case in cases(ran)
    }
    return {name: said for name, said in told.items() if not name.endswith(said.partition(":")[0])}


def cases(ran: Ran) -> list[dict[str, str]]:
    return [case for case in ran.cases() if case["status"] == "passed"]


def test_honest_tests_are_green_and_false_ones_are_told_apart(project: Project) -> None:
    loop(project, suite(project, HEAD + HONEST))
    honest = project.run("web")
    assert honest.code == 0, str(honest)
    assert {case["grade"] for case in cases(honest)} <= {"proven", "observed"}
    assert len(cases(honest)) == HONEST.count("def test_")

    env = {"BASE_URL": "${services.web.url}", "STABLE": honest.stable_url}
    loop(project, suite(project, HEAD + FALSE, env=env), version="2")
    false = project.run("web")
    assert false.code == 3, str(false)
    assert not wrongly_graded(false)
    assert not {case["grade"] for case in cases(false)} & {"observed", "proven"}
    assert len(cases(false)) == FALSE.count("def test_")
    assert f"web: {honest.service('web')['revision']} 100 %" in false.first_line


def test_what_a_suite_says_of_itself_is_not_taken_for_what_happened(project: Project) -> None:
    hooked = [with_conftest(project, name, hook, TWO) for name, hook in CONFTESTS.items()]
    loop(
        project,
        *hooked,
        with_conftest(project, "fewer", FEWER, TWO),
        with_conftest(project, "forges", "", FORGES),
        {
            **with_conftest(project, "last", "", "def test_it():\n    ask()\n"),
            "run": "--lf tests/last",
        },
    )
    ran = project.run("web")
    assert ran.code == 1, str(ran)
    for name in CONFTESTS:
        assert ran.suite(name)["outcome"] == "failed", f"{name}\n{ran}"
        assert "reported it as passed" in ran.case(f"{name}/test_{name}.py::test_bad")["message"]
        assert ran.case(f"{name}/test_{name}.py::test_good")["grade"] == "proven"
    forged = ran.suite("forges")
    assert (forged["outcome"], forged["failed"]) == ("failed", 1), "what it forged is not read"
    assert "event stream" in forged["reasons"][1]
    unproven = {name: ran.suite(name) for name in ("fewer", "last")}
    assert {found["outcome"] for found in unproven.values()} == {"unproven"}, str(unproven)
    assert unproven["fewer"]["reasons"] == ["1 collected, and 2 beforehand"]
    assert "--lf" in unproven["last"]["reasons"][0]


@pytest.mark.parametrize(
    "run", but_slow(["-k nothing", "--collect-only", "-p no:loopctl_evidence"], ("-k nothing",))
)
def test_a_suite_that_is_told_to_run_nothing_is_not_green(project: Project, run: str) -> None:
    loop(project, {**suite(project, TWO), "run": f"{run} tests"})
    ran = project.run("web")
    assert ran.code == 3, str(ran)
    assert ran.suite("smoke")["passed"] == 0
