"""Two machines with nothing in common but a history: what one has seen green, the other compares.

Each is a checkout with a home, a runs folder and services of its own.
"""

from __future__ import annotations

import json
import shutil
import socket
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rig import Project, Ran, opened
from services import tiny_service

ROUTINE = "\n".join(f'print("warning: cache of shard {n} is cold")' for n in range(30))
SERVICE = f"""
{ROUTINE}
print("the key is", os.environ["KEY"], flush=True)
ANSWER = {{"status": "healthy", os.environ["KEY"]: 1, "type": os.environ["KEY"]}}
if os.environ["MODE"] == "broken":
    print("ERROR pool exhausted: no connection for tenant 42", file=sys.stderr, flush=True)
    Handler.answer = lambda self: json.dumps(ANSWER | {{"items": "none"}}).encode()
else:
    Handler.answer = lambda self: json.dumps(ANSWER | {{"items": [1]}}).encode()
"""
TELLING = "ERROR pool exhausted: no connection for tenant 42"
SECRET = "a-secret-of-the-two-machines"


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with opened(tmp_path_factory.mktemp("elsewhere")) as made:
        yield made


def a_loop(project: Project, history: str) -> None:
    service = tiny_service(project, prelude=SERVICE)
    service["run"] |= {"env": {"MODE": "${MODE:-well}"}, "secrets": {"KEY": {"value": SECRET}}}
    answers = {
        "id": "answers",
        "priority": "P1",
        "kind": "http",
        "requests": [{"get": "${services.web.url}/through", "status": 200, "json": {"items": [1]}}],
        "protects": "web",
        "evidence": {"target": ["web"]},
    }
    project.loop("web", services={"web": service}, suites=[answers], history=history)
    project.commit()


def broken(project: Project) -> Ran:
    ran = project.run("web", env={"MODE": "broken"})
    assert ran.code == 1, str(ran)
    return ran


def records(folder: Path) -> list[Path]:
    return sorted((folder / "web" / "local").iterdir())


def test_a_machine_with_an_empty_disk_compares_with_what_another_has_seen_green(
    project: Project, elsewhere: Project, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    for machine in (project, elsewhere):
        a_loop(machine, str(shared))
    green = project.run("web")
    assert green.code == 0, str(green)

    red = broken(elsewhere)
    changed = red.line("CHANGED SINCE GREEN")
    assert green.run.name in changed
    assert "MODE of web" in changed
    first = novel(red)[0]
    assert first["quote"] == TELLING
    assert first["baseline"] is True
    assert "is cold" not in str(novel(red)), "thirty warnings that green runs show too"
    assert "changed shape at items (was list, is string) since the last green run" in str(
        red.cases()
    )
    kept = "".join(path.read_text() for path in records(shared))
    assert "the key is" in kept
    assert SECRET not in kept
    assert b64encode(SECRET.encode()).decode().rstrip("=") not in kept

    # The first machine again, whose runs folder is gone: it still knows what was verified.
    shutil.rmtree(project.runs_dir / "runs")
    told = project.loopctl("plan", "web", "--json").document()
    assert (told["past_runs"], told["differs"]) == (1, False)
    again = broken(project)
    assert "verified, " in again.first_line
    assert "not verified" not in again.first_line
    (seen,) = {json.dumps(each) for each in sightings(again)}
    assert json.loads(seen)["runs"] == 1
    assert json.loads(seen)["first_run"] == red.run.name


def novel(ran: Ran) -> list[dict[str, Any]]:
    return [event["data"] for event in events(ran) if event["kind"] == "log.novel"]


def sightings(ran: Ran) -> list[dict[str, Any]]:
    found = [e["data"]["finding"] for e in events(ran) if e["kind"] == "finding.made"]
    assert found, str(ran)
    return [finding["seen"] for finding in found]


def events(ran: Ran) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (ran.run / "journal.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_a_history_that_cannot_be_read_is_told_and_changes_no_verdict(
    project: Project, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    shared.write_text("a file stands where the folder should be")
    a_loop(project, str(shared))
    green = project.run("web")
    assert green.code == 0, str(green)
    assert "what this run tells was not kept for later runs: cannot" in green.out + green.err
    assert f"earlier runs in the history at {shared}" in (green.run / "worklog.md").read_text()

    red = broken(project)
    changed = red.line("CHANGED SINCE GREEN")
    assert f"since {green.run.name} that this machine knows of" in changed
    assert "the history could not be read" in changed
    assert novel(red)[0]["baseline"] is True


@pytest.mark.slow
def test_a_history_that_hangs_costs_seconds(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        a_loop(project, f"ftp://127.0.0.1:{silent.getsockname()[1]}/loopctl")
        ran = project.run("web")
    assert ran.code == 0, str(ran)
    assert ran.seconds < 25
    assert "no answer within 5 s" in (ran.run / "worklog.md").read_text()
    assert "was not kept for later runs: ended by its deadline" in ran.out + ran.err
