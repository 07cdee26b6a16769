"""One image of a registry: its documents, and its layers, each read by its digest."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from loopctl.builders.image_reader import ImageReader
from loopctl.builders.layer_stream import Budget, opened_layer, packed, unpacked
from loopctl.builders.layered_files import LayeredFiles
from loopctl.builders.registry_client import RegistryClient
from loopctl.builders.registry_errors import UnreadableError
from loopctl.builders.registry_manifest import (
    ACCEPTED,
    MOST_CONFIG,
    MOST_MANIFEST,
    Choice,
    Manifest,
    diff_ids,
    facts_of,
    history,
    read_config,
    read_manifest,
    verified,
)
from loopctl.builders.registry_reference import Reference
from loopctl.engine.entries import Facts
from loopctl.engine.layer_tar import Layer, Layers, history_of, read_layer
from loopctl.process import Stop

#: The label and annotation by which an image names the commit that it was made from.
REVISION: Final = "org.opencontainers.image.revision"


@dataclass(frozen=True, slots=True)
class RegistryImage:
    """An image as its registry has it, every document of the digest that names it.

    `choice` is what an index had for linux/amd64, None where the digest names the image itself.
    """

    reference: Reference
    manifest: Manifest
    config: Mapping[str, Any]
    choice: Choice | None

    @property
    def facts(self) -> Facts:
        """What its configuration says."""
        return facts_of(self.config, self.manifest, self.reference.location)

    @property
    def revision(self) -> str | None:
        """The commit that the image names itself, by its label or an annotation."""
        above = self.choice.annotations if self.choice is not None else {}
        for said in (self.facts.labels, self.manifest.annotations, above):
            if said.get(REVISION):
                return said[REVISION]
        return None


def find_image(client: RegistryClient, reference: Reference, stop: Stop) -> Manifest | Choice:
    """What the digest names. Raises `RegistryError`, `Stopped`."""
    return _manifest(client, reference.digest, reference, stop)


def read_image(client: RegistryClient, reference: Reference, stop: Stop) -> RegistryImage:
    """Its documents. Raises `RegistryError`, `Stopped`."""
    found = find_image(client, reference, stop)
    choice = found if isinstance(found, Choice) else None
    manifest = found
    if isinstance(manifest, Choice):
        manifest = _manifest(client, manifest.digest, reference, stop)
        if isinstance(manifest, Choice):
            raise UnreadableError(f"the index {reference.digest} names another index")
    digest = manifest.config.digest
    body = client.document(f"blobs/{digest}", "*/*", MOST_CONFIG, stop)
    config = read_config(verified(body, digest, "the configuration"), manifest)
    return RegistryImage(reference, manifest, config, choice)


def _manifest(
    client: RegistryClient, digest: str, reference: Reference, stop: Stop
) -> Manifest | Choice:
    body = client.document(f"manifests/{digest}", ACCEPTED, MOST_MANIFEST, stop)
    return read_manifest(verified(body, digest, f"the manifest of {reference.repository}"), digest)


class RegistryImages(ImageReader):
    """One image by its registry's layers, which are fetched once. For one thread.

    Everything raises `RegistryError`, `Stopped`.
    """

    without = "of which the registry of the image tells nothing"

    def __init__(self, client: RegistryClient, image: RegistryImage) -> None:
        self._client = client
        self._image = image
        self._read: Layers | None = None

    def facts(self, image: str, stop: Stop) -> Facts | None:
        """Of this image; no other is known."""
        stop.remaining(0)
        return self._image.facts if image == self._image.manifest.config.digest else None

    @contextlib.contextmanager
    def contents(self, image: str, stop: Stop) -> Iterator[LayeredFiles]:
        """All of its layers, put together."""
        assert image == self._image.manifest.config.digest
        yield LayeredFiles(self._layers(stop).layers)

    def layers(self, image: str, names: frozenset[str], stop: Stop) -> Layers:
        """All that they have; `names` are among that."""
        assert image == self._image.manifest.config.digest
        return self._layers(stop)

    def verify(self, stop: Stop) -> None:
        """Fetch all layers and keep nothing: every byte is the digest's when this returns."""
        budget = Budget()
        for number in range(len(self._image.manifest.layers)):
            self._client.tried(functools.partial(self._check, number, budget, stop), stop)

    def _layers(self, stop: Stop) -> Layers:
        if self._read is not None:
            return self._read
        budget, read = Budget(), list[Layer]()
        for number in range(len(self._image.manifest.layers)):
            fetch = functools.partial(self._fetch, number, budget, stop)
            read.append(self._client.tried(fetch, stop))
        found = Layers(tuple(read), history_of(history(self._image.config), len(read)))
        self._read = found
        return found

    def _check(self, number: int, budget: Budget, stop: Stop) -> None:
        with self._unpacked(number, budget, stop) as pieces:
            for _ in pieces:
                pass

    def _fetch(self, number: int, budget: Budget, stop: Stop) -> Layer:
        blob = self._image.manifest.layers[number]
        with (
            self._unpacked(number, budget, stop) as pieces,
            opened_layer(pieces, blob, budget) as archive,
        ):
            return read_layer(archive, None)

    @contextlib.contextmanager
    def _unpacked(self, number: int, budget: Budget, stop: Stop) -> Iterator[Iterator[bytes]]:
        blob, diff_id = self._image.manifest.layers[number], diff_ids(self._image.config)[number]
        with self._client.blob(blob.digest, stop) as pieces:
            yield unpacked(packed(pieces, blob), blob, diff_id, budget)
