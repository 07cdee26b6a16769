"""Images built elsewhere: read from a real registry, by their digests, without an engine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from engine_rig import BASE, real_engine, real_registry
from image_rig import Images, source_of, write
from registry_images import Made, image_of, index_of, upload

from loopctl.builders.built_elsewhere import RegistryImageBuilder
from loopctl.builders.by_origin import BuilderByOrigin
from loopctl.builders.context import context_of
from loopctl.builders.docker_image import DockerImageBuilder
from loopctl.engine.connection import Engine
from loopctl.engine.login import nobody
from loopctl.engine.push import push_image
from loopctl.model.artifact import Artifact, ContentProof
from loopctl.model.plan import BuildSpec, HealthSpec, RunSpec, ServiceSpec
from loopctl.ports.builder import BuilderGoneError, BuildError, NotAsNamedError, Noticed, Progress
from loopctl.process import Stop
from loopctl.redact import Redactor

HEAD = "c0ffee" + "0" * 34
DOCKERFILE = f"FROM {BASE}\nWORKDIR /app\nCOPY . .\nRUN echo made > /app/made\n"
APP: Mapping[str, str | tuple[str, int]] = {
    "Dockerfile": DOCKERFILE,
    "main.py": "print(1)\n",
    "start.sh": ("#!/bin/sh\n", 0o755),
    "lib/a.py": "a = 1\n",
}
REVISION = "org.opencontainers.image.revision"


@pytest.fixture(scope="module")
def images() -> Iterator[Images]:
    made = Images(real_engine())
    yield made
    made.remove()


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write(tmp_path / "app", APP)


def service(
    image: str,
    source: Path | None = None,
    provenance: Literal["content", "label", "none"] = "content",
    **build: object,
) -> ServiceSpec:
    spec = BuildSpec("docker", **build)  # type: ignore[arg-type]
    made = ServiceSpec("chat", spec, RunSpec(), HealthSpec(), source=source, image=image)
    return replace(made, provenance=provenance)


class Elsewhere:
    """Takes one image as BUILD would, and keeps what was told."""

    def __init__(self, folder: Path, spec: ServiceSpec, head: str | None = HEAD) -> None:
        self.spec = spec
        self.builder = RegistryImageBuilder(nobody, lambda _: head, Redactor({}))
        self.source = None if spec.source is None else source_of(spec.source)
        if self.source is not None:
            self.source = replace(self.source, commit=head)
        self.log = folder / "build" / "chat.log"
        self.told: list[Progress | Noticed] = []

    def build(self) -> Artifact:
        return self.builder.build(self.spec, self.source, self.log, self.told.append, Stop(60))

    def prove(self) -> ContentProof:
        return self.builder.prove(self.build(), self.source, self.spec, Stop(60))

    def problems(self) -> list[str]:
        return [str(each) for each in self.builder.check([self.spec], Stop(60))]


def pushed(images: Images, image: str) -> str:
    """An image of the engine's in the registry, by digest."""
    address = real_registry()
    repository = f"{address}/tests/elsewhere"
    digest = push_image(images.engine, image, repository, images.mark, Stop(60))
    images.made.append(f"{repository}:{images.mark}")
    return f"{repository}@{digest}"


def built(images: Images, folder: Path, **labels: str) -> str:
    """Pushed, and gone from the engine: only the registry has it."""
    context = context_of(source_of(folder), "Dockerfile")
    return pushed(images, images.build(context, labels=labels))


def test_an_image_of_the_source_is_proven_from_the_registry(
    images: Images, app: Path, tmp_path: Path
) -> None:
    name = built(images, app, **{REVISION: HEAD})
    taken = Elsewhere(tmp_path, service(name, app))
    assert taken.problems() == []
    artifact = taken.build()
    assert (artifact.location, artifact.digest) == (name, name.partition("@")[2])
    assert artifact.image_id == images.made[-2], "what the engine calls it"
    assert (artifact.roots, artifact.elsewhere, artifact.source_tree) == (("/app",), True, "")
    proof = taken.prove()
    assert proof.holds
    assert proof.of_source
    assert proof.image_tree == proof.source_tree
    assert (proof.compared, proof.extra) == (4, ("/app/made",))
    covered = " | ".join(proof.not_covered)
    assert f"the base image {BASE}, of which the registry of the image tells nothing" in covered
    assert "what step 4 (RUN echo made > /app/made) has made" in covered
    assert "1 file beside the copied ones: /app/made" in covered
    assert proof.elsewhere is not None
    assert (proof.elsewhere.revision, proof.elsewhere.head) == (HEAD, HEAD)
    assert "layer 1: sha256:" in taken.log.read_text()


def test_both_ways_to_read_an_image_say_the_same(images: Images, app: Path, tmp_path: Path) -> None:
    write(app, {"Dockerfile": f"{DOCKERFILE}RUN rm lib/a.py && chmod 600 main.py\n"})
    name = built(images, app)
    write(app, {"start.sh": ("#!/bin/sh\n# new\n", 0o755), "lib/b.py": "new"})
    by_registry = Elsewhere(tmp_path, service(name, app)).prove()
    by_engine = images.prove(name.partition("@")[2] and images.made[-2], app)
    for field in ("stale", "missing", "extra", "mode_differs", "undeclared", "image_tree"):
        assert getattr(by_registry, field) == getattr(by_engine, field), field
    assert by_registry.stale == ("start.sh",)
    assert by_registry.missing == ("lib/b.py",)
    assert [each.partition(":")[0] for each in by_registry.undeclared] == ["lib/a.py", "main.py"]
    assert not by_registry.holds


def test_a_stale_image_is_named_by_its_files(images: Images, app: Path, tmp_path: Path) -> None:
    write(app, {"old.py": "x"})
    name = built(images, app, **{REVISION: HEAD})
    write(app, {"main.py": "print(2)\n"})
    (app / "old.py").unlink()
    proof = Elsewhere(tmp_path, service(name, app)).prove()
    assert not proof.holds
    assert proof.broken
    assert proof.stale == (
        "main.py",
        "/app/old.py (not in the source, put there by step 3 (COPY . .))",
    )


def test_an_image_alone_is_proven_to_be_its_digests(
    images: Images, app: Path, tmp_path: Path
) -> None:
    name = built(images, app, **{REVISION: "beef"})
    proof = Elsewhere(tmp_path, service(name)).prove()
    assert proof.holds
    assert not proof.of_source
    assert (proof.source_tree, proof.image_tree, proof.compared) == ("", "", None)
    first, second = proof.not_covered
    assert first.startswith("that it was made from this commit")
    assert "the image itself names beef, which is not HEAD" in first
    assert second.startswith("files that change while it runs")


def test_no_engine_is_asked(app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = upload(image_of({"app/main.py": "1"}), real_registry())
    nowhere = Engine({"DOCKER_HOST": f"unix://{tmp_path}/nowhere.sock"})
    monkeypatch.setenv("DOCKER_HOST", nowhere.address)
    here = DockerImageBuilder(nowhere, "project", Redactor({}))
    elsewhere = RegistryImageBuilder(nobody, lambda _: HEAD, Redactor({}))
    builder = BuilderByOrigin(here, elsewhere)
    spec = service(name)
    assert builder.check([spec], Stop(10)) == []
    artifact = builder.build(spec, None, tmp_path / "x.log", lambda _: None, Stop(10))
    assert builder.prove(artifact, None, spec, Stop(10)).holds
    (problem,) = builder.check([replace(spec, image=None, source=app)], Stop(10))
    assert "no Docker engine answers" in str(problem)


#: What an image of `HAND` is said to have been made by.
HISTORY = ("WORKDIR /app", "COPY . . # buildkit")


def by_hand(folder: Path, *more: Mapping[str, str | bytes | tuple[str, int]]) -> Made:
    """An image of a folder whose Dockerfile is `FROM scratch`, as BuildKit would make it."""
    names = [each.path for each in source_of(folder).files]
    files = {f"app/{name}": (folder / name).read_text() for name in names}
    return image_of({"app/x": ""}, files, *more, history=HISTORY, workdir="/app")


@pytest.fixture
def hand(tmp_path: Path) -> Path:
    files = {"Dockerfile": "FROM scratch\nWORKDIR /app\nCOPY . .\n", "main.py": "1", "b.py": "2"}
    return write(tmp_path / "hand", files)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"app/main.py": "0"}, {"undeclared": 1}),
        ({"app/.wh.main.py": ""}, {"undeclared": 1}),
        ({"app/.wh..wh..opq": ""}, {"undeclared": 3}),
        ({".wh.app": ""}, {"undeclared": 3}),
        ({"app/main.py": ("1", 0o755)}, {"undeclared": 1}),
        ({"app/main.py": "-> b.py"}, {"undeclared": 1}),
    ],
)
def test_what_a_layer_above_does_to_a_file_is_seen(
    hand: Path,
    tmp_path: Path,
    more: Mapping[str, str | bytes | tuple[str, int]],
    named: Mapping[str, int],
) -> None:
    assert Elsewhere(tmp_path, service(upload(by_hand(hand), real_registry()), hand)).prove().holds
    name = upload(by_hand(hand, more), real_registry())
    proof = Elsewhere(tmp_path, service(name, hand)).prove()
    assert not proof.holds
    assert {field: len(getattr(proof, field)) for field in named} == named


def test_layers_without_compression_and_names_that_lead_out_are_read(
    hand: Path, tmp_path: Path
) -> None:
    made = image_of(
        {f"../../app/{path.name}": path.read_text() for path in hand.iterdir()}, compress=False
    )
    proof = Elsewhere(tmp_path, service(upload(made, real_registry()), hand)).prove()
    assert proof.holds, proof


def test_of_an_index_the_image_for_this_platform_is_read_and_the_index_is_deployed(
    hand: Path, tmp_path: Path
) -> None:
    arm, amd = image_of({"arm": "1"}), by_hand(hand)
    index = index_of({"linux/arm64": arm, "linux/amd64": amd, "unknown/unknown": arm})
    name = upload(index, real_registry())
    taken = Elsewhere(tmp_path, service(name, hand))
    artifact = taken.build()
    assert artifact.location == name
    assert artifact.digest == index.digest != amd.digest
    assert artifact.image_id in amd.blobs
    (notice,) = [each.text for each in taken.told if isinstance(each, Noticed)]
    assert f"the image for linux/amd64 in it is {amd.digest}, beside 1 other" in notice
    assert taken.prove().holds


def test_an_index_of_other_machines_is_a_problem_before_anything_is_done(tmp_path: Path) -> None:
    name = upload(index_of({"linux/arm64": image_of({"a": "1"})}), real_registry())
    (problem,) = Elsewhere(tmp_path, service(name)).problems()
    assert "chat: the index sha256:" in problem
    assert "has no image for linux/amd64: it has linux/arm64" in problem


def test_a_digest_that_the_registry_does_not_have_is_a_problem_with_a_way_out(
    tmp_path: Path,
) -> None:
    address = real_registry()
    taken = Elsewhere(tmp_path, service(f"{address}/tests/made@sha256:{'0' * 64}"))
    (problem,) = taken.problems()
    assert f"{address}/tests/made has no manifest sha256:000" in problem
    assert "no clean-up has removed the image" in problem
    with pytest.raises(BuilderGoneError, match="has no manifest"):
        taken.build()


def test_a_registry_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    (problem,) = Elsewhere(tmp_path, service(f"127.0.0.1:1/a/b@sha256:{'0' * 64}")).problems()
    assert "the registry 127.0.0.1:1 does not answer as it should: Connection refused" in problem


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    gone = service(f"127.0.0.1:1/a/b@sha256:{'0' * 64}")
    absent = service(f"{real_registry()}/tests/made@sha256:{'0' * 64}")
    builder = Elsewhere(tmp_path, gone).builder
    specs = [gone, replace(absent, name="other")]
    assert [each.where for each in builder.check(specs, Stop(20))] == ["chat", "other"]


def test_a_source_without_a_dockerfile_cannot_be_compared(hand: Path, tmp_path: Path) -> None:
    name = upload(by_hand(hand), real_registry())
    (hand / "Dockerfile").unlink()
    (problem,) = Elsewhere(tmp_path, service(name, hand)).problems()
    assert "set `source` to null" in problem
    with pytest.raises(BuildError, match="does not exist"):
        Elsewhere(tmp_path, service(name, hand)).prove()


def test_where_only_the_label_counts_no_layer_is_read(tmp_path: Path) -> None:
    made = image_of({"a": "1"}, labels={REVISION: HEAD})
    name = upload(made, real_registry())
    proof = Elsewhere(tmp_path, service(name, provenance="label")).prove()
    assert not proof.holds
    assert not proof.broken
    assert proof.elsewhere is not None
    assert (proof.elsewhere.revision, proof.elsewhere.looked_at) == (HEAD, "label")


def test_an_annotation_names_the_commit_as_well(tmp_path: Path) -> None:
    made = image_of({"a": "1"}, annotations={REVISION: HEAD})
    proof = Elsewhere(tmp_path, service(upload(made, real_registry()))).prove()
    assert "names " + HEAD + ", which is HEAD" in proof.not_covered[0]


def test_where_nothing_is_asked_for_nobody_is_asked(tmp_path: Path) -> None:
    spec = service(f"127.0.0.1:1/a/b@sha256:{'0' * 64}", provenance="none")
    taken = Elsewhere(tmp_path, spec)
    assert taken.problems() == []
    assert taken.build().image_id is None
    proof = taken.prove()
    assert (proof.holds, proof.broken) == (False, False)
    assert "its registry was not asked" in proof.not_covered[0]


def test_layers_that_engines_do_not_agree_upon_prove_nothing(hand: Path, tmp_path: Path) -> None:
    made = by_hand(hand, {"a": "-> app"}, {"a/main.py": "evil"})
    taken = Elsewhere(tmp_path, service(upload(made, real_registry()), hand))
    with pytest.raises(NotAsNamedError, match="depends on who unpacks it"):
        taken.prove()


@pytest.mark.slow
def test_both_ways_agree_on_what_shadows_a_file(images: Images, app: Path, tmp_path: Path) -> None:
    old = f"loopctl-test-{images.mark}:shadow"
    other = write(tmp_path / "other", {"Dockerfile": f"FROM {BASE}\nCOPY lib /app/main\n"})
    write(other, {"lib/__init__.py": ""})
    images.build(context_of(source_of(other), "Dockerfile"), tag=old)
    write(app, {"Dockerfile": f"FROM {old}\nWORKDIR /app\nCOPY . .\n"})
    name = built(images, app)
    by_engine = images.prove(images.made[-2], app)
    by_registry = Elsewhere(tmp_path, service(name, app)).prove()
    assert by_registry.stale == by_engine.stale != ()


def test_the_engine_reads_what_was_made_by_hand_as_it_is_read_here(hand: Path) -> None:
    """What our own images hold is what a real engine makes of them."""
    engine, name = real_engine(), upload(by_hand(hand, {"app/.wh.b.py": ""}), real_registry())
    run = {**os.environ, **engine.environ}
    subprocess.run(["docker", "pull", "-q", name], env=run, check=True, capture_output=True)
    try:
        made = subprocess.run(
            ["docker", "create", name, "x"], env=run, check=True, capture_output=True, text=True
        ).stdout.strip()
        listed = subprocess.run(
            f"docker export {made} | tar t", shell=True, env=run, check=True, capture_output=True
        ).stdout.decode()
        subprocess.run(["docker", "rm", made], env=run, check=True, capture_output=True)
    finally:
        subprocess.run(["docker", "rmi", name], env=run, check=True, capture_output=True)
    assert "app/main.py" in listed
    assert "app/b.py" not in listed
