"""The golden path in a container

`loopctl run golden-path --env docker` beside a shell script of the same steps, which proves
nothing: `docker build --no-cache` with BuildKit, `docker run` with the loop's limits, poll the
health path, stay healthy for the loop's 2.5 s, run pytest for each of the five suites. Removing the
container is not in the script's time: loopctl ends what it replaced when its run is over. One run
of each comes first and does not count, so loopctl's host is up, as on a developer's second run.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator

from bench.docker_engine import Docker, DockerProject, docker_here, docker_project, without_images
from bench.golden_path import HEALTHY, PROBES, SUITES
from bench.project import ROOT
from bench.table import Row, in_turn, seconds, skipped, timed

PART = "k"
_WHAT = "the whole golden path in a container"
_ROUNDS = 3
_FACTOR = 1.05
_SLACK_S = 1.0

_SCRIPT = f"""
set -eu
"$DOCKER" build --no-cache -q --label "$LABEL" --build-arg "BASE=$BASE" -t "$NAME" . >../image
"$DOCKER" run -d --name "$NAME" -p "127.0.0.1:$PORT:8080" --memory 256m --cpus 1 \
  -e PORT=8080 -e LOG_LEVEL=info -e JWT_SECRET "$NAME" >../container
python -c "$HEALTHY"
{SUITES}
"""


def rows() -> Iterator[Row]:
    """One comparison."""
    docker = docker_here()
    if isinstance(docker, str):
        yield skipped("k", _WHAT, docker)
        return
    with docker_project(docker, "golden-path") as project:
        for part in ("loops", "examples"):
            shutil.copytree(ROOT / part, project.made.folder / part)

        def loopctl() -> float:
            return timed(lambda: project.made.loopctl("run"))

        def script() -> float:
            return _script(docker, project)

        in_turn(loopctl, script, 1)
        pair = in_turn(loopctl, script, _ROUNDS)
        yield Row(
            "k",
            _WHAT,
            seconds(pair.ours),
            pair.beside(seconds, "a shell script of the same steps"),
            f"≤ {_FACTOR} × or + {_SLACK_S:g} s",
            pair.ours <= max(pair.theirs * _FACTOR, pair.theirs + _SLACK_S),
        )


def _script(docker: Docker, project: DockerProject) -> float:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = str(found.getsockname()[1])
    name = f"loopctl-bench-{project.key}"
    told = {
        "DOCKER": str(docker.cli),
        "LABEL": project.beside,
        "BASE": docker.base,
        "NAME": name,
        "HEALTHY": HEALTHY,
        "PROBES": PROBES,
        "PORT": port,
        "BASE_URL": f"http://127.0.0.1:{port}",
        "WS_URL": f"ws://127.0.0.1:{port}",
        "JWT_SECRET": "a-secret-for-one-minute-0123456789",
    }
    with without_images(docker, project):
        try:
            return timed(
                lambda: subprocess.run(
                    ["sh", "-c", _SCRIPT],
                    cwd=project.made.folder / "examples/chat",
                    env=docker.environ(**told),
                    check=True,
                    capture_output=True,
                    timeout=120,
                )
            )
        finally:
            docker("rm", "-f", name)
