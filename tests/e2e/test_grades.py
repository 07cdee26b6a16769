"""One pass of every grade in one run, each with a reason that a person can check."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from rig import Project, Ran, opened

from loopctl.model.evidence import Grade

SERVICE = """
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536

    def do_GET(self):
        body = json.dumps({"path": self.path}).encode()
        self.send_response(503 if self.path == "/down" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""

HEAD = """
import os, socket, subprocess, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from unittest import mock
from urllib.parse import urlsplit
import httpx, pytest, requests, respx

BASE = os.environ["BASE_URL"]
HOST, PORT = urlsplit(BASE).hostname, urlsplit(BASE).port

def ask(path="/hello"):
    return requests.get(BASE + path, timeout=8)

@pytest.fixture
def asked():
    return ask("/in-set-up")
"""

GRADED = """
def test_request():
    assert ask().json() == {"path": "/hello"}

def test_raw_socket():
    with socket.create_connection((HOST, PORT), timeout=8) as line:
        line.sendall(b"GET /raw HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
        assert b" 200 " in line.recv(9999)

def test_mocked_and_met():
    with mock.patch("requests.Session.post"):
        requests.post(BASE + "/pay", timeout=8)
    assert ask().ok

def test_health_only():
    assert ask("/health").ok

def test_no_contact():
    assert 1 + 1 == 2

def test_connect_only():
    socket.create_connection((HOST, PORT), timeout=8).close()

def test_said_and_did_not_listen():
    with socket.create_connection((HOST, PORT), timeout=8) as line:
        line.sendall(b"GET /hello HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")

def test_set_up_only(asked):
    assert asked.json() == {"path": "/in-set-up"}

def test_mocked():
    with mock.patch("requests.get"):
        ask()

def test_monkeypatched(monkeypatch):
    monkeypatch.setattr(requests, "get", lambda url, **_: url)
    assert ask() == BASE + "/hello"

@respx.mock
def test_a_mock_of_the_transport():
    respx.get(BASE + "/hello").respond(200)
    assert httpx.get(BASE + "/hello").status_code == 200

class Stand(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass

def test_elsewhere():
    with HTTPServer(("127.0.0.1", 0), Stand) as there:
        threading.Thread(target=there.handle_request, daemon=True).start()
        assert requests.get(f"http://127.0.0.1:{there.server_port}/hello", timeout=8).ok

def test_only_5xx():
    assert ask("/down").status_code == 503
"""

UNLOGGED = """
def test_request():
    assert ask().ok

def test_child():
    subprocess.run(["curl", "-sf", BASE + "/by-curl"], check=True)

def test_child_that_met_nobody():
    subprocess.run(["true"], check=True)
"""

CONTROLLED = """
def test_needs_it():
    assert ask().ok

def test_does_not_care():
    try:
        ask()
    except requests.ConnectionError:
        pass

def test_child():
    subprocess.run(["curl", "-sf", BASE + "/by-curl"], check=True)
"""

BYTES = r"[1-9]\d* B out, [1-9]\d* B in"
CHILD_MET_NOBODY = r"a child process ran \(true\), and was not seen to connect to web"
# By suite and test: the grade, and the whole reason.
EXPECTED = {
    "graded": {
        "request": ("proven", "receipt: GET /hello 200 on {revision}"),
        "raw_socket": (
            "observed",
            "a request like this test's, without its trace id: GET /raw 200 on {revision}",
        ),
        "mocked_and_met": ("suspect", "met web, but requests.*post was mocked too"),
        "health_only": ("suspect", r"only health paths \(/health\)"),
        "no_contact": ("unproven", "no connection was made"),
        "connect_only": ("unproven", "connect only: 0 B out, 0 B in"),
        "said_and_did_not_listen": ("unproven", r"[1-9]\d* B out, 0 B in"),
        "set_up_only": ("unproven", f"{BYTES}, in set-up only"),
        "mocked": ("contradicted", "mocked requests.*get, no contact with web"),
        "monkeypatched": ("contradicted", "mocked requests.*get, no contact with web"),
        "a_mock_of_the_transport": ("contradicted", "mocked .*httpcore.*, no contact with web"),
        "elsewhere": ("contradicted", r"only 127\.0\.0\.1:\d+, which is not web"),
        "only_5xx": ("contradicted", "only 503 answers"),
    },
    "unlogged": {
        "request": ("observed", f"{BYTES}; no request log to ask for a receipt"),
        "child": ("plausible", r"a child process \(curl\) connected to web, its bytes unseen"),
        "child_that_met_nobody": ("unproven", CHILD_MET_NOBODY),
    },
    "controlled": {
        "needs_it": ("proven", "receipt: GET /hello 200 on {revision}"),
        "does_not_care": (
            "contradicted",
            r"it still passes while web is refused \(control run\)",
        ),
        "child": (
            "observed",
            "a request like this test's, without its trace id: GET /by-curl 200 on {revision}",
        ),
    },
}
CASES = [(suite, test) for suite, tests in EXPECTED.items() for test in tests]


def suite(project: Project, name: str, tests: str, **keys: Any) -> dict[str, Any]:
    project.write(f"tests/test_{name}.py", HEAD + tests)
    return {
        "id": name,
        "kind": "pytest",
        "run": f"tests/test_{name}.py",
        "cwd": "..",
        "env": {"BASE_URL": "${services.web.url}"},
        "timeout": {"suite": "60s", "test": "20s"},
        "on_fail": "continue",
        **keys,
    }


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """One run of a suite of all grades, one without receipts and one with a control run."""
    with opened(tmp_path_factory.mktemp("grades")) as project:
        project.write("web/service.py", SERVICE)
        at_once = {"path": "/health", "stable_for": "0s", "timeout": "20s"}
        web = {"source": "../web", "run": {"command": ["python", "service.py"]}, "health": at_once}
        unlogged = {"receipts": "off", "require": "plausible"}
        controlled = {"control": "always"}
        project.loop(
            "web",
            services={"web": web},
            suites=[
                suite(project, "graded", GRADED),
                suite(project, "unlogged", UNLOGGED, evidence=unlogged),
                suite(project, "controlled", CONTROLLED, evidence=controlled, repeatable=True),
            ],
            # One after the other: what a child process met is told from its neighbours that way.
            loop={"jobs": 1},
        )
        project.commit()
        yield project.run("web")


def case(ran: Ran, name: str, test: str) -> dict[str, Any]:
    found = next(c for c in ran.suite(name)["cases"] if c["id"].endswith(f"::test_{test}"))
    assert found["status"] == "passed", found
    return dict(found)


def test_no_grade_is_left_out() -> None:
    shown = {grade for tests in EXPECTED.values() for grade, _ in tests.values()}
    assert shown == {grade.value for grade in Grade}


@pytest.mark.parametrize(("name", "test"), CASES)
def test_a_pass_has_its_grade_and_the_reason_for_it(ran: Ran, name: str, test: str) -> None:
    grade, reason = EXPECTED[name][test]
    found = case(ran, name, test)
    assert found["grade"] == grade, found
    wanted = reason.format(revision=ran.service("web")["revision"])
    assert re.fullmatch(wanted, found["reason"]), found


def test_passes_that_prove_too_little_are_no_green_and_the_least_of_them_is_named(
    ran: Ran,
) -> None:
    assert ran.code == 3, str(ran)
    assert "promote" not in ran.stages()
    for name, tests in EXPECTED.items():
        told = ran.suite(name)
        grades = [grade for grade, _ in tests.values()]
        assert told["outcome"] == "unproven"
        assert told["grades"] == {grade: grades.count(grade) for grade in grades}
        assert told["passed"] == len(tests)
    (reason,) = ran.suite("graded")["reasons"]
    assert reason.startswith("11 of 13 passes prove less than observed: ")
    assert "contradicted: mocked requests" in reason
    (reason,) = ran.suite("unlogged")["reasons"]
    assert reason.startswith("1 of 3 passes proves less than plausible: ")


def test_the_control_run_bears_out_accuses_or_says_that_it_cannot(ran: Ran) -> None:
    told = {test: case(ran, "controlled", test)["control"] for test in EXPECTED["controlled"]}
    assert told == {
        "needs_it": "it fails while web is refused, and while it answers wrongly (control run)",
        "does_not_care": "it still passes while web is refused (control run)",
        "child": "control unavailable: a child process ran (curl), which cannot be refused",
    }
    assert ran.suite("graded")["cases"][0]["control"] is None


def test_the_worklog_shows_each_reason_that_a_pass_does_not_count(ran: Ran) -> None:
    worklog = (ran.run / "worklog.md").read_text()
    for name, tests in EXPECTED.items():
        for test, (grade, _) in tests.items():
            if grade not in ("proven", "observed"):
                assert case(ran, name, test)["reason"] in worklog, (name, test)
