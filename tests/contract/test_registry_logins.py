"""Who one is to a registry: docker's own word first, then what the environment's platform knows."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from engine_rig import BASE, real_engine
from registry_images import Asked, Made, answer, pretended
from registry_rig import USER, WORD, own_registry

from loopctl.builders.registry import RegistryPublisher
from loopctl.engine.connection import Engine
from loopctl.engine.errors import EngineError, EngineRefusedError
from loopctl.engine.images import find_image, pull_image, remove_image
from loopctl.engine.login import Login, LoginSource, nobody
from loopctl.engine.logins import docker_first, login_for
from loopctl.errors import PortError
from loopctl.model.artifact import Artifact, ArtifactKind
from loopctl.platforms.cloud_run.registry_login import GoogleLogins, is_googles
from loopctl.ports.platform import PlatformError
from loopctl.ports.publisher import PublishError
from loopctl.process import Stop
from loopctl.redact import Learned, Redactor, Secret

GOOGLE = "us-central1-docker.pkg.dev"


def somebody(host: str) -> Login:
    return Login(USER, Secret(f"login at {host}", WORD))


def configured(folder: Path, **auths: Mapping[str, str]) -> dict[str, str]:
    """The environment of a docker configuration that knows these."""
    (folder / "config.json").write_text(json.dumps({"auths": auths}))
    return {"DOCKER_CONFIG": str(folder)}


def auth(user: str, word: str) -> Mapping[str, str]:
    return {"auth": base64.b64encode(f"{user}:{word}".encode()).decode()}


def shown(engine: Engine, repository: str) -> Mapping[str, Any]:
    header = login_for(engine, repository)["X-Registry-Auth"]
    return dict(json.loads(base64.urlsafe_b64decode(header)))


def test_dockers_own_login_comes_before_the_platforms(tmp_path: Path) -> None:
    environ = configured(tmp_path, **{"r.test": auth("me", "mine")})
    engine = Engine(environ, somebody)
    assert shown(engine, "r.test/a/b")["username"] == "me"
    assert shown(engine, "other.test/a/b") == {
        "username": USER,
        "password": WORD,
        "serveraddress": "other.test",
    }
    assert shown(Engine(environ), "other.test/a/b") == {}


def test_the_same_is_so_where_no_engine_is(tmp_path: Path) -> None:
    environ = configured(
        tmp_path,
        **{
            "r.test": auth("me", "mine"),
            "https://index.docker.io/v1/": auth("hub", "mine"),
            "tokens.test": {"identitytoken": "refresh-me"},
            "empty.test": {},
        },
    )
    login = docker_first(environ, somebody)
    known = {host: login(host) for host in ("r.test", "docker.io", "tokens.test", "other.test")}
    assert {host: each.user for host, each in known.items() if each} == {
        "r.test": "me",
        "docker.io": "hub",
        "tokens.test": "",
        "other.test": USER,
    }
    assert known["tokens.test"] == Login("", Secret("x", "refresh-me"), is_refresh_token=True)
    assert docker_first(environ, nobody)("empty.test") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"auths": 5}', '{"credsStore": "nowhere"}'])
def test_a_configuration_that_is_no_use_knows_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert docker_first({"DOCKER_CONFIG": str(tmp_path)}, nobody)("r.test") is None


def fails(_: str) -> Login:
    raise PortError("there are no usable Google credentials", hint="log in")


def test_a_source_that_fails_is_an_error_of_the_engines_room(tmp_path: Path) -> None:
    engine = Engine(configured(tmp_path), fails)
    with pytest.raises(EngineError, match="no usable Google credentials") as raised:
        login_for(engine, "r.test/a")
    assert raised.value.hint == "log in"
    publisher = RegistryPublisher(engine, "r.test/apps", lambda prefix, stop: None)
    (problem,) = publisher.check(Stop(5))
    assert problem.hint == "log in"


@pytest.fixture
def artifact() -> Iterator[Artifact]:
    """A tiny image that no other test has."""
    engine, mark = real_engine(), str(time.monotonic_ns())
    with engine.api(Stop(30)) as api:
        made = api.create_container(BASE, ["true"], labels={"test": mark})["Id"]
        image = api.commit(made, "lc-test-login", mark, changes=[f"LABEL unique={mark}"])["Id"]
        api.remove_container(made)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    yield Artifact("chat", ArtifactKind.IMAGE, image, image, "sha256:" + "ab" * 32, at)
    found = find_image(engine, image, Stop(30))
    if found is not None:
        assert remove_image(engine, found, found.tags, Stop(30))


def test_a_registry_that_wants_a_login_is_pushed_to_and_pulled_from_with_the_platforms(
    artifact: Artifact, tmp_path: Path
) -> None:
    environ = configured(tmp_path)

    def publisher(login: LoginSource) -> RegistryPublisher:
        engine = Engine({**real_engine().environ, **environ}, login)
        return RegistryPublisher(engine, f"{registry.address}/apps", lambda prefix, stop: None)

    with own_registry(wants_login=True) as registry:
        with pytest.raises(PublishError, match="did not take the image") as raised:
            publisher(nobody).publish(artifact, Stop(60))
        assert "docker login" in str(raised.value)
        pushed = publisher(somebody).publish(artifact, Stop(60))
        assert pushed.location == f"{registry.address}/apps/chat@{pushed.digest}"
        subprocess.run(["docker", "rmi", pushed.location], check=True, capture_output=True)
        anonymous = Engine({**real_engine().environ, **environ})
        with pytest.raises(EngineRefusedError):
            pull_image(anonymous, pushed.location, Stop(60))
        known = Engine({**real_engine().environ, **environ}, somebody)
        pull_image(known, pushed.location, Stop(60))
        found = find_image(known, pushed.location, Stop(10))
        assert found is not None
        assert found.id == artifact.digest


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (GOOGLE, True),
        ("gcr.io", True),
        ("eu.gcr.io", True),
        ("EU.GCR.IO:443", True),
        ("gcr.io:444", False),
        ("evilgcr.io", False),
        ("gcr.io.evil.test", False),
        ("pkg.dev", False),
        ("evilpkg.dev", False),
        ("docker.io", False),
        ("127.0.0.1:5000", False),
    ],
)
def test_googles_registries_are_known_by_their_whole_names(host: str, expected: bool) -> None:
    assert is_googles(host) is expected


class Tokens:
    """Where Google gives access tokens, each good for so many seconds."""

    def __init__(self) -> None:
        self.lasts_s = 3600
        self.given = 0
        self.status = 200

    def __call__(self, handler: BaseHTTPRequestHandler, _: Asked) -> bool:
        self.given += 1
        told = {"access_token": f"token-{self.given}", "expires_in": self.lasts_s}
        if self.status != 200:
            told = {"error": "invalid_grant", "error_description": "account is gone"}
        return answer(handler, self.status, json.dumps(told).encode())


@pytest.fixture
def google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tokens]:
    """Application Default Credentials of a service account, and where it gets its tokens."""
    tokens = Tokens()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    with pretended(Made(""), tokens) as server:
        account = {
            "type": "service_account",
            "client_email": "me@project.test",
            "private_key": text.decode(),
            "token_uri": f"http://{server.address}/token",
        }
        file = tmp_path / "account.json"
        file.write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        yield tokens


def test_at_googles_registries_one_is_who_one_is_to_its_apis(google: Tokens) -> None:
    login = GoogleLogins(None, Learned().learn)
    assert login("ghcr.io") is None
    assert google.given == 0, "nothing is asked for other registries"
    assert login(GOOGLE) == Login(USER, Secret("x", "token-1"), narrow=True)
    assert login("gcr.io") == login(GOOGLE)
    assert google.given == 1, "a token is good for all of them, until it ends"


def test_a_token_that_ends_soon_is_renewed(google: Tokens) -> None:
    learned = Learned()
    login, redactor = GoogleLogins(None, learned.learn), Redactor({}, (), learned)
    google.lasts_s = 60
    login(GOOGLE)
    google.lasts_s = 3600
    found = login(GOOGLE)
    assert found is not None
    assert found.password.reveal() == "token-2"
    assert "token-2" not in repr(found)
    assert redactor.text("it was token-2, and token-1") == (
        "it was [redacted:access-token], and [redacted:access-token]"
    )


def test_credentials_that_are_refused_are_told_with_what_to_do(google: Tokens) -> None:
    google.status = 400
    with pytest.raises(PlatformError, match="account is gone") as raised:
        GoogleLogins(None, Learned().learn)(GOOGLE)
    assert raised.value.hint == "gcloud auth application-default login"


def test_without_credentials_it_is_said_how_to_get_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nothing.json"))
    login = GoogleLogins(None, Learned().learn)
    assert login("docker.io") is None
    with pytest.raises(PlatformError, match="no usable Google credentials") as raised:
        login(GOOGLE)
    assert raised.value.hint == "gcloud auth application-default login"
