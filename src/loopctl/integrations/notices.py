"""Notices: telling people of a run where they read messages, when something has changed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from loopctl.integrations.notice_apprise import plain_text, send_by_apprise
from loopctl.integrations.notice_post import post
from loopctl.integrations.notice_reason import Reason, reason_of
from loopctl.integrations.notice_slack import slack_message
from loopctl.integrations.notice_teams import teams_message
from loopctl.integrations.notice_text import Message, message_of
from loopctl.integrations.notice_webhook import webhook_document
from loopctl.model.notice import Every, NoticeKind, NoticeSpec, is_retired
from loopctl.ports.announcer import AnnounceError, Announcement, Announcer
from loopctl.process import Stop
from loopctl.redact import Secret

_RETIRING: Final = "; Microsoft retires these connectors: make a workflow in Teams instead"


class Notice(Announcer):
    """One notice of the plan, which is not switched off."""

    def __init__(self, spec: NoticeSpec, kind: NoticeKind, url: Secret) -> None:
        self._spec, self._kind, self._url = spec, kind, url

    @property
    def name(self) -> str:
        """The kind and what may be shown of the URL."""
        return self._spec.name

    def announce(self, run: Announcement, stop: Stop) -> Sequence[str]:
        """See `Announcer`. Nothing is told where nothing has changed."""
        reason = reason_of(self._spec, run)
        if reason is None:
            return ()
        message = message_of(run, reason)
        stop.remaining(0)
        if self._kind is NoticeKind.APPRISE:
            send_by_apprise(self._url, message)
        else:
            post(self._url, self._document(run, reason, message), stop)
        return (f"{self.name} was sent: {message.title}",)

    def preview(self, run: Announcement) -> str:
        """What it would tell of a run, asked for it now; the URL is no part of that."""
        message = message_of(run, Reason.ASKED)
        if self._kind is NoticeKind.APPRISE:
            return "\n".join(plain_text(message))
        return json.dumps(self._document(run, Reason.ASKED, message), indent=1)

    def _document(
        self, run: Announcement, reason: Reason, message: Message
    ) -> Mapping[str, object]:
        match self._kind:
            case NoticeKind.SLACK:
                return slack_message(message)
            case NoticeKind.TEAMS:
                return teams_message(message)
            case NoticeKind.WEBHOOK | NoticeKind.APPRISE:
                return webhook_document(run, reason, message)


class Unset(Announcer):
    """A notice whose variable is not set: whoever would have been told is told so."""

    def __init__(self, spec: NoticeSpec, variable: str) -> None:
        self._spec, self._variable = spec, variable

    @property
    def name(self) -> str:
        """Its number."""
        return self._spec.name

    def announce(self, run: Announcement, stop: Stop) -> Sequence[str]:
        """See `Announcer`."""
        if reason_of(self._spec, run) is not None:
            raise AnnounceError(f"the variable {self._variable} is not set")
        return ()

    def preview(self, run: Announcement) -> str:
        """Why nothing would be sent."""
        return f"nothing: the variable {self._variable} is not set"


def notices_of(specs: Sequence[NoticeSpec]) -> tuple[Announcer, ...]:
    """The notices that are not switched off by an empty URL."""
    return tuple(_notices(specs))


def _notices(specs: Sequence[NoticeSpec]) -> Iterator[Announcer]:
    for spec in specs:
        if spec.unset is not None:
            yield Unset(spec, spec.unset)
        elif spec.kind is not None and spec.url is not None:
            yield Notice(spec, spec.kind, spec.url)


def outlook(specs: Sequence[NoticeSpec]) -> Sequence[str]:
    """Who would be told, and of what, in words; never by which URL."""
    return [_outlook(spec) for spec in specs]


def _outlook(spec: NoticeSpec) -> str:
    if spec.url is None:
        why = f"{spec.unset} is not set" if spec.unset else "its url is empty"
        return f"{spec.name} is switched off: {why}"
    on = ", ".join(verdict.value for verdict in spec.on)
    often = "of every run" if spec.every is Every.RUN else "when it changes"
    return f"{spec.name}: {on}, {often}{_RETIRING if is_retired(spec.place) else ''}"
