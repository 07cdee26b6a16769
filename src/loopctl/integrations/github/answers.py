"""What an answer of GitHub's means, in words: its own reach nobody but as a quoted line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from loopctl.inert import one_line
from loopctl.ports.announcer import AnnounceError
from loopctl.process import utc_now

_QUOTED: Final = 200
#: What GitHub asks for where it names no time: "wait for at least one minute".
_UNNAMED_S: Final = 60.0
#: What a refusal says that is about what the token may do.
_OF_RIGHTS: Final = ("not accessible", "must have", "permission", "forbidden")
_MOVED: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` by their small names; `document` is the JSON of the body, None for none."""

    status: int
    headers: Mapping[str, str]
    document: object

    @property
    def object(self) -> Mapping[str, Any]:
        """The document where it is a map, else an empty one."""
        return self.document if isinstance(self.document, dict) else {}

    @property
    def has_more(self) -> bool:
        """Whether a list has another page."""
        return 'rel="next"' in self.headers.get("link", "")

    @property
    def location(self) -> str:
        """Where a redirect leads."""
        return self.headers.get("location", "")


class TokenError(AnnounceError):
    """The token is not one that GitHub knows: nothing else can be asked with it either."""


class ForbiddenError(AnnounceError):
    """The token may not do that, or sees no such thing."""


class GoneError(AnnounceError):
    """What was asked about is not there, or was switched off."""


class UnsureError(AnnounceError):
    """Nobody can tell whether something was made."""


class LaterError(AnnounceError):
    """A rate limit lasts longer than the run can wait."""

    @classmethod
    def of(cls, answer: Answer, wait_s: float) -> Self:
        """Says which of GitHub's limits it is, and until when."""
        which = "" if answer.headers.get("x-ratelimit-remaining") == "0" else "secondary "
        until = utc_now() + timedelta(seconds=wait_s)
        return cls(f"GitHub's {which}rate limit is used up until {until:%Y-%m-%d %H:%M:%S}Z")


def limited_for(answer: Answer) -> float | None:
    """Seconds until GitHub wants to be asked again, None where no limit was met.

    `retry-after` first, then `x-ratelimit-reset` where nothing remains, else a minute for what
    calls itself a rate limit.
    """
    if answer.status not in (403, 429):
        return None
    after = answer.headers.get("retry-after", "")
    if after.isdecimal() and len(after) < 10:
        return float(after)
    if answer.headers.get("x-ratelimit-remaining") == "0":
        return _until(answer.headers.get("x-ratelimit-reset", ""))
    is_one = answer.status == 429 or "rate limit" in _message(answer).lower()
    return _UNNAMED_S if is_one else None


def _until(reset: str) -> float:
    if not reset.isdecimal() or len(reset) > 11:
        return _UNNAMED_S
    # Its clock is in whole seconds: the last one is not over yet.
    until = datetime.fromtimestamp(int(reset), UTC) + timedelta(seconds=1)
    return max((until - utc_now()).total_seconds(), 0.0)


def refusal(answer: Answer, method: str, path: str, repository: str) -> AnnounceError:
    """The error that an answer other than 2xx is."""
    status = answer.status
    if status == 401:
        return TokenError("GitHub does not know the token (401): it has expired, or was revoked")
    if status in _MOVED:
        what = f"{repository} has another name now ({status}); give that as github.repository"
        return GoneError(what)
    if status in (403, 404):
        return _forbidden(answer, method, path, repository)
    if status == 410:
        return GoneError(f"{repository} has no issues (410); `github: {{issues: false}}` says so")
    said = _said(answer)
    if status == 422:
        return AnnounceError(f"GitHub does not take it (422){said}")
    return AnnounceError(f"GitHub answers {status}{said}")


def _forbidden(answer: Answer, method: str, path: str, repository: str) -> AnnounceError:
    message = _message(answer).lower()
    if answer.status == 403 and message and not any(word in message for word in _OF_RIGHTS):
        # A locked conversation, an archived repository, an organisation's single sign-on.
        return AnnounceError(f"GitHub refuses it (403){_said(answer)}")
    wants = _permission(method, path)
    if answer.status == 404 and method == "GET":
        what = f"GitHub shows this token no {repository} (404): it does not exist, or {wants}"
    else:
        what = (
            f"the token may not do that in {repository} ({answer.status}){_said(answer)}: {wants}"
        )
    return ForbiddenError(what)


def _permission(method: str, path: str) -> str:
    """Which right the token lacks: those of "Permissions required for GitHub Apps"."""
    right = "read" if method == "GET" else "write"
    if "statuses" in path:
        return f"the token lacks `statuses: {right}`"
    if "comments" in path:
        return f"the token lacks `issues: {right}` (on a pull request `pull-requests: {right}`)"
    if path.startswith("issues"):
        return f"the token lacks `issues: {right}`"
    return "the token lacks `metadata: read` for it"


def _said(answer: Answer) -> str:
    """GitHub's own words as one harmless line, with a colon before them; empty for none."""
    words = [_message(answer)]
    errors = answer.object.get("errors")
    for each in errors[:3] if isinstance(errors, list) else ():
        if isinstance(each, dict):
            words += [str(each[key]) for key in ("field", "code", "message") if each.get(key)]
        elif isinstance(each, str):
            words.append(each)
    told = one_line(" ".join(word for word in words if word), limit=_QUOTED)
    return f": {told}" if told else ""


def _message(answer: Answer) -> str:
    message = answer.object.get("message")
    return message if isinstance(message, str) else ""
