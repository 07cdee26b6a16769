"""Asking GitHub's REST API about one repository: timeouts, tries, pages, redirects, limits.

What changes nothing, or may be done twice, is sent again where it failed on the way, or GitHub
answered with a 5xx. What makes something new is sent once: where nobody can tell whether it was
made, `UnsureError` says so, and who asked looks first. A rate limit is waited for where it ends in
time. The token goes to the API's own origin and nowhere else.

Sources: "Best practices for using the REST API", "Rate limits for the REST API", both of GitHub.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

from loopctl import __version__
from loopctl.inert import decode, one_line
from loopctl.integrations.github.answers import (
    Answer,
    LaterError,
    TokenError,
    UnsureError,
    limited_for,
    refusal,
)
from loopctl.ports.announcer import AnnounceError
from loopctl.process import Stop, Watched, certificates, innermost_reason, origin
from loopctl.redact import Secret

if TYPE_CHECKING:
    import httpx

DEFAULT_API: Final = "https://api.github.com"
API_VERSION: Final = "2022-11-28"
PAGE: Final = 100

#: Seconds for one exchange, and for each of its steps.
_CALL_S: Final = 8.0
_CONNECT_S: Final = 4.0
_TRIES: Final = 3
_WAIT_S: Final = 0.5
_REDIRECTS: Final = 3
#: A hundred issues of the longest that there are.
_ANSWER_BYTES: Final = 32 << 20
_CHUNK: Final = 256 * 1024
_BROKEN: Final = frozenset({500, 502, 503, 504})
_REDIRECT: Final = frozenset({301, 302, 303, 307, 308})


class _OnTheWayError(Exception):
    """No whole answer came. `sent` False: the request cannot have reached anybody."""

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.why = why
        self.sent = sent


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: str
    query: Mapping[str, str | int] = field(default_factory=dict)
    document: Mapping[str, object] | None = None


class Repository:
    """One repository as a token sees it. Everything raises `AnnounceError`, `Stopped`.

    `name` is `owner/name`, `api` the root of the API without a slash at its end.
    """

    def __init__(self, api: str, name: str, token: Secret) -> None:
        self.name = name
        self._api = api.rstrip("/")
        self._token = token

    def get(self, path: str, stop: Stop, **query: str | int) -> Answer:
        """Ask; `path` is below the repository, or with a slash at its start below the API."""
        return self._tried(_Request("GET", self._url(path), query), stop)

    def pages(self, path: str, most: int, stop: Stop, **query: str | int) -> Iterator[list[Any]]:
        """The pages of a list, `most` at the most, each when it is asked for."""
        for number in range(1, most + 1):
            answer = self.get(path, stop, **query, per_page=PAGE, page=number)
            if not isinstance(answer.document, list):
                raise AnnounceError(f"GitHub answers without the list of {path} in {self.name}")
            yield answer.document
            if not answer.has_more:
                return

    def change(self, path: str, document: Mapping[str, object], stop: Stop) -> Answer:
        """PATCH: it may be done twice, so it is tried again."""
        return self._tried(_Request("PATCH", self._url(path), document=document), stop)

    def set(self, path: str, document: Mapping[str, object], stop: Stop) -> Answer:
        """POST of what is the same when it is done twice, as a commit status is."""
        return self._tried(_Request("POST", self._url(path), document=document), stop)

    def make(self, path: str, document: Mapping[str, object], stop: Stop) -> Answer:
        """POST of something new; raises `UnsureError` where it may have been made."""
        request = _Request("POST", self._url(path), document=document)
        for number in range(1, _TRIES + 1):
            try:
                answer = self._sent(request, stop)
            except _OnTheWayError as lost:
                if lost.sent:
                    raise UnsureError(f"GitHub gave no answer: {lost.why}") from None
                self._wait_or_give_up(number, lost.why, stop)
                continue
            if answer.status in _BROKEN:
                raise UnsureError(f"GitHub answers {answer.status}")
            if not self._is_limited(answer, number, stop):
                return self._judged(answer, request)
        raise AssertionError("a loop of no tries")

    def _tried(self, request: _Request, stop: Stop) -> Answer:
        for number in range(1, _TRIES + 1):
            try:
                answer = self._followed(request, stop)
            except _OnTheWayError as lost:
                self._wait_or_give_up(number, lost.why, stop)
                continue
            if answer.status in _BROKEN:
                self._wait_or_give_up(number, f"it answers {answer.status}", stop)
            elif not self._is_limited(answer, number, stop):
                return self._judged(answer, request)
        raise AssertionError("a loop of no tries")

    def _wait_or_give_up(self, number: int, why: str, stop: Stop) -> None:
        """Wait before the next try; raises `AnnounceError` after the last."""
        stop.remaining(0)
        if number == _TRIES:
            raise AnnounceError(f"{self._host} does not answer as it should: {why}")
        stop.wait(_WAIT_S * 2 ** (number - 1))

    def _is_limited(self, answer: Answer, number: int, stop: Stop) -> bool:
        """Whether a rate limit was met and waited for; raises `LaterError` where it lasts."""
        wait_s = limited_for(answer)
        if wait_s is None:
            return False
        if number == _TRIES or wait_s >= stop.remaining(wait_s + 1.0):
            raise LaterError.of(answer, wait_s)
        stop.wait(wait_s)
        return True

    def _judged(self, answer: Answer, request: _Request) -> Answer:
        if 200 <= answer.status < 300:
            return answer
        path = request.url.removeprefix(self._url("")).lstrip("/")
        raise refusal(answer, request.method, path, self.name)

    def _followed(self, request: _Request, stop: Stop) -> Answer:
        """A repository that was renamed is read where it is now; nothing is written there."""
        for _ in range(_REDIRECTS + 1):
            answer = self._sent(request, stop)
            if request.method != "GET" or answer.status not in _REDIRECT:
                return answer
            request = _Request("GET", self._next(request.url, answer.location))
            if origin(request.url) != origin(self._api):
                raise AnnounceError(f"{self._host} redirects to another host: not followed")
        raise AnnounceError(f"{self._host} redirects in circles")

    def _next(self, url: str, location: str) -> str:
        try:
            return urljoin(url, location)
        except ValueError:
            raise AnnounceError(f"{self._host} redirects to what is no address") from None

    def _sent(self, request: _Request, stop: Stop) -> Answer:
        """One request on a connection of its own."""
        import httpx  # noqa: PLC0415 - costs 100 ms that only runs told on GitHub spend

        limit = stop.remaining(_CALL_S)
        connected = False
        # A proxy that the environment names does not reach this machine's own services.
        direct = {f"all://{host}": None for host in ("127.0.0.1", "localhost", "[::1]")}
        try:
            with (
                Watched(stop, limit) as watched,
                httpx.Client(
                    timeout=httpx.Timeout(limit, connect=min(limit, _CONNECT_S)),
                    mounts=direct,
                    follow_redirects=False,
                    verify=certificates(),
                ) as client,
                client.stream(
                    request.method,
                    request.url,
                    params=dict(request.query) or None,
                    headers=self._headers(),
                    json=request.document,
                    extensions={"trace": watched.see},
                ) as answer,
            ):
                connected = True
                return _whole(answer)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            stop.remaining(0)
            raise _OnTheWayError(_why(error), sent=False) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            stop.remaining(0)
            told = "its answer broke off" if connected else _why(error)
            raise _OnTheWayError(told, sent=True) from None

    def _headers(self) -> Mapping[str, str]:
        token = self._token.reveal()
        if not token.isascii() or not token.isprintable() or " " in token:
            raise TokenError("the token has characters in it that no token has", where=self.name)
        return {
            "accept": "application/vnd.github+json",
            "authorization": f"Bearer {token}",
            "user-agent": f"loopctl/{__version__}",
            "x-github-api-version": API_VERSION,
        }

    def _url(self, path: str) -> str:
        if path.startswith("/"):
            return f"{self._api}{path}"
        return f"{self._api}/repos/{self.name}{'/' if path else ''}{path}"

    @property
    def _host(self) -> str:
        return urlsplit(self._api).netloc.rpartition("@")[2]


def _whole(answer: httpx.Response) -> Answer:
    read = bytearray()
    for piece in answer.iter_bytes(_CHUNK):
        read += piece
        if len(read) > _ANSWER_BYTES:
            raise AnnounceError(f"GitHub answers with more than {_ANSWER_BYTES >> 20} MiB")
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Answer(answer.status_code, headers, _document(bytes(read), answer.status_code))


def _document(body: bytes, status: int) -> object:
    try:
        return json.loads(decode(body)) if body else None
    except (ValueError, RecursionError):
        if 200 <= status < 300:
            raise AnnounceError("GitHub answers with something that is not JSON") from None
        return None


def _why(error: BaseException) -> str:
    return one_line(innermost_reason(error), limit=200)
