"""Posting a notice over HTTP: bounded in time, tried again by one rule, and silent about its URL.

429 is tried again after the `Retry-After` that it names, as long as there is time for that; a 5xx
and a connection that could not be made once, after a second. Anything else is not: what went over
may have been taken. No redirect is followed: a URL that is a secret goes to its own host alone.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from loopctl import __version__
from loopctl.errors import Stopped
from loopctl.inert import one_line
from loopctl.ports.announcer import AnnounceError
from loopctl.process import Stop, Watched
from loopctl.redact import Secret

if TYPE_CHECKING:
    import httpx

WITHIN_S: Final = 10.0
"""How long one notice may take, whatever it meets."""

_AGAIN_AFTER_S: Final = 1.0
_MOST_WAITS: Final = 3
_LONGEST_ANSWER: Final = 4096
_CODE: Final = re.compile(r"[a-z]{2,20}(?:_[a-z]{1,20}){1,5}")
"""A reason as Slack gives it, `no_service`. Any other answer may quote the URL, and is not told."""

_TALKATIVE: Final = ("httpx", "httpcore", "apprise", "urllib3", "requests")


def post(url: Secret, document: Mapping[str, object], stop: Stop) -> None:
    """Post the document; raises `AnnounceError` without a word of the URL, and `Stopped`."""
    import httpx  # noqa: PLC0415 - costs 100 ms that most commands need not spend

    body = json.dumps(document, ensure_ascii=True).encode("ascii")
    with quietly(), stop.child(WITHIN_S) as limited:
        try:
            with _client() as client:
                _until_taken(client, url, body, limited)
        except Stopped:
            stop.remaining(0)
            raise AnnounceError(_LATE) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, ImportError) as error:
            stop.remaining(0)
            # A connection that was cut because its time is up breaks off in many ways.
            late = limited.reason is not None or isinstance(error, httpx.TimeoutException)
            # No cause: what such an error quotes may be the URL, or the answer.
            raise AnnounceError(_LATE if late else _broken(error)) from None


_LATE: Final = f"no answer within {WITHIN_S:g} s"


def _broken(error: Exception) -> str:
    import httpx  # noqa: PLC0415

    match error:
        case httpx.InvalidURL() | httpx.UnsupportedProtocol():
            return "its url is none that can be posted to"
        case httpx.ConnectError():
            return f"no connection: {one_line(str(error), 160)}"
        case _:
            return f"the exchange broke off ({type(error).__name__})"


def _until_taken(client: httpx.Client, url: Secret, body: bytes, stop: Stop) -> None:
    import httpx  # noqa: PLC0415

    waits = failures = 0
    while True:
        try:
            status, code, after = _asked(client, url, body, stop)
        except httpx.ConnectError:
            failures += 1
            if failures > 1:
                raise
            stop.wait(_AGAIN_AFTER_S)
            continue
        if 200 <= status < 300:
            return
        waits, failures = waits + (status == 429), failures + (status >= 500)
        again = waits <= _MOST_WAITS if status == 429 else status >= 500 and failures <= 1
        if not again or after >= stop.remaining(WITHIN_S):
            raise AnnounceError(_refusal(status, code))
        stop.wait(after)


def _asked(client: httpx.Client, url: Secret, body: bytes, stop: Stop) -> tuple[int, str, float]:
    """One request: its status, the reason that was given, and when to come again, in seconds."""
    limit = stop.remaining(WITHIN_S)
    with (
        Watched(stop, limit) as watched,
        client.stream(
            "POST",
            url.reveal(),
            content=body,
            timeout=limit,
            extensions={"trace": watched.see},
        ) as answer,
    ):
        text = b""
        for piece in answer.iter_raw():
            text += piece
            if len(text) >= _LONGEST_ANSWER:
                break
        said = text[:_LONGEST_ANSWER].decode("utf-8", "replace").strip()
        after = answer.headers.get("retry-after", "")
        seconds = float(after) if re.fullmatch(r"\d{1,6}", after) else _AGAIN_AFTER_S
        return answer.status_code, said if _CODE.fullmatch(said) else "", seconds


def _refusal(status: int, code: str) -> str:
    why = f" ({code})" if code else ""
    if 300 <= status < 400:
        return f"it answered {status}, which leads elsewhere: give the URL that it leads to"
    if status in (404, 410):
        return f"it answered {status}{why}: the url is not, or no longer, one that takes notices"
    return f"it answered {status}{why}"


def _client() -> httpx.Client:
    """Without a pool to keep; proxies and certificates as the environment names them."""
    import httpx  # noqa: PLC0415

    headers = {"content-type": "application/json", "user-agent": f"loopctl/{__version__}"}
    return httpx.Client(headers=headers, follow_redirects=False)


_quiet_lock: Final = threading.Lock()
_quiet: dict[str, int] = {}


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Let no client write the URL that it is given into a log, whoever listens to those."""
    with _quiet_lock:
        if not _quiet:
            _quiet.update({name: logging.getLogger(name).level for name in _TALKATIVE})
            for name in _TALKATIVE:
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        _quiet["users"] = _quiet.get("users", 0) + 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet["users"] -= 1
            if not _quiet["users"]:
                for name in _TALKATIVE:
                    logging.getLogger(name).setLevel(_quiet[name])
                _quiet.clear()
