"""The way to green in containers: the loop of this repository, a real engine, a real registry."""

from __future__ import annotations

import shutil
import urllib.request
from collections.abc import Iterator

import pytest
import yaml
from docker_project import DockerProject
from load import Load
from registry_rig import Registry, own_registry
from rig import REPOSITORY, Ran, met_by_users
from word_loop import worklog

HELLO = "/health"


@pytest.fixture
def registry() -> Iterator[Registry]:
    with own_registry() as made:
        yield made


@pytest.fixture
def example(docker: DockerProject) -> DockerProject:
    """The example and the loop of this repository, in a project of its own."""
    root = docker.project.root
    leave = shutil.ignore_patterns("__pycache__", ".*_cache")
    shutil.copytree(REPOSITORY / "examples" / "chat", root / "examples" / "chat", ignore=leave)
    text = (REPOSITORY / "loops" / "golden-path.yaml").read_text()
    # `down` is told of no environment.
    text = text.replace("default_environment: local", "default_environment: docker")
    docker.project.loop_file("golden-path", text)
    docker.project.commit()
    return docker


def test_the_example_is_proven_from_commit_to_endpoint_and_replaced_without_a_gap(
    example: DockerProject, registry: Registry
) -> None:
    env = {"CHAT_REGISTRY": f"{registry.address}/e2e"}
    example.forget_afterwards(f"{registry.address}/e2e")
    first = example.project.run("golden-path", "--env", "docker", env=env)
    assert_proven(first, cases=38)
    assert_deployed_by_digest(example, first, registry)
    assert_chain_told(first)
    change_source(example)
    shorten(example)
    url, old = first.stable_url, first.service("chat")["revision"]
    with (
        Load(url, keep_alive=True, path=HELLO) as kept,
        Load(url, keep_alive=False, path=HELLO) as closing,
    ):
        second = example.project.run("golden-path", "--env", "docker", env=env)
    assert_proven(second, cases=19)
    assert second.stable_url == url
    new = second.service("chat")["revision"]
    for load in (kept, closing):
        assert load.failures == []
        assert len(load.answers) > 50
        assert load.answers == sorted(load.answers, key=[old, new].index), "it went back and forth"
        assert set(load.answers) == {old, new}
    assert second.service("chat")["image"] != first.service("chat")["image"]
    assert_deployed_by_digest(example, second, registry)
    assert sorted(example.containers()) == [f"loopctl-{example.key}-{each}" for each in (old, new)]
    down = example.project.loopctl("down", "golden-path", "--env", "docker", env=env)
    assert down.code == 0, str(down)
    assert_nothing_runs(example, url)


def assert_proven(ran: Ran, cases: int) -> None:
    """Green, with every case proven by a receipt and the content compared and read again."""
    assert ran.code == 0, str(ran)
    assert (ran.result["verdict"], ran.result["stop_reason"]) == ("green", "green")
    assert ran.first_line.startswith("USERS: chat: chat-0000")
    assert "100 %" in ran.first_line
    assert ", verified, changed by this run" in ran.first_line
    assert len(ran.cases()) >= cases
    assert {(case["status"], case["grade"]) for case in ran.cases()} == {("passed", "proven")}
    revision = ran.service("chat")["revision"]
    assert all(f"on {revision}" in case["reason"] for case in ran.cases())
    provenance = ran.service("chat")["provenance"]
    assert provenance["source_tree"] == provenance["image_tree"] == ran.result["source"]["tree"]
    assert provenance["verified"] is True
    assert provenance["rechecked_after_tests"] is True
    # Dockerfile, README, tests and their settings go into no image.
    assert provenance["compared"] >= 15
    assert any("base image loopctl-base:local" in each for each in provenance["not_covered"])
    assert any("RUN python -c" in each for each in provenance["not_covered"])
    assert met_by_users(ran.stable_url) == revision


def assert_deployed_by_digest(docker: DockerProject, ran: Ran, registry: Registry) -> None:
    """The container runs the image that the registry has under the digest of the result."""
    service = ran.service("chat")
    (found,) = docker.inspect(f"loopctl-{docker.key}-{service['revision']}")
    name = f"{registry.address}/e2e/chat"
    assert found["Config"]["Image"] == f"{name}@{service['image']}"
    assert found["Image"] == service["image_id"] != service["image"]
    assert registry_has(registry, "e2e/chat", service["image"])
    (image,) = docker.inspect(service["image_id"])
    assert f"{name}@{service['image']}" in image["RepoDigests"]
    labels = image["Config"]["Labels"]
    assert labels["dev.loopctl.source-tree"] == service["provenance"]["source_tree"]
    labels = found["Config"]["Labels"]
    told = {name: labels[f"dev.loopctl.{name}"] for name in ("loop", "service", "revision", "run")}
    assert told == {
        "loop": "golden-path",
        "service": "chat",
        "revision": service["revision"],
        "run": ran.result["run_id"],
    }
    assert found["HostConfig"]["Memory"] == 256 << 20


def registry_has(registry: Registry, repository: str, digest: str) -> bool:
    asked = urllib.request.Request(
        f"http://{registry.address}/v2/{repository}/manifests/{digest}",
        headers={"Accept": "application/vnd.docker.distribution.manifest.v2+json"},
        method="HEAD",
    )
    with urllib.request.urlopen(asked, timeout=5) as answer:
        return bool(answer.headers["Docker-Content-Digest"] == digest)


def assert_chain_told(ran: Ran) -> None:
    """The worklog names every link: commit, tree, image, digest, revision, share."""
    text = worklog(ran)
    service = ran.service("chat")
    (chain,) = [line for line in text.splitlines() if line.startswith("- chat: tree")]
    for link in (
        f"commit `{ran.result['source']['commit']}`",
        f"`{ran.result['source']['tree']}`",
        "the content is the source's",
        f"{service['provenance']['compared']} files compared",
        service["image"],
        service["image_id"],
        f"Read again after the tests: `{service['revision']}` unchanged, serving 100 %",
    ):
        assert link in chain, f"{link} is not in {chain}"


def change_source(docker: DockerProject) -> None:
    file = docker.project.root / "examples" / "chat" / "chat" / "answers.py"
    file.write_text(f"{file.read_text()}\n# another commit\n")
    docker.project.commit()


def shorten(docker: DockerProject) -> None:
    """Of the loop's suites leave three: the others have shown what they had to show."""
    file = docker.project.root / "loops" / "golden-path.yaml"
    loop = yaml.safe_load(file.read_text())
    loop["suites"] = loop["suites"][:3]
    loop["services"]["chat"]["health"]["stable_for"] = "200ms"
    file.write_text(yaml.safe_dump(loop))
    docker.project.commit()


def assert_nothing_runs(docker: DockerProject, url: str) -> None:
    assert docker.containers() == []
    assert docker.project.processes() == []
    assert docker.project.sockets() == []
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=5)
