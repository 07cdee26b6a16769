"""Containers that misbehave: each is explained by its proof, and users keep what they had."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from docker_services import (
    KEPT,
    chat_in_containers,
    container_loop,
    container_of,
    containers,
    disk,
    docker,
    docker_opened,
    green,
    host_log,
    images_of,
    old_still_serves,
    served_before,
)
from kill_rig import host_pid, of_kind
from rig import Project, Ran, met_by_users, until
from services import ASKS
from slow import but_slow
from test_faults import FAULTS, Expected, assert_explained, stands_where_it_says

GRACE_S = 2.0
MIB = 1 << 20
THROUGH = ASKS + "def test_it_asks_more():\n    assert ask('/through')\n"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Ran]]:
    """A project whose users are served by a verified revision, for tests that do not change it."""
    with docker_opened(tmp_path_factory.mktemp("up")) as project:
        project.env["LOOPCTL_HOST_GRACE_SECONDS"] = str(GRACE_S)
        yield project, served_before(project)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with docker_opened(tmp_path) as project:
        project.env["LOOPCTL_HOST_GRACE_SECONDS"] = str(GRACE_S)
        yield project


@dataclass(frozen=True, slots=True)
class Bad:
    """A container, how its run ends, and all that some quoted line of its finding must say."""

    name: str
    prelude: str
    signature: str
    proof: tuple[str, ...]
    run: Mapping[str, Any] = field(default_factory=dict)
    tests: str = ASKS
    code: int = 5
    stage: str = "health"
    within_s: float = 3.0
    advice: str = ""
    dies: bool = False


HUNGRY = "hold = []\nwhile True: hold.append(bytearray(b'x' * 1_000_000))\n"
SHUT_IN = 'ThreadingHTTPServer(("localhost", int(os.environ["PORT"])), Handler).serve_forever()\n'
TALKS = "print('the first'); print('the last words', flush=True)\n"
BAD = (
    Bad("exits 0", f"{TALKS}sys.exit(0)\n", "deploy.exit-code", ("the last words",), dies=True),
    Bad(
        "exits 3 later",
        f"{TALKS}time.sleep(1)\nsys.exit(3)\n",
        "deploy.exit-code",
        ("the last words",),
        dies=True,
        within_s=4,
    ),
    Bad("is starved", HUNGRY, "deploy.out-of-memory", ("32Mi",), run={"memory": "32Mi"}),
    Bad(
        "is shut in",
        SHUT_IN,
        "deploy.loopback-only",
        ("127.0.0.1:8080 only",),
        advice="0.0.0.0",
        within_s=4,
    ),
    Bad(
        "has a wrong port",
        "os.environ['PORT'] = '9999'\n",
        "deploy.wrong-port",
        ("PORT=8080", "9999"),
        within_s=4,
    ),
    Bad("redirects", "STATUS = 307\n", "health.redirect", ("307",)),
    Bad(
        "is not there",
        "",
        "deploy.exit-code",
        ("cannot start no-such-program: No such file",),
        run={"command": ["no-such-program", "--serve"]},
    ),
    Bad(
        "dies under the tests",
        "def dies(_):\n"
        "    print('the last words', flush=True)\n"
        "    os._exit(7)\n"
        "Handler.answer = dies\n",
        "deploy.exit-code",
        ("the last words",),
        tests=THROUGH,
        code=1,
        stage="verify",
        within_s=12,
    ),
)


QUICK = ("exits 0",)


@pytest.mark.parametrize("bad", but_slow(BAD, QUICK, lambda bad: bad.name))
def test_a_bad_container_is_explained_by_its_proof_and_users_keep_what_they_had(
    up: tuple[Project, Ran], bad: Bad
) -> None:
    project, before = up
    images = images_of(project)["web"]
    container_loop(project, bad.tests, prelude=bad.prelude, run=bad.run)
    ran = project.run("web")
    assert ran.code == ran.result["exit_code"] == bad.code, str(ran)
    assert ran.stage(bad.stage)["outcome"] == "failed", str(ran)
    assert ran.stage(bad.stage)["duration_s"] < bad.within_s
    explained(ran, bad.signature, bad.proof)
    if bad.advice:
        assert bad.advice in (ran.run / "worklog.md").read_text()
    if bad.dies:
        known_at_once(ran)
    old_still_serves(project, ran, before)
    assert images_of(project)["web"] <= min(images + 1, KEPT + 1)


def explained(ran: Ran, signature: str, proof: tuple[str, ...]) -> None:
    """The finding is the first screen's cause, and its quotes stand where they say."""
    findings = ran.findings()
    assert signature in findings, f"{list(findings)}\n{ran}"
    finding = findings[signature]
    assert finding["service"] == "web"
    quotes = [quote["quote"] for quote in finding["evidence"]]
    assert all(any(each in quote for quote in quotes) for each in proof), quotes
    assert all(stands_where_it_says(quote, ran.run) for quote in finding["evidence"])
    assert signature in ran.line("LIKELY CAUSE"), str(ran)
    assert any(quote[:60] in ran.line("QUOTE") for quote in quotes), str(ran)


def known_at_once(ran: Ran) -> None:
    """What died was waited for no longer than it took to see that it had."""
    judged = of_kind(ran.run, "health.judged")[-1]
    lines = [json.loads(line) for line in (ran.run / "logs/1/web.jsonl").read_text().splitlines()]
    died = next(line for line in lines if judged["data"]["detail"].endswith(line["text"]))
    told, seen = datetime.fromisoformat(judged["at"]), datetime.fromisoformat(died["at"])
    assert (told - seen).total_seconds() < 1


STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"


@pytest.mark.slow
def test_a_candidate_that_ignores_sigterm_is_killed_after_its_grace_and_no_later(
    up: tuple[Project, Ran],
) -> None:
    project, before = up
    container_loop(project, ASKS + "    assert False\n", prelude=STUBBORN, heeds_term=False)
    ran = project.run("web")
    assert ran.code == 1, str(ran)
    assert GRACE_S <= ran.stage("settle")["duration_s"] < GRACE_S + 2
    old_still_serves(project, ran, before)
    log = host_log(project, ran.service("web")["revision"])
    assert f"did not end within {GRACE_S:g} s of SIGTERM: killed" in log


FLOOD = """
def flood():
    data = (b"x" * 99 + b"\\n") * 1000
    while True: os.write(1, data)
threading.Thread(target=flood, daemon=True).start()
"""


@pytest.mark.slow
def test_the_last_words_of_a_flood_are_known(up: tuple[Project, Ran]) -> None:
    project, before = up
    dies = "time.sleep(1)\nprint('the last words', file=sys.stderr, flush=True)\nos._exit(3)\n"
    container_loop(project, prelude=FLOOD + dies)
    ran = project.run("web")
    assert ran.code == 5, str(ran)
    assert ran.stage("health")["duration_s"] < 15
    explained(ran, "deploy.exit-code", ("the last words",))
    old_still_serves(project, ran, before)


@pytest.mark.slow
def test_a_flood_is_bounded_in_memory_disk_and_time_and_its_gap_is_told(project: Project) -> None:
    before = served_before(project)
    host = host_pid(project)
    resident_before = resident(host)
    container_loop(project, prelude=FLOOD)
    going = project.start("run", "web", "-q")
    latencies, hosts, runs = [], [0], [0]
    while going.process.poll() is None:
        began = time.monotonic()
        assert met_by_users(before.stable_url)
        latencies.append(time.monotonic() - began)
        hosts.append(resident(host))
        runs.append(resident(going.process.pid))
        time.sleep(0.02)
    ran = going.end()
    assert ran.code == 0, str(ran)
    assert ran.seconds < 60
    assert statistics.median(latencies) < 0.1
    assert max(latencies) < 2
    assert max(hosts) - resident_before < 60 * MIB
    assert max(runs) < 200 * MIB
    revision = ran.service("web")["revision"]
    assert met_by_users(before.stable_url) == revision
    assert f"the log of {revision} is full" in (ran.run / "worklog.md").read_text()
    # The host's capture, and the copy that the run keeps.
    assert 64 * MIB < disk(project.runs_dir) < 200 * MIB
    assert disk(log_folder_of(project, revision)) < 40 * MIB


def resident(pid: int) -> int:
    """Bytes of memory that a process holds, 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    held = next((line for line in status.splitlines() if line.startswith("VmRSS")), "VmRSS 0")
    return int(held.split()[1]) * 1024


def log_folder_of(project: Project, revision: str) -> Path:
    """Where the engine keeps what a container prints."""
    (found,) = json.loads(docker(project, "inspect", container_of(project, revision)))
    return Path(found["HostnamePath"]).parent / "local-logs"


@pytest.mark.slow
def test_what_was_killed_while_nobody_ran_is_told_as_dead_and_replaced(project: Project) -> None:
    before = served_before(project)
    good = before.service("web")["revision"]
    docker(project, "kill", container_of(project, good))
    until(lambda: containers(project) == {good: "exited"})
    container_loop(project, prelude="sys.exit(3)\n")
    ran = project.run("web")
    assert ran.code == 5, str(ran)
    assert f"web: {good} 100 %" in ran.first_line
    assert "DEAD" in ran.first_line, str(ran)
    assert "SIGKILL" in ran.first_line, str(ran)
    assert containers(project) == {good: "exited"}

    container_loop(project, prelude=STUBBORN, heeds_term=False)
    again = green(project)
    new = again.service("web")["revision"]
    assert met_by_users(before.stable_url) == new
    assert "DEAD" not in again.first_line
    down = project.loopctl("down", "web")
    assert down.code == 0, str(down)
    assert GRACE_S <= down.seconds < GRACE_S + 4
    assert containers(project) == {}
    assert f"did not end within {GRACE_S:g} s of SIGTERM: killed" in host_log(project, new)


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Ran]]:
    """The example, served by a verified revision."""
    with docker_opened(tmp_path_factory.mktemp("chat")) as project:
        chat_in_containers(project, "tests/test_auth.py", "200ms")
        yield project, green(project, "golden-path")


@pytest.mark.slow
@pytest.mark.parametrize("expected", FAULTS, ids=lambda e: e.fault)
def test_a_fault_of_the_example_has_the_same_signature_as_on_local(
    chat: tuple[Project, Ran], expected: Expected
) -> None:
    project, before = chat
    chat_in_containers(project, expected.suite, expected.stable_for)
    ran = project.run("golden-path", env={"FAULT": expected.fault})
    assert ran.code == expected.code, str(ran)
    assert ran.stage(expected.stage)["outcome"] == "failed"
    # A container takes a moment longer to start than a process.
    assert ran.stage(expected.stage)["duration_s"] < expected.within_s + 1
    assert_explained(ran, expected)
    old_still_serves(project, ran, before, "chat")
