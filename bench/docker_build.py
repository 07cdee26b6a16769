"""Images

(i) One folder of 5,000 files of random bytes, 100 MB, committed to git, and a Dockerfile that
copies it. loopctl's own builder makes the image without cache, as a run does it: it reads the
context, sends it to the engine's BuildKit, follows the steps, looks where the files went and
removes old images. Beside it `DOCKER_BUILDKIT=1 docker build --no-cache` of the same files, with a
client that can; each time in a folder of another name, as on a machine that has not built it yet.
In a folder that it knows the command sends only what has another size or time, `--no-cache` or not,
and so builds from files that an earlier build sent: the second line has it, loopctl always sends
all. The third is what a run does before it builds: it asks git for the files and hashes every one,
which the content proof needs.

(j) The image's files are read back out of it and compared with the source, one by one.

Both are called in one process, which has the engine's client loaded, as a run has. One build of
each comes first and does not count. Images and the contexts that BuildKit keeps are removed.
"""

from __future__ import annotations

import random
import shutil
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.docker_engine import (
    Docker,
    DockerProject,
    docker_here,
    docker_project,
    without_images,
    without_large_cache,
)
from bench.table import Pair, Row, in_turn, seconds, skipped, timed
from loopctl import api
from loopctl.bootstrap import world_of
from loopctl.model.artifact import Artifact, SourceTree
from loopctl.process import Stop

PART = "ij"
_FOLDERS = 50
_FILES = 100
_FILE_BYTES = 20_000
_TOTAL = _FOLDERS * _FILES * _FILE_BYTES
_ROUNDS = 5
_FACTOR = 1.2
_PROOF_S = 1.5
_WHAT = f"of a context of {_FOLDERS * _FILES:,} files, {_TOTAL // 1_000_000} MB"


def rows() -> Iterator[Row]:
    """Building and proving one large image."""
    docker = docker_here()
    if isinstance(docker, str):
        yield skipped("i", f"image without cache, {_WHAT}", docker)
        yield skipped("j", "content proof of that image", docker)
        return
    with without_large_cache(docker, _TOTAL), docker_project(docker, "large") as project:
        _write(docker, project)
        yield from _measured(docker, project)


def _measured(docker: Docker, project: DockerProject) -> Iterator[Row]:
    ours = _Ours(project.made.folder)
    theirs = _Theirs(docker, project)

    in_turn(ours.build, theirs.build_anew, 1)
    ours.forget()
    pair = in_turn(ours.build, theirs.build_anew, _ROUNDS)
    yield _built(pair)
    again = statistics.median(theirs.again)
    beside = Pair(pair.ours, again).beside(
        seconds, "`docker build --no-cache` in a folder it knows"
    )
    yield Row("i", "the same", seconds(pair.ours), beside)
    yield Row("i", "reading and hashing its source", seconds(statistics.median(ours.readings)))
    proof = statistics.median(ours.proofs)
    slowest = f"the slowest {seconds(max(ours.proofs))}"
    limit = f"≤ {seconds(_PROOF_S)}"
    yield Row("j", "content proof of that image", seconds(proof), slowest, limit, proof <= _PROOF_S)


def _built(pair: Pair) -> Row:
    beside = pair.beside(seconds, "`docker build --no-cache` in a new folder")
    limit = f"≤ {_FACTOR} ×"
    what = f"image without cache, {_WHAT}"
    return Row("i", what, seconds(pair.ours), beside, limit, pair.ratio <= _FACTOR)


class _Ours:
    """loopctl's builder, as `bootstrap` makes it for a run; what a run also measures of it."""

    def __init__(self, folder: Path) -> None:
        plan = api.load("large", environment="docker", cwd=folder)
        self._world = world_of(plan, folder / ".loopctl")
        (self._spec,) = plan.deployed
        self._log = folder / "build.log"
        self.readings: list[float] = []
        self.proofs: list[float] = []

    def build(self) -> float:
        """Seconds of one build; before it the source is read, after it the image proven."""
        read: list[SourceTree] = []
        made: list[Artifact] = []
        self.readings.append(timed(lambda: read.append(self._read())))
        taken = timed(lambda: made.append(self._built(read[0])))
        self.proofs.append(timed(lambda: self._prove(made[0], read[0])))
        return taken

    def forget(self) -> None:
        """What was measured until now does not count."""
        self.readings.clear()
        self.proofs.clear()

    def _read(self) -> SourceTree:
        assert self._spec.source is not None
        return self._world.sources.read(self._spec.source, Stop(60))

    def _built(self, source: SourceTree) -> Artifact:
        return self._world.builder.build(self._spec, source, self._log, lambda _: None, Stop(300))

    def _prove(self, artifact: Artifact, source: SourceTree) -> None:
        proof = self._world.builder.prove(artifact, source, self._spec, Stop(60))
        if not proof.holds or proof.compared != _FOLDERS * _FILES:
            raise RuntimeError(f"the content was not proven: {proof}")


class _Theirs:
    """The command, in a folder that it does not know and then once more."""

    def __init__(self, docker: Docker, project: DockerProject) -> None:
        self._docker = docker
        self._project = project
        self._folder = project.made.folder / "theirs"
        shutil.copytree(project.made.folder / "large", self._folder)
        self.again: list[float] = []

    def build_anew(self) -> float:
        """Seconds of the first of two builds."""
        self._folder = self._folder.rename(f"{self._folder}x")
        with without_images(self._docker, self._project):
            anew = timed(self._build)
            self.again.append(timed(self._build))
        return anew

    def _build(self) -> None:
        tag = f"loopctl-bench-{self._project.key}"
        label = ("--label", self._project.beside)
        self._docker("build", "--no-cache", "-q", *label, "-t", tag, str(self._folder))


def _write(docker: Docker, project: DockerProject) -> None:
    made = project.made
    given = random.Random(1)
    for folder in range(_FOLDERS):
        place = made.folder / f"large/data/{folder:02}"
        place.mkdir(parents=True)
        for number in range(_FILES):
            (place / f"{number:02}.bin").write_bytes(given.randbytes(_FILE_BYTES))
    made.write("large/Dockerfile", f"FROM {docker.base}\nCOPY data /data\n")
    never_run = {
        "id": "none",
        "priority": "P1",
        "kind": "pytest",
        "run": "tests",
        "protects": "web",
    }
    made.write_loop({"source": "../large"}, [never_run])
    for command in (
        ("add", "large"),
        ("-c", "user.name=b", "-c", "user.email=b", "commit", "-qm1"),
    ):
        subprocess.run(["git", *command], cwd=made.folder, check=True, timeout=60)
