"""What counts as shown: skips, broken tests, mocks, time-outs and lost tests are no green."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from rig import Project, met_by_users
from services import ASKS, suite, tiny_loop, tiny_service

SKIPPED = (
    "@pytest.mark.parametrize('n', range(6))\ndef test_it(n):\n    pytest.skip('no service')\n"
)
BROKEN = ASKS + "def test_broken():\n    ask()\n    assert undefined_name\n"
LOST = ASKS + "def test_leaves():\n    ask()\n    os._exit(0)\n"
HANGS = ASKS + "def test_hangs():\n    ask()\n    time.sleep(60)\n"

NO_EVIDENCE = """
from unittest import mock
from http.server import BaseHTTPRequestHandler, HTTPServer
import threading

class Stand(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"healthy")
    def log_message(self, *_):
        pass

@pytest.fixture
def asked():
    return ask()

def test_asks_a_mock():
    with mock.patch("urllib.request.urlopen"):
        ask()

def test_leaves_it_to_a_fixture(asked):
    assert "healthy" in asked

def test_asks_a_stand_in():
    server = HTTPServer(("127.0.0.1", 0), Stand)
    threading.Thread(target=server.handle_request, daemon=True).start()
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/", timeout=8) as answer:
        assert answer.read() == b"healthy"
    server.server_close()

def test_asks_nobody():
    assert True
"""


@pytest.mark.parametrize(
    ("tests", "code", "status", "signature"),
    [
        pytest.param(SKIPPED, 3, "skipped", "test.nothing-collected", id="all skipped"),
        pytest.param(BROKEN, 3, "broken", "test.broken", id="NameError"),
        pytest.param(LOST, 3, "lost", "test.process-died", id="os._exit(0)"),
        pytest.param(HANGS, 1, "timeout", "test.timeout", id="hangs", marks=pytest.mark.slow),
    ],
)
def test_a_suite_that_did_not_run_its_tests_is_not_green(
    project: Project, tests: str, code: int, status: str, signature: str
) -> None:
    tiny_loop(project, tests, timeout={"suite": "20s", "test": "2s"})
    ran = project.run("web")
    assert ran.code == code, str(ran)
    assert ran.result["verdict"] == ("red" if code == 1 else "unproven")
    assert ran.suite("smoke")[status] >= 1
    assert status in {case["status"] for case in ran.cases()}
    assert signature in ran.findings(), f"{list(ran.findings())}\n{ran}"
    assert ran.result["left"][0]["verified"] is False


def test_nothing_collected_ends_before_anything_is_deployed(project: Project) -> None:
    tiny_loop(project, "def helper():\n    pass\n")
    ran = project.run("web")
    assert ran.code == 3, str(ran)
    assert "deploy" not in ran.stages()
    assert "nothing was collected" in ran.out
    assert "test.nothing-collected" in ran.findings()
    assert not project.processes(), "nothing was started"


@pytest.mark.slow
def test_nothing_collected_while_a_service_is_watched_is_never_tested(project: Project) -> None:
    service = {"health": {"path": "/health", "stable_for": "1s", "timeout": "20s"}}
    tiny_loop(project, "def helper():\n    pass\n", service=service)
    ran = project.run("web")
    assert ran.code == 3, str(ran)
    assert "health" in ran.stages()
    assert "verify" not in ran.stages()
    assert "test.nothing-collected" in ran.findings()
    assert ran.result["left"][0]["verified"] is False


def test_passes_that_met_nobody_are_told_apart_and_do_not_count(project: Project) -> None:
    tiny_loop(project, NO_EVIDENCE)
    ran = project.run("web")
    assert ran.code == 3, str(ran)
    assert {case["status"] for case in ran.cases()} == {"passed"}
    grades = {case["id"].rpartition("::test_")[2]: case["grade"] for case in ran.cases()}
    assert grades == {
        "asks_a_mock": "contradicted",
        "leaves_it_to_a_fixture": "unproven",
        "asks_a_stand_in": "contradicted",
        "asks_nobody": "unproven",
    }
    assert "in set-up only" in ran.case("leaves_it_to_a_fixture")["reason"]
    assert "mock" in ran.case("asks_a_mock")["reason"]
    assert ran.suite("smoke")["outcome"] == "unproven"
    assert ran.suite("smoke")["grade"] == "contradicted"


@pytest.mark.slow
def test_an_interpreter_that_will_not_do_is_named_with_what_mends_it(project: Project) -> None:
    bare = project.root / "bare"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True, timeout=60
    )
    suites = [
        suite(project, name="missing", python=".nowhere/bin/python"),
        suite(project, name="no-pytest", python="bare/bin/python"),
    ]
    project.loop("web", services={"web": tiny_service(project)}, suites=suites)
    ran = project.run("web")
    assert ran.code == 4, str(ran)
    assert ran.stages() == ["preflight"]
    assert f"python3 -m venv {project.root}/.nowhere" in ran.out
    assert f'{project.root}/bare/bin/python -m pip install "pytest>=7"' in ran.out


def test_a_part_of_the_loop_says_partial_and_promotes_nothing(project: Project) -> None:
    suites = [suite(project, name="one"), suite(project, name="two")]
    project.loop("web", services={"web": tiny_service(project)}, suites=suites)
    project.commit()
    green = project.run("web")
    assert green.code == 0, str(green)
    good = green.service("web")["revision"]
    project.write("web/page.txt", "a change")

    part = project.run("web", "--suite", "two")
    assert part.code == 0, str(part)
    assert part.first_line.startswith("USERS: PARTIAL")
    assert part.result["partial"] is True
    assert [s["id"] for s in part.cycle["suites"] if s["cases"]] == ["two"]
    assert "promote" not in part.stages()
    assert met_by_users(green.stable_url) == good

    again = project.run("web", "--from", "verify")
    assert again.code == 0, str(again)
    assert "PARTIAL" in again.first_line
    assert "build" not in again.stages()
    assert {case["grade"] for case in again.cases()} == {"proven"}
    assert good in again.cases()[0]["reason"], "it met what serves now"
    latest_green = project.loopctl("show", "@green")
    assert green.run.name in latest_green.out, "a partial run is no baseline"


@pytest.mark.slow
def test_a_failed_p0_stops_those_after_it_and_says_so(project: Project) -> None:
    fails = "def test_it():\n    assert ask() == 'no'\n"
    suites = [
        suite(project, fails, name="first", priority="P0"),
        suite(project, name="second", priority="P2"),
    ]
    project.loop("web", services={"web": tiny_service(project)}, suites=suites)
    ran = project.run("web")
    assert ran.code == 1, str(ran)
    assert ran.suite("second")["outcome"] == "not-run"
    assert "first" in " ".join(ran.suite("second")["reasons"])


@pytest.mark.slow
def test_a_plugin_of_the_users_own_and_his_settings_still_work(project: Project) -> None:
    """The suite's folder, its conftest and its environment are the user's own."""
    project.write(
        "tests/conftest.py", "import pytest\n@pytest.fixture\ndef seven():\n    return 7\n"
    )
    tests = (
        "def test_it(seven):\n    assert 'healthy' in ask()\n    assert seven == 7\n"
        "    assert os.environ['MINE'] == 'kept'\n"
        "    assert not [n for n in os.environ if n.startswith('LOOPCTL_RUNTIME')]\n"
    )
    tiny_loop(project, tests)
    ran = project.run("web", env={"MINE": "kept"})
    assert ran.code == 0, str(ran)
    assert Path(ran.run / "suites" / "1" / "smoke" / "stdout.txt").exists()
