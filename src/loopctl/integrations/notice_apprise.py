"""A notice through apprise, which speaks to a hundred services and more: `loopctl[notify]`.

Whoever calls this waits no longer than it wants to: apprise itself hears of no `Stop`.
"""

from __future__ import annotations

from typing import Final

from loopctl.inert import for_chat, one_line
from loopctl.integrations.notice_post import quietly
from loopctl.integrations.notice_text import Message, Mood
from loopctl.ports.announcer import AnnounceError
from loopctl.redact import Secret

_TITLE: Final = 200
_LINE: Final = 200
_BODY: Final = 1800
"""Characters: Discord, among the strictest, takes 2000."""

_NOT_THERE: Final = "apprise is not installed beside loopctl: pip install 'loopctl[notify]'"


def plain_text(message: Message) -> tuple[str, str]:
    """Title and body, inert in services of whatever markup."""
    lines = [f"{label}: {for_chat(one_line(text, _LINE))}" for label, text in message.lines]
    # The address is loopctl's own, of the CI job, and leads where it says.
    below = [for_chat(one_line(message.facts, _LINE)), *([message.link] if message.link else [])]
    room = _BODY - sum(len(line) + 1 for line in below)
    kept: list[str] = []
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return for_chat(one_line(message.title, _TITLE)), "\n".join((*kept, *below))


def send_by_apprise(url: Secret, message: Message) -> None:
    """Send it; raises `AnnounceError` without a word of the URL."""
    with quietly():
        try:
            import apprise  # noqa: PLC0415 - half a second, and an extra
        except ImportError as error:
            raise AnnounceError(_NOT_THERE) from error
        title, body = plain_text(message)
        bad, good = apprise.NotifyType.FAILURE, apprise.NotifyType.SUCCESS
        try:
            # One thread, ours; and nothing kept on this machine.
            sender = apprise.Apprise(asset=apprise.AppriseAsset(async_mode=False))
            if not sender.add(url.reveal()):
                raise AnnounceError("apprise does not understand its url")
            sent = sender.notify(
                body=body,
                title=title,
                notify_type=good if message.mood is Mood.GOOD else bad,
                body_format=apprise.NotifyFormat.TEXT,
            )
        except AnnounceError:
            raise
        except Exception as error:  # noqa: BLE001 - of a hundred services; its text may be the URL
            raise AnnounceError(f"apprise failed ({type(error).__name__})") from None
    if not sent:
        raise AnnounceError("apprise could not send it: the service refused it, or did not answer")
