"""Images built elsewhere on Cloud Run: no engine is at hand, and their content is proven."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cloud_run_project import AT_ONCE, PROJECT, REGION, CloudProject, cloud_opened
from registry_images import Made, Pretended, image_of, pretended
from rig import Ran
from services import suite, tiny_service
from word_loop import SAYS, WANTS_GOOD, ended, worklog

from emulator.run_runtime_process import Program

NOWHERE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
DOCKERFILE = "FROM scratch\nWORKDIR /app\nCOPY . .\n"
HISTORY = ("WORKDIR /app", "COPY . . # buildkit")


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[CloudProject]:
    with cloud_opened(tmp_path) as made:
        yield made


def source(cloud: CloudProject, word: str = "good") -> Path:
    """The service's source, with what tells how an image is made of it."""
    tiny_service(cloud.project, "web", SAYS)
    cloud.project.write("web/Dockerfile", DOCKERFILE)
    return cloud.project.write("web/word.txt", f"{word}\n").parent


def image(folder: Path) -> Made:
    """As BuildKit would have made it of the source, elsewhere."""
    files = {f"app/{path.name}": path.read_text() for path in folder.iterdir()}
    return image_of({"app/left.txt": ""}, files, history=HISTORY, workdir="/app")


def loop(cloud: CloudProject, registry: Pretended, **service: Any) -> None:
    """The loop `web`, whose image the emulator runs as a process of the same files."""
    folder = cloud.shelf / "web"
    tiny = cloud.project.root / "web"
    folder.mkdir(exist_ok=True)
    for name in ("service.py", "word.txt"):
        (folder / name).write_text((tiny / name).read_text())
    program = Program((sys.executable, "-S", "service.py"), folder)
    cloud.runtime.programs[registry.name] = program
    place = {
        "platform": "cloud-run",
        "project": PROJECT,
        "region": REGION,
        "endpoint": cloud.endpoint,
    }
    web = {"image": registry.name, "source": "../web", "health": AT_ONCE, **service}
    cloud.project.loop(
        "web",
        environments={"staging": place},
        services={"web": web},
        suites=[suite(cloud.project, WANTS_GOOD, target="web")],
    )
    cloud.project.commit()


def run(cloud: CloudProject) -> Ran:
    return cloud.project.run("web", env=NOWHERE)


def test_without_an_engine_an_image_of_the_source_goes_green_and_a_stale_one_does_not(
    cloud: CloudProject,
) -> None:
    with pretended(image(source(cloud))) as registry:
        loop(cloud, registry)
        ran = run(cloud)
        assert ended(ran) == (0, "green", 1), str(ran)
        provenance = ran.service("web")["provenance"]
        assert provenance["verified"] is True
        assert provenance["rechecked_after_tests"] is True
        assert provenance["compared"] == 3
        assert provenance["image_tree"] == ran.result["source"]["tree"]
        serving = cloud.service().template.containers[0].image
        assert serving == registry.name
        assert any("/blobs/" in each.path for each in registry.asked)

        revision = ran.service("web")["revision"]
        source(cloud, "better")
        cloud.project.commit()
        stale = run(cloud)
        assert ended(stale) == (3, "needs-human", 1), str(stale)
        assert "1 stale (word.txt)" in stale.stage("build")["detail"]
        assert "cannot be rebuilt here" in stale.line("TRIED")
        assert cloud.serves() == [(revision, 100, "")]


@pytest.mark.slow  # every stage of it is tried on docker too
def test_alone_it_is_its_digests_and_what_was_not_shown_is_said(cloud: CloudProject) -> None:
    with pretended(image(source(cloud))) as registry:
        loop(cloud, registry, source=None)
        ran = run(cloud)
    assert ended(ran) == (0, "green", 1), str(ran)
    assert ran.result["source"]["tree"] is None
    assert "that it was made from this commit" in worklog(ran)


def test_a_layer_that_is_another_ends_unproven_and_nothing_was_sent(cloud: CloudProject) -> None:
    made = image(source(cloud))
    last = list(made.blobs)[-1]
    made.blobs[last] = made.blobs[last][:-1] + b"\xff"
    with pretended(made) as registry:
        loop(cloud, registry)
        ran = run(cloud)
    assert ended(ran) == (3, "needs-human", 1), str(ran)
    assert list(ran.findings()) == ["deploy.not-as-named"]
    assert not [method for method in cloud.writes() if method == "CreateService"]
