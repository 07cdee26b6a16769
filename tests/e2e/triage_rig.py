"""`loopctl triage` of an environment, a service with moods, and a witness that nothing was changed.

What the service does is in a file that a test writes: it needs no new deployment to fall ill.
"""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kill_rig import environment
from rig import Project, Ran, until
from services import ASKS, suite, tiny_service

SECRET = "a-very-secret-value-31337"
_MOODS = """
def mood():
    try: return open(MOOD).read().strip()
    except OSError: return ""

class Moody(Handler):
    def do_GET(self):
        now = mood()
        if now == "ill": return self.say(503, b'{"status": "unhealthy"}')
        if now == "wrong": return self.say(200, b'{"status": "degraded", "because": "SAID"}')
        if now == "raises" and self.path != "/health":
            try: chart(1, colour=2)
            except TypeError:
                import traceback; traceback.print_exc()
                return self.say(500, b"")
        super().do_GET()

    def say(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

def chart(values): return values
Handler.do_POST = Handler.do_GET
_Plain, Handler = Handler, Moody
"""


def moody_loop(project: Project, **keys: Any) -> None:
    """Write the loop `web`, committed: a service with moods, and who answers for it."""
    prelude = f"MOOD = {str(project.root / 'mood.txt')!r}\n{_MOODS.replace('SAID', SECRET)}"
    spec = tiny_service(project, "web", prelude)
    spec["health"] |= {"stable_for": "0s", "expect": {"status": "healthy"}}
    spec["run"]["secrets"] = {"TOKEN": {"value": SECRET}}
    project.write(".gitignore", ".loopctl/\n__pycache__/\nmood.txt\n")
    project.loop(
        "web",
        owner="#web-oncall",
        runbook="docs/runbook.md",
        services={"web": {**spec, **keys.pop("service", {})}, **keys.pop("gated", {})},
        suites=[suite(project, keys.pop("tests", ASKS), **keys.pop("suite_keys", {}))],
        **keys,
    )
    project.commit()


def mood(project: Project, now: str) -> None:
    """From now on it is so: `ill`, `wrong`, `raises`, or empty for well."""
    project.write("mood.txt", now)


def triage(project: Project, *arguments: str, env: Mapping[str, str] | None = None) -> Ran:
    """`loopctl triage web`."""
    return project.loopctl("triage", "web", *arguments, env=env)


def told(project: Project, *arguments: str) -> dict[str, Any]:
    """What `loopctl triage web --json` prints."""
    ran = triage(project, "--json", *arguments)
    document = ran.document()
    assert document["exit_code"] == ran.code, str(ran)
    return document


def causes(document: Mapping[str, Any]) -> list[str]:
    """The signatures of what was found, the likeliest first."""
    return [finding["signature"] for finding in document["findings"]]


def kill_service(project: Project, revision: str) -> None:
    """Kill a revision's process, and wait until its host has seen it."""
    (pid,) = (p for p in project.processes() if f"K_REVISION={revision}" in environment(p))
    os.kill(pid, signal.SIGKILL)
    log = project.runs_dir / "hosts" / "local" / "logs" / "web" / f"{revision}.jsonl"
    until(lambda: "ended by SIGKILL" in log.read_text())


@dataclass(frozen=True, slots=True)
class Untouched:
    """All that loopctl keeps of a project, but for the logs: there a probe leaves its trace."""

    project: Project
    files: Mapping[str, str]

    @classmethod
    def of(cls, project: Project) -> Untouched:
        return cls(project, _files(project))

    def holds(self) -> None:
        """Nothing was written, made or removed; nobody serves who did not."""
        assert _files(self.project) == self.files


def _files(project: Project) -> dict[str, str]:
    found = {}
    for top in (project.runs_dir, project.runtime):
        for path in sorted(top.rglob("*")):
            named = path.relative_to(top.parent)
            if not path.is_file() or {"logs", "requests"} & set(named.parts):
                continue
            found[str(named)] = _hash(path)
    return found


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def labelled(ran: Ran, label: str) -> Sequence[str]:
    """The lines of the first screen with that label, without it."""
    first = ran.out.partition("\n\n")[0].splitlines()
    return [line.removeprefix(f"{label}: ") for line in first if line.startswith(f"{label}: ")]
