"""Asking one registry over HTTP: timeouts, tries, redirects and logins.

A GET changes nothing, so one that failed on the way, or was told to come again, is sent again.
Credentials go to the registry, and to where it says that tokens are had; never to where it
redirects to, and never into a URL or a message. Addresses of redirects are not told either: they
hold signatures.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urljoin, urlsplit

from loopctl.builders.registry_challenge import Challenge, basic, challenges, refused_realm
from loopctl.builders.registry_errors import (
    NotInRegistryError,
    RegistryError,
    RegistryGoneError,
    RegistryRefusedError,
)
from loopctl.builders.registry_reference import Reference
from loopctl.engine.login import Login, LoginSource
from loopctl.engine.registry import is_loopback
from loopctl.errors import PortError
from loopctl.inert import decode, one_line
from loopctl.process import Stop, Watched, certificates, innermost_reason, origin

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

#: Seconds for the head of an answer, and for each piece of its body.
_HEAD_S: Final = 15.0
_PIECE_S: Final = 30.0
#: One small document; and a layer, which may be gigabytes on a slow line.
_DOCUMENT_S: Final = 30.0
_BLOB_S: Final = 3600.0
_TRIES: Final = 4
_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 30.0
_REDIRECTS: Final = 5
_CHUNK: Final = 256 * 1024
_TOKEN_BYTES: Final = 1 << 20
_QUOTED: Final = 300
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
_REDIRECT: Final = frozenset({301, 302, 303, 307, 308})


class TryAgainError(Exception):
    """What failed on the way, and may come well the next time."""

    def __init__(self, why: str, wait_s: float = 0.0) -> None:
        super().__init__(why)
        self.why = why
        self.wait_s = wait_s


class RegistryClient:
    """Reads one repository of a registry. For one thread.

    `login` is asked when the registry wants to know who asks, `tries` how often something is sent
    at the most. Everything raises `RegistryError`, `Stopped`.
    """

    def __init__(self, image: Reference, login: LoginSource, tries: int = _TRIES) -> None:
        self._image = image
        self._login = login
        self._tries = tries
        self._plain = is_loopback(image.host)
        self._authorization: str | None = None

    def document(self, path: str, accept: str, at_most: int, stop: Stop) -> bytes:
        """A small document, `manifests/…` or `blobs/…`, of no more than that many bytes."""

        def read() -> bytes:
            with self._answer(path, accept, _DOCUMENT_S, stop) as answer:
                return _whole(answer, at_most, f"{path.partition('/')[0]} of {self._name}")

        return self.tried(read, stop)

    @contextlib.contextmanager
    def blob(self, digest: str, stop: Stop) -> Iterator[Iterator[bytes]]:
        """The pieces of a blob, once: raises `TryAgainError` where it breaks off, see `tried`."""
        with self._answer(f"blobs/{digest}", "*/*", _BLOB_S, stop) as answer:
            yield _pieces(answer, stop)

    def tried(self, ask: Callable[[], T], stop: Stop) -> T:
        """What `ask` gives, which is begun anew where it raises `TryAgainError`."""
        for number in range(1, self._tries + 1):
            try:
                return ask()
            except TryAgainError as again:
                stop.remaining(0)
                if number == self._tries:
                    raise self._gone(again.why) from None
                stop.wait(min(max(again.wait_s, _WAIT_S * 2 ** (number - 1)), _LONGEST_WAIT_S))
        raise AssertionError("a loop of no tries")

    @property
    def _name(self) -> str:
        return f"{self._image.host}/{self._image.repository}"

    @contextlib.contextmanager
    def _answer(self, path: str, accept: str, limit: float, stop: Stop) -> Iterator[httpx.Response]:
        """An answer of status 200, its body still to be read."""
        url = f"{self._image.root}/{path}"
        with self._asked(url, accept, limit, stop) as answer:
            # Who asks is the registry's own question alone, wherever it has sent one to.
            if answer.status_code != 401 or origin(str(answer.url)) != origin(url):
                self._judge(answer, path)
                yield answer
                return
            offered = tuple(challenges(answer.headers.get_list("www-authenticate")))
        self._authorization = self._shown(offered, stop)
        with self._asked(url, accept, limit, stop) as answer:
            self._judge(answer, path)
            yield answer

    @contextlib.contextmanager
    def _asked(self, url: str, accept: str, limit: float, stop: Stop) -> Iterator[httpx.Response]:
        """Ask, and go where the registry sends one: without credentials where that is elsewhere."""
        home = origin(url)
        for _ in range(_REDIRECTS + 1):
            headers = {"accept": accept}
            if self._authorization is not None and origin(url) == home:
                headers["authorization"] = self._authorization
            with _sent("GET", url, headers, None, limit, stop) as answer:
                if answer.status_code not in _REDIRECT:
                    yield answer
                    return
                url = self._next(url, answer.headers.get("location", ""))
        raise RegistryError(f"{self._image.host} redirects in circles", where=self._name)

    def _next(self, url: str, location: str) -> str:
        with contextlib.suppress(ValueError):
            there = urljoin(url, location)
            parts = urlsplit(there)
            safe = parts.scheme == "https" or (self._plain and parts.scheme == "http")
            if location and parts.hostname and safe:
                return there
        raise RegistryError(
            f"{self._image.host} redirects to an address that is not https://", where=self._name
        )

    def _judge(self, answer: httpx.Response, path: str) -> None:
        """Raise what an answer other than 200 means."""
        status = answer.status_code
        if status == 200:
            return
        if status in _AGAIN:
            raise TryAgainError(f"it answers {status}", _seconds(answer.headers.get("retry-after")))
        said = _error_of(answer)
        if status in (401, 403):
            raise self._refused(f"it answers {status}{said}")
        if status == 404:
            what, _, digest = path.partition("/")
            raise NotInRegistryError(
                f"{self._name} has no {what.removesuffix('s')} {digest}{said}",
                where=self._image.location,
                hint="see that repository and digest are right, and that no clean-up has removed "
                "the image",
            )
        raise RegistryError(f"{self._image.host} answers {status}{said}", where=self._name)

    def _shown(self, offered: tuple[Challenge, ...], stop: Stop) -> str:
        """What to show to a registry that wants to know who asks."""
        try:
            login = None if self._plain else self._login(self._image.host)
        except PortError as error:
            raise RegistryRefusedError(
                f"{self._name} wants a login: {error.what}",
                where=self._image.location,
                hint=error.hint,
            ) from None
        for each in offered:
            if each.scheme == "bearer" and each.realm:
                return (
                    f"Bearer {self.tried(lambda each=each: self._token(each, login, stop), stop)}"  # type: ignore[misc]
                )
            if each.scheme == "basic" and login is not None and not login.is_refresh_token:
                return basic(login)
        raise self._refused("it wants a login, and none is known for it")

    def _token(self, asked: Challenge, login: Login | None, stop: Stop) -> str:
        """A token of the place that the registry names."""
        why = refused_realm(asked.realm, self._image.host, plain=self._plain, login=login)
        place = one_line(urlsplit(asked.realm).netloc, limit=100) if why is None else ""
        if why is not None:
            realm = one_line(asked.realm.partition("?")[0], limit=100)
            raise self._refused(f"it wants a token to be had at {realm}, {why}")
        scope = asked.scope or f"repository:{self._image.repository}:pull"
        query = {"service": asked.service, "scope": scope}
        with _token_asked(asked.realm, query, login, stop) as answer:
            if answer.status_code in _AGAIN:
                wait_s = _seconds(answer.headers.get("retry-after"))
                raise TryAgainError(f"{place} answers {answer.status_code}", wait_s)
            if answer.status_code != 200:
                said = _error_of(answer)
                raise self._refused(
                    f"{place} gives no token, it answers {answer.status_code}{said}"
                )
            told = _object(_whole(answer, _TOKEN_BYTES, f"the token of {place}"))
        token = told.get("token") or told.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise self._refused(f"{place} answers without a token")
        return token

    def _gone(self, why: str) -> RegistryGoneError:
        return RegistryGoneError(
            f"the registry {self._image.host} does not answer as it should: {why}",
            where=self._name,
            hint="see that the name is right and that the registry can be reached from here; run "
            "again once it is",
        )

    def _refused(self, why: str) -> RegistryRefusedError:
        host = self._image.host
        return RegistryRefusedError(
            f"{self._name} may not be read: {why}",
            where=self._image.location,
            hint=read_hint(host),
        )


def read_hint(host: str) -> str:
    """What makes a registry readable."""
    if host.endswith("pkg.dev"):
        return (
            "log in (`gcloud auth application-default login`, or `gcloud auth configure-docker "
            f"{host}`) as one who has roles/artifactregistry.reader on the repository"
        )
    if host.endswith("gcr.io"):
        return (
            "log in (`gcloud auth application-default login`, or `gcloud auth configure-docker`) "
            "as one who may read the registry"
        )
    return f"log in as one who may read it: `docker login {host}`"


@contextlib.contextmanager
def _token_asked(
    realm: str, query: Mapping[str, str], login: Login | None, stop: Stop
) -> Iterator[httpx.Response]:
    """By GET with a password or as nobody, by POST with a refresh token."""
    if login is not None and login.is_refresh_token:
        form = {
            **query,
            "grant_type": "refresh_token",
            "client_id": "loopctl",
            "refresh_token": login.password.reveal(),
        }
        with _sent("POST", realm, {}, form, _DOCUMENT_S, stop) as answer:
            yield answer
        return
    import httpx  # noqa: PLC0415

    headers = {} if login is None else {"authorization": basic(login)}
    url = str(httpx.URL(realm).copy_merge_params({k: v for k, v in query.items() if v}))
    with _sent("GET", url, headers, None, _DOCUMENT_S, stop) as answer:
        yield answer


@contextlib.contextmanager
def _sent(
    method: str,
    url: str,
    headers: Mapping[str, str],
    form: Mapping[str, str] | None,
    limit: float,
    stop: Stop,
) -> Iterator[httpx.Response]:
    """One request on a connection of its own; `limit` is for the whole exchange, in seconds.

    What fails on the way is a `TryAgainError`, without the address that was asked.
    """
    import httpx  # noqa: PLC0415 - costs 100 ms that only images built elsewhere spend

    timeout = httpx.Timeout(_PIECE_S, connect=_HEAD_S)
    ends = time.monotonic() + stop.remaining(limit)
    # A proxy that the environment names does not reach this machine's own services.
    direct = {f"all://{host}": None for host in ("127.0.0.1", "localhost", "[::1]")}
    try:
        with (
            Watched(stop, limit) as watched,
            httpx.Client(
                timeout=timeout, mounts=direct, follow_redirects=False, verify=certificates()
            ) as client,
            client.stream(
                method,
                url,
                headers={"user-agent": "loopctl", "accept-encoding": "identity", **headers},
                data=dict(form) if form is not None else None,
                extensions={"trace": watched.see},
            ) as answer,
        ):
            yield answer
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError) as error:
        stop.remaining(0)
        late = time.monotonic() >= ends
        raise TryAgainError("it took too long" if late else _why(error)) from None


def _pieces(answer: httpx.Response, stop: Stop) -> Iterator[bytes]:
    for piece in answer.iter_raw(_CHUNK):
        stop.remaining(0)
        yield piece


def _whole(answer: httpx.Response, at_most: int, what: str) -> bytes:
    read = bytearray()
    for piece in answer.iter_raw(_CHUNK):
        read += piece
        if len(read) > at_most:
            raise RegistryError(f"{what} is larger than {at_most >> 10} KiB")
    return bytes(read)


def _error_of(answer: httpx.Response) -> str:
    """What the body of an answer says of the error, as `: NAME: text`; empty where it does not."""
    with contextlib.suppress(RegistryError):
        body = _whole(answer, _TOKEN_BYTES, "the error")
        errors = _object(body).get("errors")
        first = errors[0] if isinstance(errors, list) and errors else {}
        if isinstance(first, dict):
            words = [str(first[key]) for key in ("code", "message") if first.get(key)]
            told = one_line(": ".join(words), limit=_QUOTED)
            return f": {told}" if told else ""
    return ""


def _object(body: bytes) -> Mapping[str, object]:
    try:
        found = json.loads(decode(body))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _seconds(retry_after: str | None) -> float:
    """Registries send whole seconds; a date is as good as nothing."""
    return float(retry_after) if retry_after is not None and retry_after.isdecimal() else 0.0


def _why(error: BaseException) -> str:
    return one_line(innermost_reason(error), limit=_QUOTED)
