"""Runs that are killed at a certain event, gone on with, and compared with an undisturbed one."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from kill_driver import KINDS, label
from rig import REPOSITORY, Going, Project, Ran, met_by_users, opened, until
from services import tiny_loop

from loopctl.journal.tail import read

DRIVER = REPOSITORY / "tests" / "e2e" / "kill_driver.py"
AT_ONCE = {"health": {"path": "/health", "stable_for": "0s", "timeout": "20s"}}
"""The part of a service that is healthy with its first answer."""

WAITS = """
import pathlib

def test_it_waits_until_it_is_let_go():
    ask()
    pathlib.Path("waiting").touch()
    deadline = time.monotonic() + 50
    while not pathlib.Path("let-go").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
"""
"""Tests that stay in VERIFY until the file `let-go` is there; `waiting` tells that they do."""

PATIENT = {"suite": "90s", "test": "60s"}
"""The time that a suite which waits is given, on a machine that may have other things to do."""

COUNTS = ("collected", "passed", "failed", "broken", "skipped", "flaky", "timeout", "lost")


def journal(folder: Path) -> list[dict[str, Any]]:
    """Every line of the journal, which loopctl itself finds whole."""
    lines = (folder / "journal.jsonl").read_text().splitlines()
    assert len(list(read(folder / "journal.jsonl"))) == len(lines)
    return [json.loads(line) for line in lines]


def labels(folder: Path) -> list[str]:
    """Every transition, effect and case batch of the run, in order."""
    return [label(line) for line in journal(folder) if line["kind"] in KINDS]


def so_far(folder: Path) -> list[str]:
    """The same of a run that goes on, whose last line may be half written."""
    whole, _, _ = (folder / "journal.jsonl").read_text().rpartition("\n")
    lines = [json.loads(line) for line in whole.splitlines()]
    return [label(line) for line in lines if line["kind"] in KINDS]


def of_kind(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [line for line in journal(folder) if line["kind"] == kind]


def drive(project: Project, **how: Any) -> Ran:
    """Run the driver to its end, which is mostly that it is killed."""
    before = project.run_folders()
    done = subprocess.run(
        [sys.executable, str(DRIVER), json.dumps(how)],
        cwd=project.root,
        env=project.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    made = max(project.run_folders() - before, default=None)
    folder = Path(how["folder"]) if "folder" in how else made
    return Ran(done.returncode, done.stdout, done.stderr, folder, 0.0)


def killed_at(project: Project, loop: str, at: str, **how: Any) -> Path:
    """The folder of a run that was killed at that event."""
    killed = drive(project, loop=loop, at=at, **how)
    assert killed.code == -signal.SIGKILL, f"it was not killed at {at}\n{killed}"
    assert label(journal(killed.run)[-1]) == at
    return killed.run


def resumed(project: Project, folder: Path) -> Ran:
    """`loopctl resume RUN -q`, to the end."""
    ran = project.loopctl("resume", folder.name, "-q")
    return replace(ran, folder=folder)


@dataclass(frozen=True, slots=True)
class End:
    """What a run came to: all of it that must be the same however often it was killed."""

    code: int
    verdict: str
    stop_reason: str
    cycles: int
    suites: Mapping[str, Mapping[str, Any]]
    cases: Mapping[str, tuple[str, str | None]]
    findings: frozenset[str]
    services: Mapping[str, tuple[int, bool, bool | None]]
    left: Mapping[str, tuple[bool, bool]]
    criteria: Sequence[Any]
    ended_with: str

    @staticmethod
    def of(ran: Ran) -> End:
        result, cycle = ran.result, ran.cycle
        return End(
            code=ran.code,
            verdict=result["verdict"],
            stop_reason=result["stop_reason"],
            cycles=len(result["cycles"]),
            suites={
                suite["id"]: {key: suite[key] for key in ("outcome", "grade", "grades", *COUNTS)}
                for suite in cycle["suites"]
            },
            cases={case["id"]: (case["status"], case["grade"]) for case in ran.cases()},
            findings=frozenset(ran.findings()),
            services={
                service["name"]: (
                    service["serving_percent"],
                    service["provenance"]["verified"],
                    service["provenance"]["rechecked_after_tests"],
                )
                for service in cycle["services"]
            },
            left={
                left["service"]: (left["verified"], left["changed_by_run"])
                for left in result["left"]
            },
            criteria=cycle["criteria"],
            ended_with=labels(ran.run)[-1],
        )


def numbers(project: Project) -> dict[str, int]:
    """How many revisions the platform has ever made, by service."""
    file = project.runs_dir / "hosts" / "local" / "registry.json"
    if not file.exists():
        return {}
    services = json.loads(file.read_text())["services"]
    return {name: service["number"] for name, service in services.items()}


def deployed(folder: Path) -> dict[tuple[int, str], set[str]]:
    """The revisions that the run has deployed, by cycle and service."""
    made: dict[tuple[int, str], set[str]] = {}
    for line in of_kind(folder, "revision.deployed"):
        name = line["data"]["revision"]["name"]
        made.setdefault((line["cycle"], line["service"]), set()).add(name)
    return made


def processes_of(run: str) -> list[int]:
    """What a run has started, as its environment tells, wherever it has got to."""
    return [pid for pid in pids() if f"LOOPCTL_RUN_ID={run}" in environment(pid)]


def working_in(folder: Path) -> list[int]:
    """The processes whose working directory is that folder, or was."""
    found = []
    for pid in pids():
        with contextlib.suppress(OSError):
            if str(Path(f"/proc/{pid}/cwd").readlink()).startswith(str(folder)):
                found.append(pid)
    return found


def services_up(project: Project) -> Counter[str]:
    """The processes of services, by revision."""
    found: Counter[str] = Counter()
    for pid in project.processes():
        for variable in environment(pid):
            name, _, value = variable.partition("=")
            if name == "K_REVISION":
                found[value] += 1
    return found


def pids() -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def environment(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def host_pid(project: Project) -> int:
    file = project.runs_dir / "hosts" / "local" / "host.json"
    return int(json.loads(file.read_text())["pid"])


def is_running(pid: int) -> bool:
    """Whether it is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


class Site:
    """A project whose loop is run over and over: undisturbed, and killed."""

    def __init__(self, project: Project, loop: str, prepare: Callable[[Project], object]) -> None:
        self.project = project
        self.loop = loop
        prepare(project)
        ran = project.run(loop)
        self.undisturbed = End.of(ran)
        self.labels = labels(ran.run)
        self.told = str(ran)

    def killed(self, at: str, **how: Any) -> Path:
        return killed_at(self.project, self.loop, at, **how)

    def resumed(self, folder: Path) -> Ran:
        return resumed(self.project, folder)

    def goes_on_as_if_nothing_had_been(self, folder: Path, before: Mapping[str, int]) -> Ran:
        """Resume the run; its end and what it leaves are those of an undisturbed run."""
        ran = self.resumed(folder)
        assert End.of(ran) == self.undisturbed, f"{ran}\nundisturbed:\n{self.told}"
        assert self.deployed_once(folder, before)
        self.nothing_is_left(ran)
        return ran

    def deployed_once(self, folder: Path, before: Mapping[str, int]) -> bool:
        """Each service of each cycle was deployed exactly once, and the platform agrees."""
        made = deployed(folder)
        names = {service for _, service in made}
        now = numbers(self.project)
        assert {key: len(revisions) for key, revisions in made.items()} == dict.fromkeys(made, 1)
        assert {n: now[n] - before.get(n, 0) for n in names} == {
            n: sum(service == n for _, service in made) for n in names
        }
        return bool(made)

    def nothing_is_left(self, ran: Ran) -> None:
        """What serves serves, at most what served before it runs beside it, and nothing else."""
        serving = {left["service"]: left["traffic"] for left in ran.result["left"]}
        assert all(sum(traffic.values()) == 100 for traffic in serving.values()), serving
        met = {name for traffic in serving.values() for name in traffic}
        until(lambda: not processes_of(ran.run.name))
        until(lambda: met <= set(services_up(self.project)))
        assert max(services_up(self.project).values()) == 1
        until(lambda: len(services_up(self.project)) <= 2 * len(serving))
        if ran.code:
            # A candidate that was not promoted is gone.
            names = {name for each in deployed(ran.run).values() for name in each}
            until(lambda: not names & set(services_up(self.project)))


SiteFixture = Callable[[pytest.TempPathFactory], Iterator[Site]]


def site_of(prepare: Callable[[Project], object], loop: str = "web") -> SiteFixture:
    """A fixture of a module: a project of its own, prepared and run once undisturbed."""

    @pytest.fixture(scope="module")
    def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
        with opened(tmp_path_factory.mktemp(prepare.__name__)) as project:
            yield Site(project, loop, prepare)

    return site


def waiting(project: Project, loop: str = "web", *options: str) -> Going:
    """A run of a loop with the suite `WAITS` that has come to it."""
    going = project.start("run", loop, "-q", *options)
    going.folder()
    until((project.root / "waiting").exists)
    return going


def let_go(project: Project) -> None:
    (project.root / "let-go").touch()


def serving_already(project: Project) -> Ran:
    """The smallest loop, and its first green run."""
    tiny_loop(project, service=AT_ONCE)
    first = project.run("web")
    assert first.code == 0, str(first)
    return first


def finds_what_it_has_deployed(project: Project) -> Ran:
    """Of a run that is killed once the platform is at its deployment, and gone on with.

    The deployment is found, and not made twice.
    """
    before = numbers(project)
    let_go(project)
    going = project.start("run", "web", "-q")
    while numbers(project) == before:
        assert going.process.poll() is None
    going.signal(signal.SIGKILL)
    folder = going.end().run
    assert labels(folder)[-1] in ("intent deploy web", "result deploy web")
    ran = resumed(project, folder)
    assert ran.code == 0, str(ran)
    assert numbers(project)["web"] == before["web"] + 1
    assert met_by_users(ran.stable_url) == ran.service("web")["revision"]
    return ran
