"""A service and a suite of a few lines, for what is measured of a run."""

from __future__ import annotations

from bench.project import Project

SERVICE = """
import os, sys, time
MOMENT = os.environ["MOMENT"]

def note():
    with open(MOMENT, "w") as file:
        file.write(repr(time.time()))

if os.environ["CRASH"]:
    print("no configuration", flush=True)
    note()
    os._exit(3)
time.sleep(float(os.environ["AFTER"]))

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
note()
server.serve_forever()
"""

# One kept connection for all tests, as a client of any size has it.
SUITE = """
import http.client, os
from urllib.parse import urlsplit
import pytest

@pytest.fixture(scope="session")
def service():
    at = urlsplit(os.environ["BASE_URL"])
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=10)
    yield connection
    connection.close()

@pytest.mark.parametrize("number", range({tests}))
def test_it_answers(service, number):
    service.request("GET", "/thing")
    assert service.getresponse().read() == b"ok"
"""


def tiny(
    made: Project,
    *,
    after: float = 0.0,
    crash: bool = False,
    tests: int = 1,
    stable_for: str = "0s",
) -> None:
    """Write service, suite and loop. The service notes when it could answer, or when it died."""
    made.write("web/service.py", SERVICE)
    made.write("tests/test_web.py", SUITE.format(tests=tests))
    env = {
        "MOMENT": str(made.folder / "moment"),
        "AFTER": str(after),
        "CRASH": "1" if crash else "",
    }
    service = {
        "source": "../web",
        "run": {"command": ["python", "service.py"], "env": env},
        "health": {"path": "/health", "stable_for": stable_for, "timeout": "30s"},
    }
    suite = {
        "id": "smoke",
        "priority": "P1",
        "kind": "pytest",
        "run": "tests -p no:cacheprovider",
        "cwd": "..",
        "env": {"BASE_URL": "${services.web.url}"},
        "timeout": {"suite": "5m", "test": "30s"},
        "protects": "web",
        "evidence": {"require": "observed", "target": ["web"]},
    }
    made.write_loop(service, [suite])
