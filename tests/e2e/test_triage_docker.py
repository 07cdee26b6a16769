"""`triage LOOP` on docker: how a container ended, and the engine's own command for its log."""

from __future__ import annotations

import contextlib
import shlex
import urllib.request

import pytest
from docker_project import DockerProject
from rig import until
from triage_rig import causes, labelled, told, triage

HOGS = "def hog(self): self.held = b'x' * (300 << 20)\nHandler.do_DELETE = hog\n"


def container_of(docker: DockerProject) -> str:
    """The name of the container that serves."""
    assert docker.before is not None
    (name,) = docker.containers()
    assert name.endswith(docker.before.service("web")["revision"])
    return name


def has_ended(docker: DockerProject, container: str) -> bool:
    return not docker.inspect(container)[0]["State"]["Running"]


@pytest.mark.slow
def test_a_container_that_was_killed_is_told_with_its_log_at_hand(docker: DockerProject) -> None:
    docker.green()
    container = container_of(docker)
    assert triage(docker.project).code == 0
    docker.docker("kill", container)
    until(lambda: has_ended(docker, container))
    ran = triage(docker.project)
    assert ran.code == 1, str(ran)
    assert "web is not healthy" in ran.line("VERDICT"), str(ran)
    assert "SIGKILL" in ran.out, str(ran)
    (by_hand, *_) = labelled(ran, "NEXT")
    _, *words = shlex.split(by_hand)
    assert words[-1] == container
    assert "listening" in docker.docker(*words), "it can be typed as it stands"


@pytest.mark.slow
def test_a_container_over_its_memory_is_told_to_have_been(docker: DockerProject) -> None:
    docker.loop()
    file = docker.project.root / "web" / "service.py"
    file.write_text(file.read_text().replace("server = Threading", f"{HOGS}server = Threading"))
    docker.project.commit()
    before = docker.ran_green()
    container = container_of(docker)
    asking = urllib.request.Request(f"{before.stable_url}/", method="DELETE")
    with contextlib.suppress(OSError):
        urllib.request.urlopen(asking, timeout=20).close()
    until(lambda: has_ended(docker, container))
    document = told(docker.project)
    assert document["exit_code"] == 1
    assert causes(document)[0] == "deploy.out-of-memory", document["findings"]
