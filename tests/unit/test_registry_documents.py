"""What a registry's documents, names and challenges are read as."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest

from loopctl.builders.registry_challenge import Challenge, basic, challenges, refused_realm
from loopctl.builders.registry_errors import NotAsNamedError, UnreadableError
from loopctl.builders.registry_manifest import (
    Choice,
    Manifest,
    facts_of,
    read_config,
    read_manifest,
    verified,
)
from loopctl.builders.registry_reference import reference_of
from loopctl.engine.login import Login
from loopctl.engine.registry import is_loopback
from loopctl.redact import Secret

OCI = "application/vnd.oci.image"
DIGEST = f"sha256:{'ab' * 32}"
OTHER = f"sha256:{'cd' * 32}"


def blob(digest: str = DIGEST, size: int = 1, **more: Any) -> dict[str, Any]:
    return {"mediaType": f"{OCI}.layer.v1.tar+gzip", "digest": digest, "size": size, **more}


def manifest(**changes: Any) -> bytes:
    told = {"schemaVersion": 2, "config": blob(), "layers": [blob(OTHER)], **changes}
    return json.dumps({k: v for k, v in told.items() if v is not None}).encode()


def index(*platforms: str, **changes: Any) -> bytes:
    entries = []
    for number, platform in enumerate(platforms):
        system, _, machine = platform.partition("/")
        place = {"os": system, "architecture": machine}
        digest = f"sha256:{hashlib.sha256(str(number).encode()).hexdigest()}"
        entries.append({"digest": digest, "size": 1, "platform": place})
    return json.dumps(
        {"mediaType": f"{OCI}.index.v1+json", "manifests": entries, **changes}
    ).encode()


@pytest.mark.parametrize(
    ("image", "root", "location"),
    [
        ("127.0.0.1:5000/a/b", "http://127.0.0.1:5000/v2/a/b", "127.0.0.1:5000/a/b"),
        ("localhost/a", "http://localhost/v2/a", "localhost/a"),
        ("[::1]:5000/a", "http://[::1]:5000/v2/a", "[::1]:5000/a"),
        ("ghcr.io/o/n:v1", "https://ghcr.io/v2/o/n", "ghcr.io/o/n"),
        ("r.test:443/o/n:v1", "https://r.test:443/v2/o/n", "r.test:443/o/n"),
        ("redis", "https://registry-1.docker.io/v2/library/redis", "docker.io/library/redis"),
        ("me/app:v1", "https://registry-1.docker.io/v2/me/app", "docker.io/me/app"),
        ("docker.io/a/b", "https://registry-1.docker.io/v2/a/b", "docker.io/a/b"),
        ("127.evil.test/a", "https://127.evil.test/v2/a", "127.evil.test/a"),
        ("localhost.evil.test/a", "https://localhost.evil.test/v2/a", "localhost.evil.test/a"),
    ],
)
def test_an_image_is_named_as_docker_names_it(image: str, root: str, location: str) -> None:
    found = reference_of(f"{image}@{DIGEST}")
    assert (found.root, found.location) == (root, f"{location}@{DIGEST}")


def test_only_this_machine_is_this_machine() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9:5000", "localhost:1", "[::1]:5000")))
    assert not any(map(is_loopback, ("127.evil.test", "localhost.test", "10.0.0.1", "", "a b:x")))


def test_a_document_is_what_its_digest_names() -> None:
    body = b"{}"
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    assert verified(body, digest, "it") == body
    with pytest.raises(NotAsNamedError, match=f"it is not {DIGEST}: what the registry gives is "):
        verified(body, DIGEST, "it")


@pytest.mark.parametrize("media_type", [None, f"{OCI}.manifest.v1+json"])
def test_an_image_has_a_configuration_and_layers(media_type: str | None) -> None:
    found = read_manifest(manifest(mediaType=media_type, annotations={"a": "b"}), DIGEST)
    assert isinstance(found, Manifest)
    assert (found.config.digest, [each.digest for each in found.layers]) == (DIGEST, [OTHER])
    assert found.annotations == {"a": "b"}


@pytest.mark.parametrize(
    "media_type", [None, "application/vnd.docker.distribution.manifest.list.v2+json"]
)
def test_of_an_index_linux_amd64_is_chosen_and_attestations_are_no_images(
    media_type: str | None,
) -> None:
    body = index("linux/arm64", "linux/amd64", "unknown/unknown", "linux/amd64")
    told = json.loads(body)
    told["mediaType"] = media_type
    body = json.dumps({k: v for k, v in told.items() if v is not None}).encode()
    found = read_manifest(body, DIGEST)
    assert found == Choice(f"sha256:{hashlib.sha256(b'1').hexdigest()}", 2, {})


def test_an_index_without_linux_amd64_says_what_it_has() -> None:
    with pytest.raises(UnreadableError, match="for linux/amd64: it has linux/arm64, windows/amd64"):
        read_manifest(index("linux/arm64", "windows/amd64"), DIGEST)
    with pytest.raises(UnreadableError, match="it has none"):
        read_manifest(index(), DIGEST)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", "no JSON object"),
        (b"[" * 100_000, "no JSON object"),
        (b"\xff\xfe", "no JSON object"),
        (b"{}", "no image that can be read"),
        (b'{"schemaVersion": 1, "fsLayers": []}', "schema 1"),
        (manifest(mediaType="application/vnd.cncf.helm.config"), "helm"),
        (manifest(layers=[{"digest": "../../etc", "size": 1}]), "a layer is named"),
        (manifest(layers=[blob(size=-1)]), "a layer is named"),
        (manifest(layers=[blob(size="9")]), "a layer is named"),  # type: ignore[arg-type]
        (manifest(layers=[blob(urls=["http://elsewhere"])]), "to be had elsewhere"),
        (manifest(layers=[blob()] * 600), "600 layers"),
        (manifest(config=None), "no image that can be read"),
    ],
)
def test_what_is_no_image_is_refused_in_words(body: bytes, said: str) -> None:
    with pytest.raises(UnreadableError, match=said):
        read_manifest(body, DIGEST)


def config(**changes: Any) -> Mapping[str, Any]:
    return {
        "os": "linux",
        "architecture": "amd64",
        "config": {"Env": ["A=b=c"], "WorkingDir": "/app", "Labels": {"x": "y"}},
        "rootfs": {"type": "layers", "diff_ids": [OTHER]},
        "history": [{"created": "2026-01-01T00:00:00.123456789Z", "created_by": "COPY . ."}],
        **changes,
    }


def test_the_configuration_tells_what_an_engine_would() -> None:
    found = read_manifest(manifest(), DIGEST)
    assert isinstance(found, Manifest)
    told = read_config(json.dumps(config()).encode(), found)
    facts = facts_of(told, found, "r.test/a@x")
    assert (facts.id, facts.env, facts.workdir) == (DIGEST, {"A": "b=c"}, "/app")
    assert (facts.layers, facts.platform) == ((OTHER,), "linux/amd64")
    assert (facts.labels, facts.times) == ({"x": "y"}, (1767225600,))


@pytest.mark.parametrize("ids", [[], [OTHER, OTHER], ["nonsense"], "x"])
def test_a_configuration_of_other_layers_is_refused(ids: object) -> None:
    found = read_manifest(manifest(), DIGEST)
    assert isinstance(found, Manifest)
    with pytest.raises(UnreadableError, match=r"names . layers, the manifest 1"):
        read_config(json.dumps(config(rootfs={"diff_ids": ids})).encode(), found)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            'Bearer realm="https://auth.test/token",service="r.test",scope="repository:a/b:pull,push"',
            [Challenge("bearer", "https://auth.test/token", "r.test", "repository:a/b:pull,push")],
        ),
        ('Basic realm="a \\"b\\""', [Challenge("basic", 'a "b"')]),
        ("basic", [Challenge("basic")]),
        (
            'Negotiate, Bearer realm="https://a/t"',
            [Challenge("negotiate"), Challenge("bearer", "https://a/t")],
        ),
        (
            'Bearer realm=https://a/t , service=x, Basic realm="r"',
            [Challenge("bearer", "https://a/t", "x"), Challenge("basic", "r")],
        ),
        ("=,=", []),
        ("", []),
    ],
)
def test_challenges_are_read(header: str, expected: list[Challenge]) -> None:
    assert list(challenges([header])) == expected


def test_a_login_is_shown_as_basic_and_nowhere_else() -> None:
    login = Login("me", Secret("login", "päss:wörd"))
    assert basic(login) == "Basic bWU6cMOkc3M6d8O2cmQ="
    assert "wörd" not in repr(login)


@pytest.mark.parametrize(
    ("realm", "plain", "narrow", "allowed"),
    [
        ("https://auth.test/token", False, False, True),
        ("http://auth.test/token", False, False, False),
        ("http://127.0.0.1:1/token", True, False, True),
        ("https://user:x@auth.test/token", False, False, False),
        ("file:///etc/passwd", True, False, False),
        ("token", False, False, False),
        ("https://[::1", False, False, False),
        ("https://r.test/token", False, True, True),
        ("https://R.test/token", False, True, True),
        ("https://auth.test/token", False, True, False),
        ("https://r.test:444/token", False, True, False),
        ("https://r.test.evil.test/token", False, True, False),
    ],
)
def test_where_a_token_may_be_had(realm: str, plain: bool, narrow: bool, allowed: bool) -> None:
    login = Login("me", Secret("login", "word"), narrow=narrow)
    assert (refused_realm(realm, "r.test", plain=plain, login=login) is None) is allowed
