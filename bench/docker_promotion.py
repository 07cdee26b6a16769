"""Promotions of containers under load

An asyncio service with nothing in it, in a container, is asked through loopctl's front door by
eight connections while `loopctl run` replaces it five times: each run builds an image, starts a
container, waits for it, tests it and moves the traffic to it. Once over kept connections, once with
a connection for each request (`connection: close`). A failed request is any that is not answered
with 200: refused, cut, late or another status. Beside it stands what one does without loopctl,
under the same load: `docker rm -f` and `docker run` of a new image on the same port, five times, as
soon as the one before it answers. The gap is the longest time in which no user was answered; the
five runs and the containers' starts share the cores with service and client.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator

from bench.docker_engine import Docker, DockerProject, docker_here, docker_project, without_images
from bench.load import Load, load_during
from bench.project import ROOT
from bench.table import Row, seconds, skipped

PART = "l"
_CONNECTIONS = 8
_PROMOTIONS = 5
_QUIET_S = 0.2
_WAYS = {True: "keep-alive", False: "connection: close"}

# Every build is another, so that each revision really is a new image.
_DOCKERFILE = """
FROM {base}
COPY bare_service.py /
CMD ["python", "/bare_service.py", "0.0.0.0", "8080"]
"""

_SUITE = """
import os
import urllib.request

def test_it_answers():
    with urllib.request.urlopen(os.environ["BASE_URL"] + "/thing", timeout=10) as answer:
        assert answer.read() == b"ok"
"""


def rows() -> Iterator[Row]:
    """Two ways to ask, each beside stopping and starting."""
    docker = docker_here()
    if isinstance(docker, str):
        yield skipped("l", _what("keep-alive and connection: close"), docker)
        return
    with docker_project(docker, "replaced") as project:
        _write(docker, project)
        project.made.loopctl("run")
        for keep_alive in (True, False):
            ours = _under_load(_port(project), keep_alive, lambda: project.made.loopctl("run"))
            theirs = _restarted(docker, project, keep_alive)
            yield from _rows(_WAYS[keep_alive], ours, theirs)


def _what(way: str) -> str:
    return f"failed requests in {_PROMOTIONS} promotions of containers, {way}"


def _rows(way: str, ours: Load, theirs: Load) -> Iterator[Row]:
    beside = f"of {_count(ours):,}; {theirs.failed:,} of {_count(theirs):,}, `docker rm` and `run`"
    yield Row("l", _what(way), str(ours.failed), beside, "0", ours.failed == 0)
    yield Row(
        "l",
        f"longest gap in them, {way}",
        seconds(ours.longest_gap_s),
        f"{seconds(theirs.longest_gap_s)}, `docker rm` and `run`",
    )


def _count(load: Load) -> int:
    return load.failed + len(load.latencies)


def _under_load(port: int, keep_alive: bool, replace: Callable[[], object]) -> Load:
    def work() -> None:
        for _ in range(_PROMOTIONS):
            time.sleep(_QUIET_S)
            replace()
        time.sleep(_QUIET_S)

    return asyncio.run(load_during(work, port, _CONNECTIONS, keep_alive=keep_alive))


def _restarted(docker: Docker, project: DockerProject, keep_alive: bool) -> Load:
    name = f"loopctl-bench-{project.key}"
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = int(found.getsockname()[1])

    def start() -> None:
        docker("run", "-d", "--name", name, "-p", f"127.0.0.1:{port}:8080", name)
        _await(port)

    def replace() -> None:
        docker("rm", "-f", name)
        start()

    with without_images(docker, project):
        docker(
            "build", "-q", "--label", project.beside, "-t", name, str(project.made.folder / "web")
        )
        try:
            start()
            return _under_load(port, keep_alive, replace)
        finally:
            docker("rm", "-f", name)


def _await(port: int) -> None:
    """Until it answers: the engine takes connections before the service does."""
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as asking:
                asking.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")
                if asking.recv(1):
                    return
        except OSError:
            pass
        time.sleep(0.01)


def _port(project: DockerProject) -> int:
    """Of the front door, as the last run's result tells it."""
    *_, result = sorted(project.made.folder.glob(".loopctl/runs/*/result.json"))
    url = json.loads(result.read_text())["cycles"][-1]["services"][0]["url"]
    return int(url.rpartition(":")[2])


def _write(docker: Docker, project: DockerProject) -> None:
    made = project.made
    made.write("web/bare_service.py", (ROOT / "bench/bare_service.py").read_text())
    made.write("web/Dockerfile", _DOCKERFILE.format(base=docker.base).lstrip())
    made.write("tests/test_web.py", _SUITE)
    suite = {
        "id": "smoke",
        "priority": "P1",
        "kind": "pytest",
        "run": "tests -p no:cacheprovider",
        "cwd": "..",
        "env": {"BASE_URL": "${services.web.url}"},
        "protects": "web",
        "evidence": {"require": "observed", "target": ["web"]},
    }
    health = {"path": "/", "stable_for": "0s", "timeout": "30s"}
    made.write_loop({"source": "../web", "health": health}, [suite])
