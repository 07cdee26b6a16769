"""Causes that the example has no FAULT for: each is known by its proof, from a service of lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from rig import Project, Ran, met_by_users, opened
from services import ASKS, tiny_loop
from slow import but_slow
from test_faults import stands_where_it_says


@dataclass(frozen=True, slots=True)
class Known:
    """What is wrong, how its run ends, and what some quoted line of its finding must say."""

    name: str
    signature: str
    proof: str
    prelude: str = ""
    tests: str = ASKS
    code: int = 5
    health: Mapping[str, Any] = field(default_factory=dict)
    suite: Mapping[str, Any] = field(default_factory=dict)


EXPECTS = {"path": "/health", "expect": {"status": "healthy"}, "timeout": "2s"}
THROUGH = "def test_it_answers():\n    assert 'healthy' in ask('/through')\n"
ANSWERS = "Handler.answer = lambda self: json.dumps({}).encode()\n"
RAISES = """
import traceback
def do_GET(self, own=Handler.do_GET):
    if self.path == "/health": return own(self)
    try: {raises}
    except Exception: traceback.print_exc()
    self.send_response({status})
    self.send_header("Content-Length", "2")
    self.end_headers()
    self.wfile.write(b"{{}}")
Handler.do_GET = do_GET
"""


def body(**said: object) -> str:
    """A prelude that makes it answer so, whoever asks."""
    return f"Handler.own = Handler.answer = lambda self: json.dumps({said!r}).encode()\n"


def prints(*lines: str) -> str:
    """A prelude that says these lines for every request that a test makes, and answers badly."""
    said = "\n".join(lines)
    return (
        "def bad(self):\n"
        f"    print({said!r}, file=sys.stderr, flush=True)\n"
        "    return b'{}'\n"
        "Handler.answer = bad\n"
    )


TEST_OF = "def test_it_asks():\n    assert 'healthy' in ask()\n"
KNOWN = (
    Known(
        "raises at start", "deploy.startup-error", "no weights for model 7",
        "def boot(): raise RuntimeError('no weights for model 7')\nboot()\n",
    ),
    Known(
        "port in use", "deploy.port-in-use", "Address already in use",
        "import socket\nheld = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))\n",
    ),
    Known("killed", "deploy.killed", "SIGKILL", "os.kill(os.getpid(), 9)\n"),
    Known(
        "never ready", "health.never-ready", "503", "STATUS = 503\n",
        health={"path": "/health", "timeout": "2s"},
    ),
    Known(
        "database in the body", "dependency.database", "database",
        body(status="unhealthy", database="unreachable"), health=EXPECTS,
    ),
    Known(
        "database in the log", "dependency.database", "remaining connection slots",
        prints("ERROR FATAL:  remaining connection slots are reserved for roles"), THROUGH, 1,
    ),
    Known(
        "cache in the body", "dependency.cache", "redis",
        body(status="degraded", redis="connection refused"), health=EXPECTS,
    ),
    Known(
        "cache in the log", "dependency.cache", "redis.exceptions.ConnectionError",
        prints("redis.exceptions.ConnectionError: Error 111 connecting to 10.0.0.3:6379."),
        THROUGH, 1,
    ),
    Known(
        "500", "http.500-novel", "has no attribute 'price'",
        RAISES.format(raises="{}.price", status=500), THROUGH, 1,
    ),
    Known(
        "traceback beside a 200", "service.traceback", "has no attribute 'price'",
        RAISES.format(raises="{}.price", status=200), THROUGH, 1,
    ),
    Known(
        "keyword", "service.interface-changed", "unexpected keyword argument 'colour'",
        RAISES.format(raises="(lambda values: values)(1, colour=2)", status=500), THROUGH, 1,
    ),
    Known(
        "time limit within", "service.timeout", "timed out",
        prints("ERROR agent summarise timed out after 5 s", "asyncio.exceptions.CancelledError"),
        THROUGH, 1,
    ),
    Known(
        "wrapped event", "ws.wrapped-event", "system_message",
        ANSWERS.format('{"type": "system_message"}'),
        "import json\ndef test_it_starts():\n"
        "    assert json.loads(ask('/through'))['type'] == 'agent_started'\n", 1,
    ),
    Known(
        "NameError in a test", "test.broken", "undefined_name",
        tests=TEST_OF + "    undefined_name\n", code=3,
    ),
    Known(
        "AttributeError in a test", "test.broken", "has no attribute 'client'",
        tests="class TestIt:\n    def test_it(self):\n        ask()\n        self.client.get()\n",
        code=3,
    ),
    Known(
        "ImportError in a test", "test.broken", "no_such_module",
        tests=TEST_OF + "    import no_such_module\n", code=3,
    ),
    Known(
        "all deselected", "test.nothing-collected", "smoke",
        code=3, suite={"run": "tests/test_smoke.py -k nothing_at_all"},
    ),
    Known(
        "mocked", "test.mocked", "Using mock client",
        tests="def test_it():\n    print('Using mock client due to connection failure')\n", code=3,
    ),
    Known(
        "met nobody", "test.not-evidence", "", tests="def test_it():\n    assert True\n", code=3,
    ),
    Known(
        "cancelled behind a time-out", "test.timeout", "",
        tests=TEST_OF + "    time.sleep(60)\n"
        "def test_beside():\n    ask()\n    import asyncio\n    raise asyncio.CancelledError\n",
        code=1, suite={"timeout": {"suite": "20s", "test": "2s"}},
    ),
)  # fmt: skip

QUICK = ("AttributeError in a test",)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Ran]]:
    """A project whose users are served by a verified revision."""
    with opened(tmp_path_factory.mktemp("known")) as project:
        tiny_loop(project)
        green = project.run("web")
        assert green.code == 0, str(green)
        yield project, green


@pytest.mark.parametrize("known", but_slow(KNOWN, QUICK, lambda known: known.name))
def test_a_cause_is_known_by_its_proof_and_users_keep_what_they_had(
    up: tuple[Project, Ran], known: Known
) -> None:
    project, before = up
    service = {"health": known.health} if known.health else {}
    tiny_loop(project, known.tests, prelude=known.prelude, service=service, **known.suite)
    ran = project.run("web")
    assert ran.code == known.code, str(ran)
    findings = ran.findings()
    assert known.signature in findings, f"{list(findings)}\n{ran}"
    evidence = findings[known.signature]["evidence"]
    assert any(known.proof in quote["quote"] for quote in evidence), evidence
    logs = [quote for quote in evidence if quote["kind"] == "log"]
    assert all(stands_where_it_says(quote, ran.run) for quote in logs), evidence
    assert known.signature in ran.line("LIKELY CAUSE"), str(ran)
    assert met_by_users(before.stable_url) == before.service("web")["revision"]
