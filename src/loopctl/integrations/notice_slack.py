"""A message for Slack's incoming webhooks, in Block Kit.

Everything is `plain_text` without emoji, so that no markup of ours or of others takes effect; only
the link to the CI job is `mrkdwn`. Limits: "Block Kit" of Slack's documentation: 150 characters in
a header, 3000 in the text of a section.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from loopctl.inert import for_slack, one_line
from loopctl.integrations.notice_text import Message

_HEADER: Final = 150
_SECTION: Final = 3000
_LINE: Final = 500


def slack_message(message: Message) -> Mapping[str, object]:
    """The body of the request."""
    title = cut(for_slack(message.title), _HEADER)
    lines = [f"{label}: {for_slack(one_line(text, _LINE))}" for label, text in message.lines]
    blocks: list[object] = [{"type": "header", "text": _plain(title)}]
    if lines:
        blocks.append({"type": "section", "text": _plain(cut("\n".join(lines), _SECTION))})
    facts = cut(for_slack(message.facts), _SECTION)
    blocks.append({"type": "context", "elements": [_plain(facts)]})
    if message.link:
        link = {"type": "mrkdwn", "text": f"<{message.link}|The CI job>", "verbatim": True}
        blocks.append({"type": "section", "text": link})
    # What a notification on a telephone shows.
    return {"text": title, "blocks": blocks}


def _plain(text: str) -> Mapping[str, object]:
    return {"type": "plain_text", "text": text, "emoji": False}


def cut(text: str, limit: int) -> str:
    """Text of at most so many characters, that does not end within an entity of its own."""
    if len(text) <= limit:
        return text
    kept = text[: limit - 1]
    entity = kept.rfind("&", max(0, len(kept) - 5))
    whole = kept[:entity] if entity >= 0 and ";" not in kept[entity:] else kept
    return f"{whole}…"
