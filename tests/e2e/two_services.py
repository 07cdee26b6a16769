"""A loop of two services, `web` and `store`, whose starts and ends wait for a test.

`down` and `rollback` do `web` first, for it comes last in the loop file.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kill_rig import AT_ONCE, environment
from rig import Going, Project, until
from services import ASKS, suite, tiny_service

SERVICES = ("store", "web")
_WAITS = """
import signal
def at_hand(name, file):
    return os.path.exists(f"{ROOT}/{name}-{os.environ['K_SERVICE']}-{file}")
def wait_to(what):
    if at_hand("hold", what):
        open(f"{ROOT}/{what}-{os.environ['K_SERVICE']}", "w").close()
        while not os.path.exists(f"{ROOT}/let-go"): time.sleep(0.02)
def end(*_):
    wait_to("ending")
    os._exit(0)
signal.signal(signal.SIGTERM, end)
wait_to("starting")
if at_hand("break", "starting"): sys.exit(3)
"""


def two_services(project: Project, tests: str = ASKS, **suite_keys: Any) -> None:
    """Write the loop `both`, committed. The host waits long for a service to end."""
    project.env["LOOPCTL_HOST_GRACE_SECONDS"] = "25"
    prelude = f"ROOT = {str(project.root)!r}\n{_WAITS}"
    services = {name: {**tiny_service(project, name, prelude), **AT_ONCE} for name in SERVICES}
    project.loop("both", services=services, suites=[suite(project, tests, **suite_keys)])
    project.commit()


def both_up(project: Project) -> dict[str, str]:
    """A green run of the loop; the revision that serves, by service."""
    two_services(project)
    ran = project.run("both")
    assert ran.code == 0, str(ran)
    return {name: ran.service(name)["revision"] for name in SERVICES}


def both_unverified(project: Project) -> tuple[dict[str, str], dict[str, str]]:
    """Both serve what failed, after a green run; the verified revisions, and those that serve."""
    good = both_up(project)
    two_services(project, ASKS + "    assert False\n", phase="confirm")
    ran = project.run("both", "--keep")
    assert ran.code == 1, str(ran)
    bad = {name: ran.service(name)["revision"] for name in SERVICES}
    assert project.serving("both") == {name: {bad[name]: 100} for name in SERVICES}
    return good, bad


def hold(project: Project, service: str, what: str) -> Path:
    """Let the service's next `starting` or `ending` wait; the file that tells that it does."""
    (project.root / f"hold-{service}-{what}").touch()
    return project.root / f"{what}-{service}"


def must_start_again(project: Project, service: str, revision: str) -> None:
    """Kill the revision, so that traffic which goes back to it has to wait for its start."""
    (pid,) = (p for p in project.processes() if f"K_REVISION={revision}" in environment(p))
    os.kill(pid, signal.SIGKILL)
    log = project.runs_dir / "hosts" / "local" / "logs" / service / f"{revision}.jsonl"
    until(lambda: "ended by SIGKILL" in log.read_text())


def services_of(project: Project) -> list[str]:
    """The names of the services that have a process."""
    variables = (v for pid in project.processes() for v in environment(pid))
    return sorted({v.partition("=")[2] for v in variables if v.startswith("K_SERVICE=")})


def has_heard(going: Going, number: signal.Signals) -> None:
    """Return once the command has said that it knows of the signal."""
    assert going.process.stderr is not None
    said = ""
    while f"{number.name}: " not in said:
        read = os.read(going.process.stderr.fileno(), 4096)
        assert read, f"it ended before it said so: {going.end()}"
        said += read.decode()


def signalled(
    project: Project, command: Sequence[str], held: Path, numbers: Sequence[signal.Signals]
) -> Going:
    """The command, held at a service and signalled there, before it is let go."""
    going = project.start(*command)
    until(held.exists)
    for number in numbers:
        going.signal(number)
        if number is not signal.SIGHUP:
            has_heard(going, number)
    return going


def shares(revisions: Mapping[str, str]) -> dict[str, dict[str, int]]:
    return {name: {revision: 100} for name, revision in revisions.items()}
