"""Services whose image was built elsewhere: nothing is built, and what it holds is proven."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

import pytest
from docker_project import DockerProject, said_by
from engine_rig import real_registry
from registry_images import Asked, answer, image_of, pretended
from rig import Ran
from word_loop import ended, worklog

REVISION = "org.opencontainers.image.revision"
REBUILDS = {"mode": "auto", "rules": [{"when": {"verdict": "unproven"}, "do": "rebuild"}]}


@dataclass
class Abroad:
    """Builds images of the project's source where loopctl is not, and pushes them."""

    docker: DockerProject
    names: list[str] = field(default_factory=list)

    def build(self, *arguments: str) -> str:
        tag = f"{real_registry()}/e2e/{uuid.uuid4().hex[:12]}:made"
        folder = str(self.docker.project.root / "web")
        self.docker.docker("build", "-q", "-t", tag, *arguments, folder)
        self.docker.docker("push", "-q", tag)
        (found,) = self.docker.inspect(tag)
        (name,) = found["RepoDigests"]
        self.docker.docker("rmi", tag)
        self.names.append(name)
        return str(name)

    def forget(self) -> None:
        self.docker.down()
        pulled = self.docker.docker(
            "images", "--digests", "--format", "{{.Repository}}@{{.Digest}}"
        )
        for name in self.names:
            if name in pulled:
                self.docker.docker("rmi", "--force", name)


@pytest.fixture
def abroad(docker: DockerProject) -> Iterator[Abroad]:
    docker.loop()
    made = Abroad(docker)
    yield made
    made.forget()


def green(ran: Ran) -> None:
    assert ended(ran) == (0, "green", 1), str(ran)
    assert said_by(ran.stable_url) == "good"


@pytest.mark.slow
def test_an_image_of_the_source_goes_green_without_a_build_and_a_stale_one_does_not(
    abroad: Abroad,
) -> None:
    docker, name = abroad.docker, abroad.build()
    docker.loop(service={"image": name}, remediate=REBUILDS)
    ran = docker.project.run("web")
    green(ran)
    assert docker.images() == [], "nothing was built"
    service = ran.service("web")
    assert service["image"] == name.partition("@")[2]
    provenance = service["provenance"]
    assert provenance["verified"] is True
    assert provenance["rechecked_after_tests"] is True
    assert provenance["source_tree"] == provenance["image_tree"] == ran.result["source"]["tree"]
    assert provenance["built_elsewhere"]["looked_at"] == "content"
    assert ran.stage("build")["detail"] == "took web as built elsewhere"
    assert "was built elsewhere; every byte of it is the digest's" in worklog(ran)

    planned = docker.project.loopctl("plan", "web", "--json")
    (planning,) = json.loads(planned.out)["services"]
    assert (planning["image"], planning["same_as_serving"]) == (name, True)

    docker.loop(word="better", service={"image": name}, remediate=REBUILDS)
    stale = docker.project.run("web")
    assert ended(stale) == (3, "needs-human", 1), str(stale)
    assert "deploy" not in stale.stages()
    (found,) = stale.cycle["findings"]
    assert found["signature"] == "deploy.stale-image"
    assert any("word.txt is stale" in each["quote"] for each in found["evidence"])
    tried = stale.line("TRIED")
    assert "was built elsewhere and cannot be rebuilt here" in tried
    assert "name its digest in `image`" in tried
    assert said_by(ran.stable_url) == "good", "what was verified serves on"


@pytest.mark.slow
def test_an_image_alone_goes_green_and_what_was_not_shown_is_said(abroad: Abroad) -> None:
    docker, name = abroad.docker, abroad.build("--label", f"{REVISION}=beef")
    docker.loop(service={"image": name, "source": None})
    ran = docker.project.run("web")
    green(ran)
    assert ran.result["source"] == {"commit": None, "dirty": False, "tree": None}
    provenance = ran.service("web")["provenance"]
    assert (provenance["source_tree"], provenance["image_tree"]) == (None, None)
    assert provenance["verified"] is True
    assert provenance["built_elsewhere"]["revision"] == "beef"
    said = worklog(ran)
    assert "that it was made from this commit" in said
    assert "the image itself names beef, which is not HEAD" in said
    again = docker.project.run("web")
    green(again)

    docker.loop(service={"image": name, "source": None, "provenance": "label"})
    other = docker.project.run("web")
    assert ended(other)[0] == 3, str(other)
    assert "its label names the commit beef, HEAD is " in other.out


@pytest.mark.slow
def test_where_nothing_is_asked_for_the_registry_is_asked_by_the_engine_alone(
    abroad: Abroad,
) -> None:
    docker, name = abroad.docker, abroad.build()
    docker.loop(service={"image": name, "source": None, "provenance": "none"})
    ran = docker.project.run("web")
    green(ran)
    provenance = ran.service("web")["provenance"]
    assert (provenance["verified"], provenance["rechecked_after_tests"]) == (False, True)
    assert "nothing of it was looked at" in worklog(ran)


@pytest.mark.slow
def test_a_registry_that_lies_ends_unproven_and_one_without_the_image_in_preflight(
    docker: DockerProject,
) -> None:
    made = image_of({"app/main.py": "1"})
    with pretended(made, lies) as registry:
        docker.loop(service={"image": registry.name, "source": None})
        ran = docker.project.run("web")
    assert ended(ran) == (3, "needs-human", 1), str(ran)
    assert list(ran.findings()) == ["deploy.not-as-named"]
    assert "deploy" not in ran.stages()
    with pretended(made) as registry:
        absent = registry.name[:-4] + "0000"
        docker.loop(service={"image": absent, "source": None})
        ran = docker.project.run("web")
    assert ended(ran)[:2] == (4, "preflight"), str(ran)
    assert "tests/made has no manifest" in ran.out
    assert "no clean-up has removed the image" in ran.out


def lies(handler: BaseHTTPRequestHandler, asked: Asked) -> bool:
    other = image_of({"app/main.py": "2"})
    body = other.manifests[other.digest]
    return "manifests" in asked.path and answer(handler, 200, body)
