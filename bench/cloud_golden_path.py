"""The golden path on an emulated Cloud Run

`loopctl run golden-path --env staging` against the emulator, whose revisions are containers of the
engine and whose images come from a registry on this machine, beside `--env docker` with the same
engine, in turn. One run of each comes first and does not count. There is no limit: Cloud Run's own
times are not the emulator's, and the wait for log entries that come late is most of the difference.
The row below holds the longest stages of the last run of each.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.cloud_rig import PROJECT, REGION, cloud_run
from bench.docker_engine import Docker, docker_here, docker_project
from bench.project import ROOT, Project
from bench.table import Row, in_turn, seconds, skipped
from bench.watched_run import Moment

PART = "r"
_WHAT = "the whole golden path on an emulated Cloud Run"
_ROUNDS = 2
_TOLD = 5
_SECRET = "a-secret-for-one-minute-0123456789"


def rows() -> Iterator[Row]:
    """One comparison, and where the time goes."""
    docker, registry = docker_here(), shutil.which("docker-registry")
    if isinstance(docker, str) or registry is None:
        why = docker if isinstance(docker, str) else "docker-registry is not installed"
        yield skipped(PART, _WHAT, why)
        return
    with (
        docker_project(docker, "golden-path") as project,
        _registry(registry, docker) as address,
        cloud_run("docker", {"chat-jwt-secret": _SECRET}) as cloud,
    ):
        made = project.made
        for part in ("loops", "examples"):
            shutil.copytree(ROOT / part, made.folder / part)
        made.variables.update(
            GCP_PROJECT=PROJECT,
            GCP_REGION=REGION,
            CLOUD_RUN_ENDPOINT=cloud.grpc,
            CHAT_REPOSITORY=f"{address}/bench",
            CHAT_BASE=docker.base,
        )
        last: dict[str, Mapping[str, float]] = {}
        staging = lambda: _ran(made, "staging", last)  # noqa: E731
        beside = lambda: _ran(made, "docker", last)  # noqa: E731
        in_turn(staging, beside, 1)
        pair = in_turn(staging, beside, _ROUNDS)
    yield Row(PART, _WHAT, seconds(pair.ours), pair.beside(seconds, "the docker platform"))
    yield Row(PART, "its longest stages", _longest(last["staging"]), _longest(last["docker"]))


def _longest(stages: Mapping[str, float]) -> str:
    named = sorted(stages, key=lambda name: -stages[name])[:_TOLD]
    return ", ".join(f"{name} {seconds(stages[name])}" for name in named)


def _ran(made: Project, environment: str, last: dict[str, Mapping[str, float]]) -> float:
    """Seconds of a green run with its start; those of its stages go to `last`."""
    began = time.time()
    told = made.python(
        "-m", "bench.watched_run", str(made.folder), made.loop, environment, cwd=ROOT
    )
    took = time.time() - began
    moments: list[Moment] = [(kind, stage, at) for kind, stage, at in json.loads(told)]
    stages: dict[str, float] = {}
    before = began
    for kind, stage, at in moments:
        if stage is not None or kind == "returned":
            name = stage or "end"
            stages[name] = stages.get(name, 0.0) + at - before
            before = at
    if "confirm" not in stages:
        raise RuntimeError(f"the run on {environment} was not green: {sorted(stages)}")
    last[environment] = stages
    return took


@contextmanager
def _registry(program: str, docker: Docker) -> Iterator[str]:
    """`host:port` of one with nothing in it; the engine's images of it are gone afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        address = f"127.0.0.1:{found.getsockname()[1]}"
    with tempfile.TemporaryDirectory(prefix="loopctl-bench-") as folder:
        config = Path(folder, "config.yml")
        config.write_text(
            "version: 0.1\nlog: {level: error}\n"
            f"storage: {{filesystem: {{rootdirectory: {folder}}}}}\nhttp: {{addr: '{address}'}}\n"
        )
        with subprocess.Popen(
            [program, "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                _await(address)
                yield address
            finally:
                process.kill()
                images = docker("images", "-q", "--filter", f"reference={address}/*/*").split()
                if images:
                    docker("rmi", "-f", *set(images))


def _await(address: str) -> None:
    host, _, port = address.partition(":")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection((host, int(port)), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the registry at {address} does not answer")
