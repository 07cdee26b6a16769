"""A notice: who is told of a run that has ended, of which verdicts, and by which service. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import SplitResult, urlsplit

from loopctl.model.state import Verdict
from loopctl.redact import Secret

_SLACK: Final = re.compile(r"hooks\.slack(?:-gov)?\.com")
_TEAMS: Final = re.compile(
    r".+\.(?:logic\.azure\.(?:com|us)|power(?:platform|automate)\.(?:com|us))|flow\.microsoft\.com"
)
_RETIRED: Final = re.compile(r"(?:.+\.)?webhook\.office\.com|outlook\.office(?:365)?\.com")
_OWN: Final = re.compile(r"notify-\d+(?:\.\d+)?")
_LEAST_PART: Final = 16
"""Characters of a part of a URL's path from which on it is a token, and no word."""


class NoticeKind(StrEnum):
    """The form in which a notice is sent. `webhook`: a JSON document of loopctl's own."""

    SLACK = "slack"
    TEAMS = "teams"
    WEBHOOK = "webhook"
    APPRISE = "apprise"


_WORDS: Final = {
    NoticeKind.SLACK: "Slack",
    NoticeKind.TEAMS: "Teams",
    NoticeKind.WEBHOOK: "the webhook",
    NoticeKind.APPRISE: "apprise",
}


class Every(StrEnum):
    """How often a notice tells: when something has changed, or of every run."""

    CHANGE = "change"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class NoticeSpec:
    """One notice of the chosen environment; `number` counts them from 1.

    `on` are the verdicts that it tells. `url` is None where it is switched off: then `kind` may
    not be known, and `unset` is the variable that is not set, None where the URL is empty. `place`
    is what may be shown of the URL: its host; of apprise the scheme alone, since a host there may
    be a token.
    """

    number: int
    on: tuple[Verdict, ...]
    kind: NoticeKind | None = None
    url: Secret | None = None
    place: str = ""
    every: Every = Every.CHANGE
    unset: str | None = None

    @property
    def name(self) -> str:
        """What it is in words, without a secret."""
        if self.kind is None or self.url is None:
            return f"notice {self.number}"
        return f"notice {self.number} to {_WORDS[self.kind]} ({self.place})"


def parts_of(url: str) -> SplitResult | None:
    """The URL in its parts; None for what is none, and for one of http(s) without a host."""
    try:
        parts = urlsplit(url)
        # What stands for a port in another scheme may be a token.
        named = not is_http(parts) or (bool(parts.hostname) and parts.port != 0)
    except ValueError:
        return None
    return parts if parts.scheme and named else None


def is_http(parts: SplitResult) -> bool:
    """Whether a URL is spoken to over HTTP."""
    return parts.scheme in ("http", "https")


def kind_of(parts: SplitResult) -> NoticeKind:
    """The kind that a URL tells by its host, for where none is given."""
    host = parts.hostname or ""
    if not is_http(parts):
        return NoticeKind.APPRISE
    if _SLACK.fullmatch(host):
        return NoticeKind.SLACK
    is_teams = _TEAMS.fullmatch(host) or _RETIRED.fullmatch(host)
    return NoticeKind.TEAMS if is_teams else NoticeKind.WEBHOOK


def is_retired(host: str) -> bool:
    """Whether it is that of the connectors of Microsoft 365, which Microsoft retires."""
    return _RETIRED.fullmatch(host) is not None


def place_of(parts: SplitResult, kind: NoticeKind) -> str:
    """What may be shown of the URL."""
    return parts.scheme if kind is NoticeKind.APPRISE else parts.hostname or ""


def secrets_of(url: str) -> tuple[str, ...]:
    """What of a URL must never be shown: all of it, a password, and each part that may be a token.

    A bare address, `http://127.0.0.1:9000`, tells nothing.
    """
    parts = parts_of(url)
    if parts is None:
        return (url,)
    path = parts.path.rstrip("/") + (f"?{parts.query}" if parts.query else "")
    if is_http(parts) and not (path or parts.username):
        return ()
    hosts = () if is_http(parts) else (parts.netloc,)
    texts = (*re.split(r"[/?&=]", path), parts.username or "", *hosts)
    tokens = [text for text in texts if _is_token(text)]
    # A path of words alone may be one of the loop's own services: hiding that would hide the tests.
    paths = [path] if any(token in path for token in tokens) else []
    passwords = [parts.password] if parts.password else []
    return tuple(dict.fromkeys((url, *paths, *tokens, *passwords)))


def _is_token(text: str) -> bool:
    looks_random = any(map(str.isdigit, text)) or text not in (text.lower(), text.upper())
    return len(text) >= _LEAST_PART and looks_random


def is_of_a_notice(name: str) -> bool:
    """Whether a secret of the plan by that name is (a part of) the URL of a notice."""
    return _OWN.fullmatch(name) is not None


def secret_name(number: int, part: int) -> str:
    """The name of such a secret: `notify-1` for the whole URL, `notify-1.2` for a part of it."""
    return f"notify-{number}.{part}" if part else f"notify-{number}"
