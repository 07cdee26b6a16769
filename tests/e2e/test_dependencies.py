"""What this loop does not deploy is not its own to mend: no rebuild, no retry, no rollback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from rig import Project, Ran
from word_loop import ended, remedy, rule, still_served, word_loop

ANY_HARM = [rule(do, {"service": "web"}) for do in ("retry", "rebuild", "rollback")] + [
    rule(do, {"verdict": verdict})
    for verdict in ("red", "unproven")
    for do in ("retry", "rebuild", "rollback")
]


class Gate(ThreadingHTTPServer):
    """A service that is well until somebody asks for /die."""

    well = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    """Of `Gate`."""

    def do_GET(self) -> None:
        assert isinstance(self.server, Gate)
        self.server.well = self.server.well and self.path != "/die"
        body = json.dumps({"status": "healthy"}).encode()
        self.send_response(200 if self.server.well else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def gate() -> Iterator[Gate]:
    with Gate() as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server
        server.shutdown()
        serving.join()


DIES = """
def test_it_needs_the_gate():
    assert 'healthy' in ask()
    with pytest.raises(OSError):
        urllib.request.urlopen(os.environ["GATE"] + "/die", timeout=8)
    assert ask('/through').strip() == 'good'
"""


def test_a_dependency_that_goes_down_meanwhile_is_named_and_nothing_is_tried(
    served: tuple[Project, Ran], gate: Gate
) -> None:
    project, before = served
    env = {"BASE_URL": "${services.web.url}", "GATE": gate.url}
    auth = {"url": gate.url, "health": {"path": "/health"}}
    word_loop(project, *ANY_HARM, tests=DIES, suite_keys={"env": env}, gated={"auth": auth})
    ran = project.run("web")
    assert ended(ran) == (1, "needs-human", 1), str(ran)
    found = ran.findings()["dependency.down"]
    assert found["service"] == "auth"
    assert "dependency.down" in ran.line("LIKELY CAUSE")
    assert "503" in ran.out
    assert remedy(ran)["action"] == "person"
    assert ran.line("TRIED") == "TRIED: nothing"
    still_served(ran, before)


def test_a_target_that_no_test_reached_is_unproven_and_nothing_is_tried(
    served: tuple[Project, Ran],
) -> None:
    project, before = served
    word_loop(project, *ANY_HARM, suite_keys={"env": {"BASE_URL": "http://127.0.0.1:9"}})
    ran = project.run("web")
    assert ended(ran) == (3, "needs-human", 1), str(ran)
    assert "no case reached web, which is healthy" in ran.line("FAILED")
    assert "dependency.cannot-reach" in ran.line("LIKELY CAUSE")
    assert remedy(ran)["action"] == "person"
    assert ran.line("TRIED") == "TRIED: nothing"
    still_served(ran, before)


@pytest.mark.slow
def test_a_test_that_hangs_after_it_met_the_target_is_red(served: tuple[Project, Ran]) -> None:
    """It could not tell whom it met: that is no sign of a target that cannot be reached."""
    project, before = served
    hangs = "def test_it():\n    ask()\n    time.sleep(60)\n"
    word_loop(project, tests=hangs, suite_keys={"timeout": {"suite": "30s", "test": "1s"}})
    ran = project.run("web")
    assert ended(ran) == (1, "needs-human", 1), str(ran)
    assert "test.timeout" in ran.findings()
    assert "dependency.cannot-reach" not in ran.findings()
    still_served(ran, before)
