"""Tiny services as containers of the real engine, and what a project has left in there.

The environment of these projects is called `local` too, so that the rigs of killed runs, which
look for a host by that name, serve both platforms.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from engine_rig import BASE, real_engine
from kill_rig import AT_ONCE
from rig import Project, Ran, met_by_users, until
from services import ASKS, chat_loop, suite, tiny_service

from loopctl.platforms.host.rendezvous import Rendezvous

DOCKER = {"local": {"platform": "docker"}}
KEPT = 5
"""Revisions of a service that are kept, and images besides that of a container."""

CLI = "/usr/bin/docker"
"""Debian's own: a newer one may stand first on PATH."""

# The engine itself, where DOCKER_HOST is a proxy in front of it.
_REAL = "ENGINE_OF_THE_E2E_PROJECT"
_DOCKERFILE = f'FROM {BASE}\nWORKDIR /app\nCOPY . .\nCMD ["python", "service.py"]\n'
# The first process of a container is ended by SIGTERM only if it handles it.
_ENDS = "import signal\nsignal.signal(signal.SIGTERM, lambda *_: os._exit(0))\n"


@contextlib.contextmanager
def docker_opened(place: Path, address: str | None = None) -> Iterator[Project]:
    """A project for the engine at `address`, else the real one; it must leave no container."""
    engine = address or real_engine().address
    project = Project(place)
    project.env |= {"DOCKER_HOST": engine, _REAL: engine}
    try:
        yield project
    finally:
        try:
            project.close()
            with contextlib.suppress(AssertionError):
                # The engine may be at it still.
                until(lambda: not containers(project), 3)
            left = containers(project)
            images = images_of(project)
        finally:
            remove_all(project)
    assert not left, f"containers outlived `down`: {left}"
    # Beside the newest, those whose revisions could still serve when the last one was built.
    most = 2 * KEPT
    assert max(images.values(), default=0) <= most, f"images beyond those kept: {images}"


def key_of(project: Project) -> str:
    """By which its containers and images are labelled."""
    return Rendezvous.of(project.root, "local", project.runs_dir).key


def docker(project: Project, *words: str, fails: bool = False) -> str:
    """What a person would type at the project's engine; what it prints."""
    ran = subprocess.run(
        [CLI, *words],
        env={**os.environ, "DOCKER_HOST": project.env[_REAL]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert fails or ran.returncode == 0, ran.stderr
    return ran.stdout


def containers(project: Project) -> dict[str, str]:
    """State (`running`, `exited`, `created`) of all that the engine has of it, by revision."""
    listed = docker(
        project,
        *("ps", "--all", "--no-trunc", "--filter", f"label=dev.loopctl.project={key_of(project)}"),
        *("--format", '{{.Label "dev.loopctl.revision"}} {{.State}} {{.ID}}'),
    )
    found: dict[str, str] = {}
    for line in listed.splitlines():
        revision, state, made = line.split()
        assert revision not in found, f"two containers for {revision}"
        found[revision] = state
        assert made
    return found


def running(project: Project) -> Counter[str]:
    """How many containers run, by revision."""
    return Counter(name for name, state in containers(project).items() if state == "running")


def deploy_keys(project: Project) -> Counter[str]:
    """How many containers there are, by the deployment that made them."""
    listed = docker(
        project,
        *("ps", "--all", "--filter", f"label=dev.loopctl.project={key_of(project)}"),
        *("--format", '{{.Label "dev.loopctl.deploy-key"}}'),
    )
    return Counter(listed.splitlines())


def hosts_of(project: Project) -> set[int]:
    """The processes that its containers say they belong to."""
    listed = docker(
        project,
        *("ps", "--all", "--filter", f"label=dev.loopctl.project={key_of(project)}"),
        *("--format", '{{.Label "dev.loopctl.host"}}'),
    )
    return {int(line.split(".")[2]) for line in listed.splitlines()}


def container_of(project: Project, revision: str) -> str:
    """The name of a revision's container."""
    return f"loopctl-{key_of(project)}-{revision}"


def images_of(project: Project) -> Counter[str]:
    """How many images it has, by service."""
    found = docker(
        project,
        *("images", "--quiet", "--no-trunc"),
        *("--filter", f"label=dev.loopctl.project={key_of(project)}"),
    )
    names = set(found.split())
    told = json.loads(docker(project, "image", "inspect", *names)) if names else []
    return Counter(each["Config"]["Labels"]["dev.loopctl.service"] for each in told)


def remove_all(project: Project) -> None:
    """Whatever the engine still has of it."""
    mine = f"label=dev.loopctl.project={key_of(project)}"
    for made in docker(project, "ps", "--all", "--quiet", "--filter", mine).split():
        docker(project, "rm", "--force", "--volumes", made, fails=True)
    for image in set(docker(project, "images", "--quiet", "--no-trunc", "--filter", mine).split()):
        docker(project, "rmi", "--force", image, fails=True)


def container_service(
    project: Project, name: str = "web", prelude: str = "", heeds_term: bool = True
) -> dict[str, Any]:
    """`tiny_service` in an image, reached from outside its container."""
    spec = tiny_service(project, name, (_ENDS if heeds_term else "") + prelude)
    code = project.root / name / "service.py"
    code.write_text(code.read_text().replace('("127.0.0.1"', '("0.0.0.0"'))
    project.write(f"{name}/Dockerfile", _DOCKERFILE)
    return {**spec, **AT_ONCE}


def container_loop(
    project: Project,
    tests: str = ASKS,
    *,
    name: str = "web",
    prelude: str = "",
    heeds_term: bool = True,
    run: Mapping[str, Any] | None = None,
    service: Mapping[str, Any] | None = None,
    keys: Mapping[str, Any] | None = None,
    suites: Sequence[Mapping[str, Any]] = (),
    **suite_keys: Any,
) -> None:
    """A loop of one container and a suite, committed. `keys` are the loop's own."""
    spec = {**container_service(project, "web", prelude, heeds_term), **(service or {})}
    spec["run"] = {**spec["run"], **(run or {})}
    everything = {"environments": DOCKER, **(keys or {})}
    first = suite(project, tests, **suite_keys)
    project.loop(name, services={"web": spec}, suites=[first, *map(dict, suites)], **everything)
    project.commit()


def green(project: Project, loop: str = "web") -> Ran:
    """A run that must end green."""
    ran = project.run(loop)
    assert ran.code == 0, str(ran)
    return ran


def served_before(project: Project, **how: Any) -> Ran:
    """A green run of the loop, so that users have something to lose."""
    container_loop(project, **how)
    return green(project)


def old_still_serves(project: Project, ran: Ran, before: Ran, service: str = "web") -> None:
    """Users are met by what served before, the first line says so, and the candidate is gone."""
    good = before.service(service)["revision"]
    assert met_by_users(before.stable_url) == good
    assert f"{service}: {good} 100 %" in ran.first_line, str(ran)
    until(lambda: containers(project) == {good: "running"})


def disk(folder: Path) -> int:
    """Bytes below it."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def host_log(project: Project, revision: str, service: str = "web") -> str:
    """What the host has captured of a revision, and said about it."""
    logs = project.runs_dir / "hosts" / "local" / "logs" / service
    return (logs / f"{revision}.jsonl").read_text()


def chat_in_containers(project: Project, run: str, stable_for: str) -> None:
    """The example on the base image of `make engines`, with one of its suites, `golden-path`."""
    shutil.rmtree(project.root / "chat", ignore_errors=True)
    chat_loop(project, {"e2e": run}, stable_for)
    document = yaml.safe_load((project.root / "loops" / "golden-path.yaml").read_text())
    document["environments"] = DOCKER
    document["services"]["chat"]["build"] = {"args": {"BASE": BASE}}
    project.loop(**document)
    project.commit()
