"""An engine or a registry that is not there, goes away in the middle, or says no."""

from __future__ import annotations

import threading

import pytest
from docker_project import DOCKERFILE, DockerProject, Standing, env_of, in_build
from registry_rig import own_registry
from rig import Ran
from word_loop import ended, worklog

WAITS = f"{DOCKERFILE}RUN echo started; sleep 1.5\n"
NOWHERE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}


def not_pushed(docker: DockerProject, ran: Ran, prefix: str) -> None:
    """The image was built and proven, reached no registry and nobody, and has no such name."""
    assert ran.stage("build")["outcome"] != "ok"
    assert "deploy" not in ran.stages()
    assert ran.service("web")["provenance"]["verified"] is True
    assert docker.tags(prefix) == []


@pytest.mark.slow
def test_without_an_engine_nothing_is_begun_and_what_to_do_is_said(
    serving: DockerProject, standing: Standing
) -> None:
    serving.loop()
    ran = serving.project.run("web", env=NOWHERE)
    assert ended(ran) == (4, "preflight", 1), str(ran)
    assert ran.stages() == ["preflight"]
    assert "no Docker engine answers at unix:///nowhere/docker.sock" in ran.out
    assert "DOCKER_HOST" in ran.out
    assert ran.out.count("no Docker engine answers") <= 2
    standing.told(ran)
    doctor = serving.project.loopctl("doctor", "--env", "docker", env=NOWHERE)
    assert doctor.code == 4, str(doctor)
    assert "MISSING Docker engine" in doctor.out
    assert "make engines" in doctor.out


@pytest.mark.slow
def test_an_engine_that_dies_in_mid_build_is_named_and_the_run_ends_in_time(
    serving: DockerProject, standing: Standing
) -> None:
    serving.loop(dockerfile=DOCKERFILE + "RUN echo started; sleep 600\n")
    proxy = serving.through()
    going = serving.project.start("run", "web", "-q", env=env_of(proxy))
    in_build(going)
    proxy.die()
    ran = going.end(15)
    assert (ran.code, ran.result["verdict"]) == (5, "undelivered"), str(ran)
    assert list(ran.findings()) == ["platform.engine-gone"]
    (found,) = ran.findings().values()
    assert any("engine went away" in each["quote"] for each in found["evidence"]) or (
        "went away" in found["whys"][0]["answer"]
    )
    assert "the Docker engine went away in the middle of its answer" in ran.out
    assert "deploy" not in ran.stages()
    # The host, which has an engine of its own, still serves; `left` is read from it.
    standing.holds()


@pytest.mark.slow
def test_an_engine_that_dies_while_it_is_sent_the_context_is_named(
    serving: DockerProject, standing: Standing
) -> None:
    serving.loop()
    sent = threading.Event()

    def asked(data: bytes) -> bytes:
        if b"/build?" in data[:40]:
            sent.set()
            proxy.die()
        return data

    proxy = serving.through(asked)
    ran = serving.project.run("web", env=env_of(proxy))
    assert sent.is_set()
    assert (ran.code, ran.result["verdict"]) == (5, "undelivered"), str(ran)
    assert list(ran.findings()) == ["platform.engine-gone"]
    standing.told(ran)


@pytest.mark.slow
def test_a_registry_that_is_down_is_named_before_anything_is_done(
    serving: DockerProject, standing: Standing
) -> None:
    with own_registry() as registry:
        prefix = f"{registry.address}/e2e"
    serving.loop(registry=prefix)
    ran = serving.project.run("web")
    assert ended(ran) == (4, "preflight", 1), str(ran)
    assert "the registry does not answer" in ran.out
    assert prefix in ran.out
    assert ran.stages() == ["preflight"]
    standing.told(ran)


@pytest.mark.slow
def test_a_registry_that_dies_after_preflight_leaves_all_as_it_was(
    serving: DockerProject, standing: Standing
) -> None:
    with own_registry() as registry:
        prefix = f"{registry.address}/e2e"
        serving.loop(dockerfile=WAITS, registry=prefix)
        going = serving.project.start("run", "web", "-q")
        in_build(going)
        registry.kill()
        ran = going.end(30)
    refused(serving, standing, ran, prefix)


@pytest.mark.slow
def test_a_registry_that_may_not_be_written_leaves_all_as_it_was(
    serving: DockerProject, standing: Standing
) -> None:
    with own_registry(read_only=True) as registry:
        prefix = f"{registry.address}/e2e"
        serving.loop(registry=prefix)
        ran = serving.project.run("web")
    refused(serving, standing, ran, prefix)


@pytest.mark.slow
def test_a_registry_without_room_leaves_all_as_it_was(
    serving: DockerProject, standing: Standing
) -> None:
    """Slow: the engine itself tries again for most of a minute."""
    with own_registry(megabytes=4) as registry:
        prefix = f"{registry.address}/e2e"
        serving.loop(registry=prefix)
        ran = serving.project.run("web", timeout=150)
        refused(serving, standing, ran, prefix)


def refused(docker: DockerProject, standing: Standing, ran: Ran, prefix: str) -> None:
    assert ended(ran) == (5, "needs-human", 1), str(ran)
    assert ran.result["verdict"] == "undelivered"
    not_pushed(docker, ran, prefix)
    assert list(ran.findings()) == ["platform.registry-refused"]
    (found,) = ran.findings().values()
    assert any(f"{prefix}/web did not take the image" in e["quote"] for e in found["evidence"])
    assert f"{prefix}/web did not take the image" in ran.out
    assert "did not take the image" in worklog(ran)
    standing.told(ran, images=1)
