"""Services and suites small enough to be written by a test, and real all the same."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from rig import EXAMPLE, Project

_TINY = """
import json, os, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # one write an answer, or delayed acknowledgements cost 40 ms each

    def do_GET(self):
        body = self.answer() if self.path == "/through" else self.own()
        self.send_response(STATUS)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def own(self):
        return json.dumps({"status": "healthy", "revision": os.environ["K_REVISION"]}).encode()

    answer = own

    def log_message(self, *_):
        pass

STATUS = 200
#PRELUDE#
server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
print("listening", flush=True)
server.serve_forever()
"""

CLIENT = """
import os, socket, sys, time, urllib.request
import pytest

BASE = os.environ["BASE_URL"]

def ask(path="/hello"):
    with urllib.request.urlopen(BASE + path, timeout=8) as answer:
        return answer.read().decode()
"""

ASKS = "def test_it_answers():\n    assert 'healthy' in ask()\n"


def tiny_service(project: Project, name: str = "web", prelude: str = "") -> dict[str, Any]:
    """Write a service of a few lines; its part of the loop file. `prelude` runs before it listens.

    `STATUS` is what it answers every GET with; `Handler.answer` makes the body of /through.
    """
    project.write(f"{name}/service.py", _TINY.replace("#PRELUDE#", prelude))
    return {
        "source": f"../{name}",
        "run": {"command": ["python", "service.py"]},
        "health": {"path": "/health", "stable_for": "100ms", "timeout": "20s"},
    }


def suite(
    project: Project, tests: str = ASKS, name: str = "smoke", target: str = "web", **keys: Any
) -> dict[str, Any]:
    """Write a suite of `tests` that can `ask` the target; its part of the loop file."""
    project.write(f"tests/test_{name.replace('-', '_')}.py", CLIENT + tests)
    return {
        "id": name,
        "priority": "P1",
        "kind": "pytest",
        "run": f"tests/test_{name.replace('-', '_')}.py",
        "cwd": "..",
        "env": {"BASE_URL": f"${{services.{target}.url}}"},
        "timeout": {"suite": "30s", "test": "10s"},
        "protects": target,
        "evidence": {"require": "observed", "target": [target]},
        **keys,
    }


def tiny_loop(
    project: Project,
    tests: str = ASKS,
    *,
    name: str = "web",
    prelude: str = "",
    service: Mapping[str, Any] | None = None,
    **keys: Any,
) -> None:
    """A loop of one tiny service and one suite, committed. `keys` are the suite's own."""
    spec = {**tiny_service(project, "web", prelude), **(service or {})}
    project.loop(name, services={"web": spec}, suites=[suite(project, tests, **keys)])
    project.commit()


def chat_loop(project: Project, suites: Mapping[str, str], stable_for: str = "200ms") -> None:
    """The example, with these of its suites (id to pytest arguments), as `golden-path`."""
    shutil.copytree(
        EXAMPLE, project.root / "chat", ignore=shutil.ignore_patterns("__pycache__", ".*_cache")
    )
    service = {
        "source": "../chat",
        "run": {
            "command": ["python", "-m", "chat"],
            "env": {"FAULT": "${FAULT:-}"},
            "secrets": {"JWT_SECRET": {"value": "a-secret-of-the-end-to-end-tests"}},
        },
        "health": {
            "path": "/health",
            "expect": {"status": "healthy"},
            "max_latency": "3s",
            "stable_for": stable_for,
            "timeout": "20s",
        },
    }
    specs = [
        {
            "id": name,
            "priority": "P1",
            "kind": "pytest",
            "run": run,
            "cwd": "../chat",
            "env": {"BASE_URL": "${services.chat.url}", "WS_URL": "${services.chat.ws_url}"},
            "timeout": {"suite": "60s", "test": "15s"},
            "protects": "chat",
            "evidence": {"require": "observed", "target": ["chat"]},
        }
        for name, run in suites.items()
    ]
    project.loop("golden-path", owner="#chat-oncall", services={"chat": service}, suites=specs)
    project.commit()
