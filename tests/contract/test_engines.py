"""`make engines`: real engines on a machine that has none, and no harm to one that has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from bare_machine import TOOLS, Machine, a_machine

BASE = "loopctl-base:local"
LIVES_ON = ("sh", "-c", "trap exit TERM; while :; do sleep 0.1; done")


@pytest.fixture
def machine() -> Iterator[Machine]:
    with a_machine() as machine:
        yield machine


@pytest.mark.slow
def test_a_bare_machine_gets_all_of_it_once_and_keeps_nothing(machine: Machine) -> None:
    before = machine.network()
    first = machine.engines("up")
    assert first.code == 0, str(first)
    assert [line.split()[0] for line in first.out.splitlines()[:3]] == [
        "Docker",
        "registry",
        "base",
    ]
    pid = (machine.engines_dir / "engine/pid").read_text()
    assert machine.docker("run", "--rm", BASE, "python", "-c", "import ssl, http.server") == ""
    machine.docker("tag", BASE, "127.0.0.1:5000/pushed:1")
    assert "digest: sha256:" in machine.docker("push", "127.0.0.1:5000/pushed:1")

    running = machine.processes()
    again = machine.engines("up")
    assert again.code == 0, str(again)
    assert again.seconds < 2
    assert again.out.count("started earlier") == 2
    assert (machine.engines_dir / "engine/pid").read_text() == pid
    assert machine.processes() == running

    machine.docker("network", "create", "of-a-service")
    machine.docker("run", "-d", "--network", "of-a-service", BASE, *LIVES_ON)
    down = machine.engines("down")
    assert down.code == 0, str(down)
    assert machine.processes() == []
    assert machine.network() == before
    assert not machine.engines_dir.exists()
    assert machine.run("test", "-e", "/var/run/docker.sock").code == 1
    assert machine.engines("down").out == "nothing was started here\n"


def test_an_engine_that_runs_is_used_and_neither_ended_nor_changed(machine: Machine) -> None:
    other = machine.start_engine("other")
    before, running = machine.network(), machine.processes()
    up = machine.engines("up", DOCKER_HOST=other)
    assert up.code == 0, str(up)
    assert "ran already" in up.out.splitlines()[0]
    assert not (machine.engines_dir / "engine").exists()
    machine.docker("image", "inspect", BASE, host=other)
    down = machine.engines("down", DOCKER_HOST=other)
    assert down.code == 0, str(down)
    assert machine.docker("images", "-q", host=other) == "", "what was made in it is gone"
    assert machine.processes() == running
    assert machine.network() == before


@pytest.mark.slow
@pytest.mark.parametrize("after", ["up", "down"])
def test_one_beside_another_takes_nothing_of_it_not_even_when_it_is_killed(
    machine: Machine, after: str
) -> None:
    other = machine.start_engine("other")
    machine.engines("up", DOCKER_HOST=other)
    theirs = machine.docker("run", "-d", "-p", "127.0.0.1:8001:80", BASE, *LIVES_ON, host=other)
    before, running = machine.network(), machine.processes()

    ours = {
        "DOCKER_HOST": f"unix://{machine.folder}/ours",
        "LOOPCTL_ENGINES_DIR": f"{machine.folder}/beside",
    }
    up = machine.engines("up", **ours)
    assert up.code == 0, str(up)
    assert "started, keeps" in up.out.splitlines()[0]
    assert "ran already" in up.out.splitlines()[1], "one registry is enough"
    machine.docker("run", "-d", BASE, *LIVES_ON, host=ours["DOCKER_HOST"])
    machine.did("kill", "-KILL", (machine.folder / "beside/engine/pid").read_text())
    for what in dict.fromkeys([after, "down"]):
        ended = machine.engines(what, **ours)
        assert ended.code == 0, f"{what}: {ended}"
    assert machine.processes() == running
    assert machine.network() == before
    assert machine.docker("ps", "-q", "--no-trunc", host=other) == theirs


@pytest.mark.slow
def test_another_that_has_taken_the_socket_of_a_killed_one_keeps_it(machine: Machine) -> None:
    assert machine.engines("up").code == 0
    machine.did("kill", "-KILL", (machine.engines_dir / "engine/pid").read_text())
    other = machine.start_engine("other")
    machine.did("ln", "-sf", other.removeprefix("unix://"), "/run/docker.sock")
    down = machine.engines("down")
    assert down.code == 0, str(down)
    assert "Server" in machine.docker("version")


@pytest.mark.parametrize(
    ("environ", "said", "remedy"),
    [
        ({"DOCKER_HOST": "tcp://127.0.0.1:9"}, "no engine answers", "unset DOCKER_HOST"),
        ({"DOCKER_HOST": "ssh://there"}, "neither unix://", "unset it"),
        ({"LOOPCTL_TEST_REGISTRY": "here"}, "no host:port", ""),
        ({"LOOPCTL_ENGINES_DIR": f"/tmp/{'x' * 80}"}, "too long a path", "a shorter one"),
        ({"LOOPCTL_ENGINES_DIR": str(TOOLS)}, "no folder of engines", ""),
    ],
)
def test_what_cannot_be_is_told_with_what_to_do(
    environ: dict[str, str], said: str, remedy: str
) -> None:
    with tempfile.TemporaryDirectory(prefix="lc-") as folder:
        ran = _here("up", {"LOOPCTL_ENGINES_DIR": f"{folder}/e", **environ})
        assert not Path(folder, "e").exists()
    assert ran.returncode == 1
    assert said in ran.stderr
    assert remedy in ran.stderr
    assert TOOLS.is_dir()


def test_who_is_not_root_is_told_what_root_would_do() -> None:
    if os.geteuid() != 0:
        pytest.skip("whoever runs this is not root, and may not become another")
    place = Path("/tmp/lc-nobodys-engines")
    environ = {"LOOPCTL_ENGINES_DIR": str(place), "DOCKER_HOST": f"unix://{place}.sock"}
    # Where the work tree lies, nobody may be let in.
    with tempfile.TemporaryDirectory() as tools:
        Path(tools).chmod(0o755)
        shutil.copytree(TOOLS / "engines", Path(tools) / "engines")
        ran = _here("up", {**environ, "PYTHONPATH": tools}, user=65534)
    assert ran.returncode == 1
    assert "only root may start one" in ran.stderr
    assert not place.exists()


def _here(
    what: str, environ: dict[str, str], user: int | None = None
) -> subprocess.CompletedProcess[str]:
    # Another user may not be allowed into the folder of this interpreter.
    interpreter = "/usr/bin/python3" if user else sys.executable
    return subprocess.run(
        [interpreter, "-B", "-m", "engines", what],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(TOOLS), **environ},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        user=user,
    )
