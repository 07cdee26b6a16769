"""Images that cannot be built, or take too long: what is said, what still serves, what is left."""

from __future__ import annotations

import base64
import os
import signal
import threading
import uuid
from pathlib import Path

import pytest
from docker_project import (
    DOCKERFILE,
    DockerProject,
    OnBuild,
    Standing,
    commands_with,
    env_of,
    in_build,
)
from engine_rig import BASE
from rig import Ran, until
from word_loop import ended, worklog

PRINTS = "i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo line $i of the step; done"
MIB = 1 << 20


def failed(docker: DockerProject, dockerfile: str, **keys: object) -> Ran:
    """A run whose build does."""
    docker.loop(dockerfile=dockerfile, **keys)  # type: ignore[arg-type]
    return docker.project.run("web")


def never_deployed(ran: Ran) -> None:
    assert "deploy" not in ran.stages()
    assert ran.service("web")["revision"] is None


@pytest.mark.slow
def test_a_missing_dockerfile_is_named_before_anything_is_done(
    serving: DockerProject, standing: Standing
) -> None:
    serving.loop()
    place = serving.project.root / "web" / "Dockerfile"
    place.unlink()
    ran = serving.project.run("web")
    assert ended(ran) == (4, "preflight", 1), str(ran)
    assert "Dockerfile cannot be read: No such file or directory" in ran.out
    assert str(place) in ran.out
    assert ran.stages() == ["preflight"]
    standing.told(ran)


@pytest.mark.slow
def test_a_dockerfile_with_a_mistake_is_refused_with_its_line(
    serving: DockerProject, standing: Standing
) -> None:
    ran = failed(serving, f"{DOCKERFILE}\nRUN true\nCOPPY . /elsewhere\n")
    assert ended(ran)[:2] == (5, "needs-human"), str(ran)
    assert list(ran.findings()) == ["build.step-failed"]
    told = "dockerfile parse error line 6: unknown instruction: COPPY"
    assert told in ran.stage("build")["detail"]
    assert told in ran.line("FAILED")
    assert told in ran.line("QUOTE"), "not what steps before it had said"
    standing.told(ran)


@pytest.mark.slow
def test_a_step_that_fails_is_quoted_with_its_exit_code_and_its_last_forty_lines(
    serving: DockerProject, standing: Standing
) -> None:
    ran = failed(serving, f"{DOCKERFILE}RUN {PRINTS}; exit 7\n")
    assert ended(ran)[:2] == (5, "needs-human"), str(ran)
    assert ran.result["verdict"] == "undelivered"
    never_deployed(ran)
    assert list(ran.findings()) == ["build.step-failed"]
    told = ran.findings()["build.step-failed"]
    assert "exit code: 7" in ran.stage("build")["detail"]
    quoted = [e["quote"] for e in told["evidence"] if e["kind"] == "build"]
    assert quoted[-1].endswith("line 60 of the step")
    assert "line 60 of the step" in ran.line("QUOTE"), str(ran)
    assert len(ran.out.splitlines()) <= 15
    assert "NEXT: tail -n 50 .loopctl/runs/" in ran.out
    text = worklog(ran)
    assert "40 lines from build/1/web.log" in text
    for number in range(21, 61):
        assert f"line {number} of the step" in text
    assert "line 20 of the step" not in text
    log = (ran.run / "build" / "1" / "web.log").read_text()
    assert "line 1 of the step" in log
    assert (ran.run / "build" / "1" / "web.log").stat().st_mode & 0o077 == 0
    standing.told(ran)


def test_a_base_image_that_nobody_has_is_named(serving: DockerProject, standing: Standing) -> None:
    nowhere = "127.0.0.1:9/nobody/base:1"
    ran = failed(serving, DOCKERFILE.replace(BASE, nowhere))
    assert ended(ran)[:2] == (5, "needs-human"), str(ran)
    assert list(ran.findings()) == ["build.base-absent"]
    found = ran.findings()["build.base-absent"]
    assert nowhere in found["title"]
    assert any(nowhere in evidence["quote"] for evidence in found["evidence"])
    assert nowhere in ran.out
    never_deployed(ran)
    standing.told(ran)


SECRET = "hush-4f0c9d1e7a"
MOUNTS = (
    f"{DOCKERFILE}"
    "RUN --mount=type=secret,id=TOKEN wc -c < /run/secrets/TOKEN > size.txt"
    " && cat /run/secrets/TOKEN && base64 /run/secrets/TOKEN\n"
)


def test_a_secret_reaches_its_step_and_nothing_else_and_dockerignore_is_respected(
    docker: DockerProject,
) -> None:
    docker.project.env["BUILD_TOKEN"] = SECRET
    secrets = {"TOKEN": {"value": "${BUILD_TOKEN}"}}
    docker.loop(dockerfile=MOUNTS, build={"secrets": secrets})
    docker.project.write("web/.dockerignore", "kept-out\n*.md\n!README.md\n")
    for name in ("kept-out/a.txt", "notes.md", "README.md"):
        docker.project.write(f"web/{name}", "a file\n")
    docker.project.commit()
    ran = docker.ran_green()
    image = ran.service("web")["image"]
    size, *listed = docker.docker("run", "--rm", image, "sh", "-c", "cat size.txt; ls").split()
    assert int(size) == len(SECRET)
    assert "README.md" in listed
    assert not {"kept-out", "notes.md"} & set(listed), ".dockerignore keeps them out"
    assert "[redacted:web.TOKEN]" in (ran.run / "build" / "1" / "web.log").read_text()
    hidden = [SECRET.encode(), base64.b64encode(SECRET.encode())[:-2]]
    for path in [*docker.project.runs_dir.rglob("*"), *docker.project.runtime.rglob("*")]:
        if path.is_file():
            assert not [each for each in hidden if each in path.read_bytes()], path
    history = docker.docker("history", "--no-trunc", image) + docker.docker("inspect", image)
    kept = docker.project.root.parent / "image.tar"
    docker.docker("save", "--output", str(kept), image)
    for text in (ran.out.encode(), ran.err.encode(), history.encode(), kept.read_bytes()):
        assert not [each for each in hidden if each in text]
    kept.unlink()
    assert commands_with(SECRET) == []


def test_a_secret_as_a_build_argument_is_refused_because_the_image_keeps_it(
    serving: DockerProject, standing: Standing
) -> None:
    serving.project.env["BUILD_TOKEN"] = SECRET
    build = {"secrets": {"TOKEN": {"value": "${BUILD_TOKEN}"}}, "args": {"T": "${BUILD_TOKEN}"}}
    ran = failed(serving, DOCKERFILE, build=build)
    assert ended(ran) == (4, "preflight", 1), str(ran)
    assert "build.args.T holds a secret, which the image keeps" in ran.out
    assert SECRET not in str(ran)
    standing.told(ran)


def test_a_secret_without_a_value_is_told_before_the_build(
    serving: DockerProject, standing: Standing
) -> None:
    ran = failed(serving, MOUNTS)
    assert ended(ran) == (4, "preflight", 1), str(ran)
    assert "Dockerfile mounts the secret TOKEN, which has no value" in ran.out
    assert "build.secrets.TOKEN" in ran.out
    standing.told(ran)


def slow(mark: str) -> str:
    """A Dockerfile with a step that takes ten minutes, and can be found among the processes."""
    return f"{DOCKERFILE}RUN echo started; : {mark}; sleep 600; : {mark}\n"


@pytest.mark.slow
def test_a_build_that_takes_longer_than_it_may_is_ended_in_the_engine_too(
    serving: DockerProject, standing: Standing
) -> None:
    mark = f"m{uuid.uuid4().hex}"
    ran = failed(serving, slow(mark), build={"timeout": "2s"})
    assert ended(ran)[:2] == (5, "needs-human"), str(ran)
    assert ran.stage("build")["duration_s"] < 4
    assert "the build was not finished within 2 s" in ran.out
    assert list(ran.findings()) == ["build.step-failed"]
    assert "started" in (ran.run / "build" / "1" / "web.log").read_text()
    until(lambda: not commands_with(mark), 5)
    standing.told(ran)


def test_an_interrupt_in_mid_build_ends_the_build_in_the_engine(
    serving: DockerProject, standing: Standing
) -> None:
    mark = f"m{uuid.uuid4().hex}"
    serving.loop(dockerfile=slow(mark))
    going = serving.project.start("run", "web", "-q")
    in_build(going)
    until(lambda: commands_with(mark))
    going.signal(signal.SIGINT)
    ran = going.end(15)
    assert (ran.code, ran.result["verdict"]) == (130, "interrupted"), str(ran)
    until(lambda: not commands_with(mark), 5)
    standing.told(ran)


@pytest.mark.parametrize(
    "mounts",
    [
        pytest.param("", id="api"),
        pytest.param("--mount=type=secret,id=TOKEN ", id="command", marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_ends_its_build_in_the_engine(
    serving: DockerProject, standing: Standing, mounts: str
) -> None:
    mark = f"m{uuid.uuid4().hex}"
    dockerfile = slow(mark).replace("RUN ", f"RUN {mounts}")
    serving.loop(dockerfile=dockerfile, build={"secrets": {"TOKEN": {"value": SECRET}}})
    going = serving.project.start("run", "web", "-q")
    in_build(going)
    until(lambda: commands_with(mark))
    os.killpg(going.process.pid, signal.SIGKILL)
    going.process.communicate()
    until(lambda: not commands_with(mark), 8)
    # Nobody is left to remove the folder of a command's build: it is empty, and stays.
    for folder in Path(serving.project.env["TMPDIR"]).glob("loopctl-build-*"):
        folder.rmdir()
    standing.holds()


@pytest.mark.slow
@pytest.mark.parametrize(
    "mib",
    [
        pytest.param((400, 200, 100), id="700 MiB"),
        pytest.param((1200, 600, 300), id="2 GB"),
    ],
)
def test_a_large_context_is_told_with_its_largest_folders_before_it_is_sent(
    serving: DockerProject, standing: Standing, mib: tuple[int, int, int]
) -> None:
    asked, let_go = threading.Event(), threading.Event()

    def held(head: bytes) -> tuple[bytes, bytes | None]:
        asked.set()
        let_go.wait(60)
        return head, b""

    serving.loop()
    for name, size in zip(("models/a", "models/b", "data/c"), mib, strict=True):
        os.truncate(serving.project.write(f"web/{name}.bin", b""), size * MIB)
    going = serving.project.start("run", "web", env=env_of(serving.through(OnBuild(held))))
    assert asked.wait(60)
    told = f"the build context has {sum(mib):,} MiB in"
    assert told in (going.folder() / "journal.jsonl").read_text(), "it is told before it is sent"
    going.signal(signal.SIGINT)
    let_go.set()
    ran = going.end(20)
    assert ran.code == 130, str(ran)
    assert told in ran.err
    assert f"its largest folders: models {mib[0] + mib[1]:,} MiB, data {mib[2]} MiB" in ran.err
    assert ".dockerignore" in ran.err
    assert told in worklog(ran)
    standing.told(ran)
