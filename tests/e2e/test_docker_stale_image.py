"""The incident and its kin: images and containers that are not what their labels say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from docker_project import (
    DOCKERFILE,
    DockerProject,
    OnBuild,
    Standing,
    env_of,
    said_by,
)
from engine_rig import BASE
from rig import Ran, met_by_users
from tar_context import tar_of
from word_loop import ended, remedy, worklog

from loopctl.builders.image_shelf import KEPT_IMAGES

LABEL = "dev.loopctl.source-tree"
# What the tests below do to the candidate they are given, before they ask it.
MEDDLES = """
import json, subprocess

def docker(*words):
    done = subprocess.run(["/usr/bin/docker", *words], capture_output=True, text=True, timeout=20,
                          env={"DOCKER_HOST": "#HOST#"})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()

def candidate():
    run = "label=dev.loopctl.run=" + os.environ["LOOPCTL_RUN_ID"]
    return docker("ps", "--filter", run, "--format", "{{.Names}}")

def test_it_says_good():
    assert ask('/through').strip() == 'good'
    #MEDDLE#
"""


def copied_from(old: str) -> Callable[[bytes], tuple[bytes, bytes | None]]:
    """A build from the old image in place of the source: what a cache had done in the incident."""
    return lambda head: (head, tar_of({"Dockerfile": f"FROM {old}\n"}))


def with_cache(head: bytes) -> tuple[bytes, bytes | None]:
    assert b"nocache=1" in head
    return head.replace(b"nocache=1", b"nocache=0"), None


def stale(ran: Ran, cycle: int = 0) -> dict[str, Any]:
    (found,) = ran.result["cycles"][cycle]["findings"]
    assert found["signature"] == "deploy.stale-image"
    return dict(found)


def quotes(finding: dict[str, Any]) -> list[str]:
    return [evidence["quote"] for evidence in finding["evidence"]]


def states(ran: Ran, cycle: int) -> list[tuple[str, str]]:
    stages = ran.result["cycles"][cycle]["stages"]
    return [(s["name"], s["outcome"]) for s in stages if s["outcome"] != "skipped"]


def name_of(docker: DockerProject, image: str) -> str:
    """By which a Dockerfile can name it."""
    (found,) = docker.inspect(image)
    return str(found["RepoTags"][0])


def make_newer(docker: DockerProject, count: int) -> None:
    """Images of the same service that are younger than all it has; what is built must outlive them.

    An image that is made of an old one is as old as that, by what the engine says of it.
    """
    container = docker.docker("create", BASE, "true")
    marks = [f"LABEL dev.loopctl.project={docker.key}", "LABEL dev.loopctl.service=web"]
    changes = [word for mark in marks for word in ("--change", mark)]
    for _ in range(count):
        docker.docker("commit", *changes, container)
    docker.docker("rm", container)


def old_image(standing: Standing) -> str:
    return name_of(standing.docker, standing.before.service("web")["image"])


def test_an_image_made_from_the_old_one_is_named_rebuilt_and_green_in_one_run(
    serving: DockerProject, standing: Standing
) -> None:
    serving.loop(word="good\n", remediate={"mode": "auto"})
    make_newer(serving, KEPT_IMAGES)
    lie = OnBuild(copied_from(old_image(standing)))
    ran = serving.project.run("web", env=env_of(serving.through(lie)))
    assert lie.lies == 1
    assert ended(ran) == (0, "green", 2), str(ran)
    serving.before = ran
    assert states(ran, 0) == [
        ("preflight", "ok"),
        ("build", "failed"),
        ("collect", "ok"),
        ("settle", "ok"),
        ("diagnose", "ok"),
        ("remediate", "ok"),
    ], "it was never deployed"
    found = stale(ran)
    assert "word.txt is stale" in quotes(found)
    assert {why["status"] for why in found["whys"]} == {"observed"}
    assert (found["remedy"]["action"], found["remedy"]["result"]) == ("rebuild", "done")
    done = remedy(ran, 0)
    assert (done["action"], done["mended"]) == ("rebuild", True)
    tree = ran.service("web")["provenance"]["image_tree"][:19]
    assert done["seen"] == f"the image of web now holds {tree}"
    assert f"(mended: the image of web now holds {tree})" in ran.line("TRIED")
    assert f"mended: the image of web now holds {tree}" in worklog(ran)
    (service,) = ran.result["cycles"][0]["services"]
    assert service["revision"] is None
    assert service["provenance"]["verified"] is False
    assert service["provenance"]["image_tree"] != service["provenance"]["source_tree"]
    assert ran.cycle["findings"] == []
    assert ran.service("web")["provenance"]["verified"] is True
    assert ran.service("web")["image"] != service["image"]
    assert met_by_users(ran.stable_url) == ran.service("web")["revision"]
    assert serving.tags() == sorted(
        {old_image(standing), name_of(serving, ran.service("web")["image"])}
    ), "the stale image keeps no name"


@pytest.mark.slow
def test_where_remedies_are_proposed_the_stale_image_ends_as_unproven_and_serves_nobody(
    serving: DockerProject, standing: Standing
) -> None:
    serving.loop(word="good\n\n")
    lie = OnBuild(copied_from(old_image(standing)), times=9)
    ran = serving.project.run("web", env=env_of(serving.through(lie)))
    assert ended(ran) == (3, "needs-human", 1), str(ran)
    assert ran.result["verdict"] == "unproven"
    assert "deploy" not in ran.stages()
    (image,) = serving.inspect(ran.service("web")["image"])
    assert image["Config"]["Labels"][LABEL] == ran.result["source"]["tree"], "its label says HEAD"
    assert "word.txt is stale" in quotes(stale(ran))
    assert "1 stale (word.txt)" in ran.stage("build")["detail"]
    assert remedy(ran)["action"] == "rebuild"
    assert any(line.startswith("NEXT: loopctl run web") for line in ran.out.splitlines()), str(ran)
    assert "word.txt" in worklog(ran)
    standing.told(ran, images=1)


@pytest.mark.slow
def test_a_stale_image_that_stays_stale_is_rebuilt_once_and_then_left_to_a_person(
    serving: DockerProject, standing: Standing
) -> None:
    serving.loop(word="good\n\n\n", remediate={"mode": "auto"})
    lie = OnBuild(copied_from(old_image(standing)), times=9)
    ran = serving.project.run("web", env=env_of(serving.through(lie)))
    assert ran.code == 3, str(ran)
    assert ran.result["verdict"] == "unproven"
    assert ran.result["stop_reason"] in ("needs-human", "no-progress")
    assert len(ran.result["cycles"]) == lie.lies == 2
    standing.told(ran, images=2)


def test_a_build_that_took_steps_from_the_cache_proves_nothing(
    serving: DockerProject, standing: Standing
) -> None:
    serving.loop(dockerfile=f"{DOCKERFILE}RUN true\n", word="good")
    lie = OnBuild(with_cache, times=9)
    env = env_of(serving.through(lie))
    warmed = serving.project.run("web", env=env)
    ran = warmed if warmed.code else serving.project.run("web", env=env)
    assert ended(ran) == (3, "needs-human", 1), str(ran)
    told = [quote for quote in quotes(stale(ran)) if "yet from the cache" in quote]
    assert told, quotes(stale(ran))
    assert "COPY . ." in told[0]
    assert "FROM" not in told[0], "the base and the context come from nowhere else"
    assert "deploy" not in ran.stages()
    serving.before = warmed if warmed.code == 0 else serving.before


@pytest.mark.slow
def test_a_copied_file_that_a_step_changes_is_undeclared_until_the_loop_file_names_it(
    serving: DockerProject, standing: Standing
) -> None:
    restores = f"{DOCKERFILE}RUN echo good > word.txt\n"
    serving.loop(dockerfile=restores, word="new")
    ran = serving.project.run("web")
    assert ended(ran) == (3, "needs-human", 1), str(ran)
    told = quotes(stale(ran))
    assert "word.txt: altered by step 4 (RUN echo good > word.txt)" in told
    assert not [each for each in told if each.endswith("is stale")], "told apart from a stale one"
    assert "build.alters" in ran.out, str(ran)
    standing.told(ran, images=1)
    serving.loop(dockerfile=restores, word="new", build={"alters": ["word.txt"]})
    declared = serving.ran_green()
    assert declared.service("web")["provenance"]["altered"] == ["word.txt"]
    assert "as build.alters allows: 1 file, first `word.txt`" in worklog(declared)
    assert said_by(declared.stable_url) == "good"


def meddling(docker: DockerProject, *lines: str) -> Ran:
    """A run whose one suite does this to the candidate, after it has asked it."""
    tests = MEDDLES.replace("#HOST#", docker.engine.address)
    docker.loop(tests=tests.replace("#MEDDLE#", "\n    ".join(lines)))
    return docker.project.run("web")


def one_finding(ran: Ran, signature: str) -> Sequence[str]:
    assert signature in ran.findings(), f"{list(ran.findings())}\n{ran}"
    return quotes(ran.findings()[signature])


@pytest.mark.slow
def test_a_file_that_somebody_changes_in_the_container_during_the_tests_breaks_the_chain(
    serving: DockerProject, standing: Standing
) -> None:
    ran = meddling(serving, "docker('exec', candidate(), 'sh', '-c', 'echo good >> word.txt')")
    assert ended(ran)[:2] == (3, "needs-human"), str(ran)
    assert ran.case("test_it_says_good")["status"] == "passed"
    told = one_finding(ran, "deploy.stale-image")
    assert "/app/word.txt is changed" in told
    provenance = ran.service("web")["provenance"]
    assert (provenance["verified"], provenance["rechecked_after_tests"]) == (True, False)
    assert "promote" not in ran.stages()
    standing.told(ran, images=1)


@pytest.mark.slow
def test_a_candidate_that_somebody_removes_during_the_tests_is_never_green(
    serving: DockerProject, standing: Standing
) -> None:
    ran = meddling(serving, "docker('rm', '-f', candidate())")
    assert ran.code in (1, 3, 5), str(ran)
    assert ran.cycle["findings"], str(ran)
    assert "promote" not in ran.stages()
    standing.told(ran, images=1)


@pytest.mark.slow
def test_a_container_put_in_place_of_the_candidate_is_not_taken_for_it(
    serving: DockerProject, standing: Standing
) -> None:
    """It has the candidate's name, labels, port and answers, and is of another image."""
    ran = meddling(
        serving,
        "name = candidate()",
        "(was,) = json.loads(docker('inspect', name))",
        "docker('rm', '-f', name)",
        "labels = [f'--label={k}={v}' for k, v in was['Config']['Labels'].items()]",
        "env = [f'--env={each}' for each in was['Config']['Env']]",
        "[[at]] = was['NetworkSettings']['Ports'].values()",
        "port = '127.0.0.1:' + at['HostPort'] + ':8080'",
        f"docker('run', '-d', '--name', name, '-p', port, *labels, *env, "
        f"{old_image(standing)!r}, 'python3', 'service.py')",
        "deadline = time.monotonic() + 5",
        "while time.monotonic() < deadline:",
        "    try:",
        "        urllib.request.urlopen('http://127.0.0.1:' + at['HostPort'], timeout=1).close()",
        "        break",
        "    except OSError:",
        "        time.sleep(0.02)",
    )
    assert ran.code in (1, 3, 5), str(ran)
    assert ran.case("test_it_says_good")["status"] == "passed"
    assert ran.cycle["findings"], str(ran)
    assert "promote" not in ran.stages()
    standing.told(ran, images=1)
