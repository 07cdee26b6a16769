"""What a registry may do to who reads it: lie, hang, flood, ask for logins, send elsewhere."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import threading
import time
import tracemalloc
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from raw_server import raw_server
from registry_images import Answer, Asked, Made, answer, image_of, pretended, sha

from loopctl.builders import registry_client
from loopctl.builders.built_elsewhere import RegistryImageBuilder
from loopctl.builders.registry_client import RegistryClient
from loopctl.builders.registry_errors import (
    RegistryError,
    RegistryGoneError,
    RegistryRefusedError,
)
from loopctl.builders.registry_image import RegistryImages, read_image
from loopctl.builders.registry_reference import Reference, reference_of
from loopctl.engine.login import Login, LoginSource, nobody
from loopctl.errors import PortError, Stopped
from loopctl.model.plan import BuildSpec, HealthSpec, RunSpec, ServiceSpec
from loopctl.ports.builder import BuilderGoneError, NotAsNamedError
from loopctl.process import Stop
from loopctl.redact import Redactor, Secret

WORD = "s3cret-word-of-a-login"
IMAGE = image_of({"app/main.py": "print(1)\n"})
(LAYER,) = (d for d, data in IMAGE.blobs.items() if data[:2] == b"\x1f\x8b")
(CONFIG,) = (d for d, data in IMAGE.blobs.items() if data[:1] == b"{")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other at once."""
    monkeypatch.setattr(registry_client, "_WAIT_S", 0.01)


def me(host: str) -> Login:
    return Login("me", Secret(f"login at {host}", WORD))


def spec_of(name: str) -> ServiceSpec:
    return ServiceSpec("chat", BuildSpec("docker"), RunSpec(), HealthSpec(), image=name)


def take(name: str, folder: Path, login: LoginSource = nobody, stop: Stop | None = None) -> None:
    """Build and prove, as BUILD does."""
    builder = RegistryImageBuilder(login, lambda _: None, Redactor({}))
    spec, stop = spec_of(name), stop or Stop(30)
    artifact = builder.build(spec, None, folder / "chat.log", lambda _: None, stop)
    assert builder.prove(artifact, None, spec, stop).holds


def only(part: str, do: Callable[[BaseHTTPRequestHandler, Asked], bool]) -> Answer:
    """Does it for paths that have that in them."""
    return lambda handler, asked: part in asked.path and do(handler, asked)


def gives(body: bytes) -> Callable[[BaseHTTPRequestHandler, Asked], bool]:
    return lambda handler, _: answer(handler, 200, body)


def test_a_true_registry_is_believed(tmp_path: Path) -> None:
    with pretended(IMAGE) as registry:
        take(registry.name, tmp_path)
        assert all("Authorization" not in each.headers for each in registry.asked)


OTHER = image_of({"app/main.py": "print('old')\n"})


@pytest.mark.parametrize(
    ("part", "body", "said"),
    [
        ("manifests/", OTHER.manifests[OTHER.digest], "the manifest of tests/made is not sha256:"),
        (CONFIG, b'{"rootfs": {"diff_ids": []}}', "the configuration is not sha256:"),
        (LAYER, gzip.compress(b"other", mtime=0), "the layer is not sha256:"),
        (LAYER, IMAGE.blobs[LAYER][:-1] + b"x", "the layer is not sha256:|cannot be unpacked"),
        (LAYER, IMAGE.blobs[LAYER] + b"more", "does not end after"),
        (LAYER, b"", "bytes are missing"),
    ],
)
def test_wrong_bytes_are_told_whatever_they_are_of(
    tmp_path: Path, part: str, body: bytes, said: str
) -> None:
    with (
        pretended(IMAGE, only(part, gives(body))) as registry,
        pytest.raises(NotAsNamedError, match=said),
    ):
        take(registry.name, tmp_path)


def test_a_lie_is_no_problem_of_preflight_but_what_breaks_the_chain(tmp_path: Path) -> None:
    with pretended(IMAGE, only("manifests/", gives(b"{}"))) as registry:
        builder = RegistryImageBuilder(nobody, lambda _: None, Redactor({}))
        assert builder.check([spec_of(registry.name)], Stop(10)) == []


def test_a_layer_that_unpacks_to_something_else_than_the_configuration_says(
    tmp_path: Path,
) -> None:
    other, body = gzip.compress(b"other"), json.loads(IMAGE.manifests[IMAGE.digest])
    body["layers"][0].update(digest=sha(other), size=len(other))
    data = json.dumps(body).encode()
    made = Made(sha(data), {sha(data): data}, {**IMAGE.blobs, sha(other): other})
    with (
        pretended(made) as registry,
        pytest.raises(NotAsNamedError, match=r"unpacks to .*, not to"),
    ):
        take(registry.name, tmp_path)


def endless(handler: BaseHTTPRequestHandler, _: Asked) -> bool:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(bytes(65536))
    except OSError:
        return True


@pytest.mark.parametrize(
    ("part", "raises", "said"),
    [
        ("manifests/", BuilderGoneError, "manifests of .* is larger than 4096 KiB"),
        (CONFIG, BuilderGoneError, "is larger than 16384 KiB"),
        (LAYER, NotAsNamedError, "does not end after|no tar"),
    ],
)
def test_an_endless_answer_is_cut_off_in_bounded_memory(
    tmp_path: Path, part: str, raises: type[PortError], said: str
) -> None:
    tracemalloc.start()
    try:
        with pretended(IMAGE, only(part, endless)) as registry, pytest.raises(raises, match=said):
            take(registry.name, tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_passes_is_asked_again(tmp_path: Path, status: int) -> None:
    seen: dict[str, int] = {}

    def twice(handler: BaseHTTPRequestHandler, asked: Asked) -> bool:
        seen[asked.path] = seen.get(asked.path, 0) + 1
        return seen[asked.path] < 3 and answer(handler, status, Retry_After="0")

    with pretended(IMAGE, twice) as registry:
        take(registry.name, tmp_path)


def test_what_does_not_pass_ends_after_four_tries(tmp_path: Path) -> None:
    with pretended(IMAGE, lambda h, _: answer(h, 503)) as registry:
        with pytest.raises(BuilderGoneError, match="does not answer as it should: it answers 503"):
            take(registry.name, tmp_path)
        assert len(registry.asked) == 4


def test_a_registry_says_for_how_long_to_wait(tmp_path: Path) -> None:
    once = threading.Event()

    def busy(handler: BaseHTTPRequestHandler, _: Asked) -> bool:
        if once.is_set():
            return False
        once.set()
        return answer(handler, 429, Retry_After="1")

    began = time.monotonic()
    with pretended(IMAGE, busy) as registry:
        take(registry.name, tmp_path)
    assert 1.0 <= time.monotonic() - began < 5


def test_a_layer_that_breaks_off_on_the_way_is_fetched_anew(tmp_path: Path) -> None:
    broken = threading.Event()

    def breaks(handler: BaseHTTPRequestHandler, _: Asked) -> bool:
        if broken.is_set():
            return False
        broken.set()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(IMAGE.blobs[LAYER])))
        handler.end_headers()
        handler.wfile.write(IMAGE.blobs[LAYER][:20])
        handler.close_connection = True
        return True

    with pretended(IMAGE, only(LAYER, breaks)) as registry:
        take(registry.name, tmp_path)


@pytest.mark.parametrize(("status", "raises"), [(403, "may not be read"), (404, "has no blob")])
def test_a_refusal_is_quoted_and_not_repeated(tmp_path: Path, status: int, raises: str) -> None:
    body = json.dumps({"errors": [{"code": "DENIED", "message": "go \x1b[31maway"}]}).encode()
    with pretended(IMAGE, only(LAYER, lambda h, _: answer(h, status, body))) as registry:
        with pytest.raises(BuilderGoneError, match=raises) as raised:
            take(registry.name, tmp_path)
        assert "DENIED: go \\x1b[31maway" in str(raised.value)
        assert sum(LAYER in each.path for each in registry.asked) == 1


def test_a_registry_that_hangs_is_left_the_moment_that_somebody_stops(tmp_path: Path) -> None:
    over = threading.Event()

    def hangs(_: object) -> None:
        over.wait(20)

    with raw_server(hangs) as port:
        stop = Stop(60)
        timer = threading.Timer(0.4, stop.stop, ["SIGINT"])
        timer.start()
        began = time.monotonic()
        with pytest.raises(Stopped):
            take(f"127.0.0.1:{port}/a@{IMAGE.digest}", tmp_path, stop=stop)
        assert time.monotonic() - began < 3
        timer.join()
        over.set()


def test_a_registry_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_client, "_DOCUMENT_S", 0.2)
    over = threading.Event()

    def trickle(connection: object) -> None:
        while not over.wait(0.05):
            connection.sendall(b"H")  # type: ignore[attr-defined]

    with raw_server(trickle) as port:
        began = time.monotonic()
        with pytest.raises(BuilderGoneError, match="it took too long"):
            take(f"127.0.0.1:{port}/a@{IMAGE.digest}", tmp_path)
        assert time.monotonic() - began < 5
        over.set()


def test_what_is_no_http_is_no_registry(tmp_path: Path) -> None:
    with (
        raw_server(lambda connection: connection.sendall(b"SSH-2.0-x\r\n")) as port,
        pytest.raises(BuilderGoneError, match="does not answer as it should"),
    ):
        take(f"127.0.0.1:{port}/a@{IMAGE.digest}", tmp_path)


def test_a_bomb_ends_at_its_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loopctl.builders.layer_stream.MOST_UNPACKED", 8 << 20)
    monkeypatch.setattr(
        "loopctl.builders.layer_stream.Budget.__init__.__defaults__", (8 << 20, 1000)
    )
    made = image_of(bytes(32 << 20))
    with pretended(made) as registry, pytest.raises(NotAsNamedError, match="more than 8 MiB"):
        take(registry.name, tmp_path)


# Logins. A registry of this machine is anonymous, so that these speak with one that is taken for
# another: by the client itself, told that it is not on this machine.


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes 127.0.0.1 for a registry elsewhere; its addresses stay plain, all others are https."""
    monkeypatch.setattr(registry_client, "is_loopback", lambda _: False)


def client(name: str, login: LoginSource) -> tuple[RegistryClient, Reference]:
    reference = reference_of(name)
    return RegistryClient(reference, login), reference


def read(name: str, login: LoginSource) -> None:
    found, reference = client(name, login)
    image = read_image(found, reference, Stop(20))
    RegistryImages(found, image).verify(Stop(20))


def wants_basic(handler: BaseHTTPRequestHandler, asked: Asked) -> bool:
    shown = base64.b64encode(f"me:{WORD}".encode()).decode()
    if asked.headers.get("Authorization") == f"Basic {shown}":
        return False
    return answer(handler, 401, WWW_Authenticate='Basic realm="x"')


@pytest.mark.usefixtures("far")
def test_a_registry_that_asks_is_shown_the_login() -> None:
    with pretended(IMAGE, wants_basic) as registry:
        read(registry.name, me)
        shown = [each for each in registry.asked if "Authorization" in each.headers]
        assert len(registry.asked) == len(shown) + 1, "asked once, and then shown each time"


def test_a_registry_on_this_machine_is_shown_nothing() -> None:
    with (
        pretended(IMAGE, wants_basic) as registry,
        pytest.raises(RegistryRefusedError, match="wants a login, and none is known for it"),
    ):
        read(registry.name, me)
    assert not any("Authorization" in each.headers for each in registry.asked)


@pytest.mark.usefixtures("far")
def test_a_login_that_is_refused_is_not_told_and_what_helps_is() -> None:
    with (
        pretended(
            IMAGE, lambda h, _: answer(h, 401, WWW_Authenticate='Basic realm="x"')
        ) as registry,
        pytest.raises(RegistryRefusedError, match="may not be read: it answers 401") as raised,
    ):
        read(registry.name, me)
    assert f"docker login {registry.address}" in str(raised.value)
    assert WORD not in str(raised.value)


class Tokens:
    """A registry that wants tokens, which it gives itself. Each is good for `good_for` requests."""

    def __init__(self, good_for: int = 99, field: str = "token") -> None:
        self.good_for = good_for
        self.field = field
        self.given: list[str] = []
        self.used = 0
        self.realm = ""

    def __call__(self, handler: BaseHTTPRequestHandler, asked: Asked) -> bool:
        if urlsplit(asked.path).path == "/token":
            return self.give(handler)
        if self.given and asked.headers.get("Authorization") == f"Bearer {self.given[-1]}":
            self.used += 1
            if self.used <= self.good_for:
                return False
        challenge = (
            f'Bearer realm="{self.realm}",service="r.test",scope="repository:tests/made:pull"'
        )
        return answer(handler, 401, WWW_Authenticate=challenge)

    def give(self, handler: BaseHTTPRequestHandler) -> bool:
        self.given.append(f"token-{len(self.given)}")
        self.used = 0
        return answer(handler, 200, json.dumps({self.field: self.given[-1]}).encode())


@pytest.mark.parametrize("login", [nobody, me])
def test_a_token_is_had_of_the_place_that_the_registry_names(login: LoginSource) -> None:
    tokens = Tokens(good_for=2)
    with pretended(IMAGE, tokens) as registry:
        tokens.realm = f"http://{registry.address}/token"
        read(registry.name, login)
    asked = [each for each in registry.asked if each.path.startswith("/token")]
    assert len(asked) == len(tokens.given) == 2, "one that has ended is asked for anew"
    query = parse_qs(urlsplit(asked[0].path).query)
    assert query == {"service": ["r.test"], "scope": ["repository:tests/made:pull"]}
    assert "Authorization" not in asked[0].headers, "this machine's registries are anonymous"


def test_a_token_by_its_other_name_is_one_too() -> None:
    tokens = Tokens(field="access_token")
    with pretended(IMAGE, tokens) as registry:
        tokens.realm = f"http://{registry.address}/token"
        read(registry.name, nobody)


@pytest.mark.parametrize(
    "realm", ["http://auth.test/token", "file:///etc/passwd", "https://me:x@auth.test/t", "x"]
)
@pytest.mark.usefixtures("far")
def test_no_login_goes_to_a_place_without_tls(realm: str) -> None:
    tokens = Tokens()
    tokens.realm = realm
    with (
        pretended(IMAGE, tokens) as registry,
        pytest.raises(RegistryRefusedError, match=r"no https:// address|no address") as raised,
    ):
        read(registry.name, me)
    assert WORD not in str(raised.value)


@pytest.mark.usefixtures("far")
def test_a_login_that_opens_more_than_registries_is_for_the_registry_alone() -> None:
    tokens = Tokens()
    tokens.realm = "https://auth.test/token"

    def google(_: str) -> Login:
        return Login("oauth2accesstoken", Secret("token", WORD), narrow=True)

    with (
        pretended(IMAGE, tokens) as registry,
        pytest.raises(RegistryRefusedError, match="this login is for the registry alone"),
    ):
        read(registry.name, google)


def shown_to(tokens: Tokens, login: LoginSource, monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """What the place of tokens was asked, taken for one with TLS."""
    monkeypatch.setattr(registry_client, "refused_realm", lambda *_, **__: None)
    monkeypatch.setattr(registry_client, "is_loopback", lambda _: False)
    with pretended(IMAGE, tokens) as registry:
        tokens.realm = f"http://{registry.address}/token"
        read(registry.name, login)
        return [each for each in registry.asked if each.path.startswith("/token")]


def test_a_password_is_shown_by_a_header_and_stands_in_no_address(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (asked,) = shown_to(Tokens(), me, monkeypatch)
    shown = base64.b64encode(f"me:{WORD}".encode()).decode()
    assert asked.headers["Authorization"] == f"Basic {shown}"
    assert WORD not in asked.path
    assert WORD not in caplog.text
    assert shown not in caplog.text


def test_a_refresh_token_is_posted(monkeypatch: pytest.MonkeyPatch) -> None:
    def kept(_: str) -> Login:
        return Login("", Secret("token", WORD), is_refresh_token=True)

    (asked,) = shown_to(Tokens(), kept, monkeypatch)
    assert (asked.method, asked.path) == ("POST", "/token")
    form = parse_qs(asked.body.decode())
    assert (form["grant_type"], form["refresh_token"]) == (["refresh_token"], [WORD])
    assert form["scope"] == ["repository:tests/made:pull"]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"{}", "answers without a token"),
        (200, b'{"token": 5}', "answers without a token"),
        (200, b'{"token": "a\\r\\nX-Evil: 1"}', "answers without a token"),
        (200, b"<html>", "answers without a token"),
        (401, b"", "gives no token, it answers 401"),
        (302, b"", "gives no token, it answers 302"),
    ],
)
def test_what_is_no_token_is_told(status: int, body: bytes, said: str) -> None:
    tokens = Tokens()

    def broken(handler: BaseHTTPRequestHandler, asked: Asked) -> bool:
        if asked.path.startswith("/token"):
            return answer(handler, status, body, Location="http://127.0.0.1:1/")
        return tokens(handler, asked)

    with pretended(IMAGE, broken) as registry:
        tokens.realm = f"http://{registry.address}/token"
        with pytest.raises(RegistryRefusedError, match=said):
            read(registry.name, nobody)


def test_a_source_of_logins_that_fails_is_told() -> None:
    def fails(_: str) -> Login:
        raise PortError("there are no usable Google credentials", hint="gcloud auth login")

    with pytest.MonkeyPatch.context() as patch, pretended(IMAGE, wants_basic) as registry:
        patch.setattr(registry_client, "is_loopback", lambda _: False)
        with pytest.raises(RegistryRefusedError, match="no usable Google credentials") as raised:
            read(registry.name, fails)
    assert raised.value.hint == "gcloud auth login"


def test_no_login_follows_a_redirect_to_another_host() -> None:
    """As registries do it that keep their layers in a bucket."""
    with pretended(IMAGE) as bucket:

        def sends(handler: BaseHTTPRequestHandler, asked: Asked) -> bool:
            if tokens(handler, asked):
                return True
            there = f"http://{bucket.address}{asked.path}?X-Signature=very-secret"
            return "/blobs/" in asked.path and answer(handler, 307, Location=there)

        tokens = Tokens()
        with pretended(IMAGE, sends) as registry:
            tokens.realm = f"http://{registry.address}/token"
            read(registry.name, nobody)
        assert len(bucket.asked) == 2
        assert not any("Authorization" in each.headers for each in bucket.asked)
        assert any("Authorization" in each.headers for each in registry.asked)


def test_a_challenge_of_the_host_that_one_was_sent_to_is_shown_nothing() -> None:
    tokens = Tokens()
    with pretended(IMAGE, wants_basic) as thief:

        def sends(handler: BaseHTTPRequestHandler, asked: Asked) -> bool:
            if tokens(handler, asked):
                return True
            return "/blobs/" in asked.path and answer(
                handler, 302, Location=f"http://{thief.address}{asked.path}"
            )

        with pretended(IMAGE, sends) as registry:
            tokens.realm = f"http://{registry.address}/token"
            with pytest.raises(RegistryRefusedError, match="it answers 401"):
                read(registry.name, nobody)
        assert thief.asked
        assert not any("Authorization" in each.headers for each in thief.asked)


@pytest.mark.parametrize("location", ["http://plain.test/x", "file:///etc/passwd", "", "https://["])
@pytest.mark.usefixtures("far")
def test_a_redirect_to_a_place_without_tls_is_not_followed(location: str) -> None:
    def sends(handler: BaseHTTPRequestHandler, _: Asked) -> bool:
        return answer(handler, 307, Location=location)

    with (
        pretended(IMAGE, sends) as registry,
        pytest.raises(RegistryError, match="redirects to an address that is not https://"),
    ):
        read(registry.name, nobody)


def test_redirects_in_circles_end_and_what_they_are_signed_with_is_not_told() -> None:
    def sends(handler: BaseHTTPRequestHandler, asked: Asked) -> bool:
        return answer(handler, 307, Location=f"{asked.path}?X-Signature=very-secret")

    with pretended(IMAGE, sends) as registry:
        with pytest.raises(RegistryError, match="redirects in circles") as raised:
            read(registry.name, nobody)
        assert "very-secret" not in str(raised.value)
        assert len(registry.asked) == 6


def test_where_one_is_sent_to_that_does_not_answer_is_not_quoted(tmp_path: Path) -> None:
    def sends(handler: BaseHTTPRequestHandler, asked: Asked) -> bool:
        return answer(handler, 307, Location=f"http://127.0.0.1:1{asked.path}?sig=very-secret")

    with pretended(IMAGE, only(LAYER, sends)) as registry:
        with pytest.raises(RegistryGoneError) as raised:
            read(registry.name, nobody)
        assert "very-secret" not in str(raised.value)
