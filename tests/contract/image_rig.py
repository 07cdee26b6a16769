"""Builds Dockerfiles for real, from contexts of our own, and looks at what came of them."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loopctl.builders.context import Context, context_of
from loopctl.builders.engine_images import EngineImages
from loopctl.builders.image_shelf import TREE_LABEL
from loopctl.builders.provenance import prove_image
from loopctl.engine.connection import Engine
from loopctl.evidence.blobs import read_tree, tree_digest
from loopctl.model.artifact import ContentProof, SourceTree
from loopctl.model.plan import BuildSpec, HealthSpec, RunSpec, ServiceSpec
from loopctl.process import Stop

#: Marks all that these tests make in the engine.
MARK = "dev.loopctl.test.provenance"
BUILDKIT = "2"
LEGACY = "1"


def source_of(folder: Path) -> SourceTree:
    files = read_tree(folder)
    return SourceTree(folder, files, tree_digest(files))


def write(folder: Path, files: Mapping[str, str | bytes | tuple[str, int]]) -> Path:
    """Content by path; a text that begins with `-> ` is a link, a tuple has a mode."""
    for path, given in files.items():
        content, mode = given if isinstance(given, tuple) else (given, 0o644)
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str) and content.startswith("-> "):
            place.unlink(missing_ok=True)
            place.symlink_to(content[3:])
            continue
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        place.chmod(mode)
    return folder


def service(**build: Any) -> ServiceSpec:
    return ServiceSpec("chat", BuildSpec("docker", **build), RunSpec(), HealthSpec())


@dataclass
class Images:
    """Makes images and forgets none of them."""

    engine: Engine
    made: list[str] = field(default_factory=list)
    mark: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    def build(
        self,
        context: Context | bytes,
        *,
        version: str = BUILDKIT,
        labels: Mapping[str, str] | None = None,
        tag: str | None = None,
        **parameters: str,
    ) -> str:
        chunks = iter([context]) if isinstance(context, bytes) else context.chunks()
        name = "Dockerfile" if isinstance(context, bytes) else context.dockerfile
        asked = {
            "nocache": "1",
            "rm": "1",
            "forcerm": "1",
            "version": version,
            "dockerfile": name,
            "labels": json.dumps({MARK: self.mark, **(labels or {})}),
            **({"t": tag} if tag else {}),
            **parameters,
        }
        with self.engine.api(Stop(300), 300) as api:
            answer = api.post(
                f"{api.base_url}/v{api.api_version}/build",
                params=asked,
                data=chunks,
                headers={"Content-Type": "application/x-tar"},
                stream=True,
            )
            told = [json.loads(line) for line in answer.iter_lines() if line]
        failed = [each["error"] for each in told if "error" in each]
        assert not failed, (failed, [each for each in told if "stream" in each])
        image = next(
            str(each["aux"]["ID"])
            for each in reversed(told)
            if isinstance(each.get("aux"), dict) and "ID" in each["aux"]
        )
        self.made.append(tag or image)
        return image

    def commit(self, image: str, command: str) -> str:
        """What the image becomes by a command that no Dockerfile has."""
        with self.engine.api(Stop(60), 60) as api:
            container = api.create_container(image, ["sh", "-ec", command], user="0")["Id"]
            try:
                api.start(container)
                assert api.wait(container)["StatusCode"] == 0
                made = str(api.commit(container)["Id"])
            finally:
                api.remove_container(container, v=True, force=True)
        self.made.append(made)
        return made

    def holds(self, image: str) -> Mapping[str, tuple[int, bytes | str]]:
        """Every file and link of an image: its mode, and its content or where it points."""
        with self.engine.api(Stop(60), 60) as api:
            container = api.create_container(image, ["never"])["Id"]
            try:
                content = io.BytesIO(b"".join(api.export(container)))
            finally:
                api.remove_container(container, v=True, force=True)
        found: dict[str, tuple[int, bytes | str]] = {}
        with tarfile.open(fileobj=content, errors="surrogateescape") as archive:
            for member in archive:
                path = "/" + member.name
                if member.issym():
                    found[path] = (0, member.linkname)
                elif member.isreg() or member.islnk():
                    inside = archive.extractfile(member)
                    assert inside is not None
                    found[path] = (member.mode & 0o7777, inside.read())
        return found

    def prove(self, image: str, folder: Path, **build: Any) -> ContentProof:
        source = source_of(folder)
        context = context_of(source, build.get("dockerfile", "Dockerfile"))
        spec = service(**build)
        return prove_image(
            EngineImages(self.engine), image, source, context, context.text, spec, Stop(120)
        )

    def labelled(self, folder: Path) -> Mapping[str, str]:
        return {TREE_LABEL: source_of(folder).digest}

    def remove(self) -> None:
        with self.engine.api(Stop(60), 60) as api:
            for image in reversed(self.made):
                with contextlib.suppress(Exception):
                    api.remove_image(image, force=True)

    def containers(self) -> list[str]:
        """Containers that were made to read content, and still are there."""
        with self.engine.api(Stop(60), 60) as api:
            images = {each["Id"] for each in api.images(filters={"label": f"{MARK}={self.mark}"})}
            listed = api.containers(all=True, filters={"label": "dev.loopctl.reading"})
            return [each["Id"] for each in listed if each["ImageID"] in images]
