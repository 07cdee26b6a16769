"""A message for a workflow of Microsoft Teams: an Adaptive Card.

Text stands in `RichTextBlock`s, whose runs know no Markdown ("Text features", Adaptive Cards). A
message may have 28 KB ("Create incoming webhooks", Microsoft Teams).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from loopctl.inert import for_chat, one_line
from loopctl.integrations.notice_text import Message, Mood

_MOST_BYTES: Final = 24_000
_LINES: Final = (600, 250, 100)
_TITLE: Final = 200
_COLORS: Final = {Mood.GOOD: "Good", Mood.DOUBT: "Warning", Mood.BAD: "Attention"}


def teams_message(message: Message) -> Mapping[str, object]:
    """The body of the request, with lines as long as there is room for."""
    for limit in _LINES:
        made = _message(message, limit)
        if len(json.dumps(made)) <= _MOST_BYTES:
            return made
    return _message(Message(message.title, message.mood, (), message.facts, message.link), 100)


def _message(message: Message, limit: int) -> Mapping[str, object]:
    title = for_chat(one_line(message.title, _TITLE))
    color = _COLORS[message.mood]
    body: list[object] = [_text(_run(title, size="Large", weight="Bolder", color=color))]
    body += [
        _text(_run(f"{label}  ", weight="Bolder"), _run(for_chat(one_line(text, limit))))
        for label, text in message.lines
    ]
    body.append(_text(_run(for_chat(one_line(message.facts, limit)), size="Small", isSubtle=True)))
    card: dict[str, object] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": title,
        "msteams": {"width": "Full"},
        "body": body,
    }
    if message.link:
        action = {"type": "Action.OpenUrl", "title": "The CI job", "url": message.link}
        card["actions"] = [action]
    kind = "application/vnd.microsoft.card.adaptive"
    attachment = {"contentType": kind, "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _text(*runs: Mapping[str, object]) -> Mapping[str, object]:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _run(text: str, **look: object) -> Mapping[str, object]:
    return {"type": "TextRun", "text": text, **look}
