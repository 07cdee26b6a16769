"""What Slack and Teams take, by their documented forms and limits: faults of a body, in words.

Slack: "Block Kit", "Text object", "Header block", "Section block", "Context block". Teams: "Create
incoming webhooks with Workflows" and the schema explorer of Adaptive Cards, version 1.4.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

# What a text may hold of Slack's control characters: its three entities.
_SLACK_LOOSE = re.compile(r"&(?!amp;|lt;|gt;)|[<>]")
_OWN_LINK = re.compile(r"<https?://[^<>|\s]+\|The CI job>")
_CARD = "application/vnd.microsoft.card.adaptive"
_CARD_KEYS = {"$schema", "type", "version", "body", "actions", "fallbackText", "msteams"}
_TEAMS_BYTES = 28 * 1024
_ALIVE = re.compile(r"<(?!\u200b)\S|@\w|://|\]\(|\{\{|\$\{")


def slack_faults(body: Mapping[str, Any]) -> list[str]:
    return list(_slack(body))


def _slack(body: Mapping[str, Any]) -> Iterator[str]:
    if set(body) != {"text", "blocks"} or not 0 < len(body["blocks"]) <= 50:
        yield f"keys {sorted(body)}, {len(body.get('blocks', []))} blocks"
    if _SLACK_LOOSE.search(body["text"]) or not 0 < len(body["text"]) <= 3000:
        yield f"text {body['text'][:80]!r}"
    for block in body["blocks"]:
        match block:
            case {"type": "header", "text": {"type": "plain_text"} as text, **rest} if not rest:
                yield from _slack_text(text, 150)
            case {"type": "section", "text": text, **rest} if not rest:
                yield from _slack_text(text, 3000)
            case {"type": "context", "elements": [*texts], **rest} if not rest:
                if not 0 < len(texts) <= 10:
                    yield f"{len(texts)} elements"
                for text in texts:
                    yield from _slack_text(text, 3000)
            case _:
                yield f"no such block: {str(block)[:80]}"


def _slack_text(text: Mapping[str, Any], limit: int) -> Iterator[str]:
    said = text["text"]
    if not 0 < len(said) <= limit:
        yield f"{len(said)} characters, {limit} are allowed"
    if text["type"] == "mrkdwn":
        if not _OWN_LINK.fullmatch(said) or text.get("verbatim") is not True:
            yield f"mrkdwn {said[:80]!r}"
    elif text["type"] != "plain_text" or text.get("emoji") is not False:
        yield f"text object {text}"
    elif _SLACK_LOOSE.search(said) or _ALIVE.search(said):
        yield f"alive: {said[:200]!r}"


def teams_faults(body: Mapping[str, Any]) -> list[str]:
    return list(_teams(body))


def _teams(body: Mapping[str, Any]) -> Iterator[str]:
    if len(json.dumps(body).encode()) > _TEAMS_BYTES:
        yield "longer than 28 KB"
    match body:
        case {"type": "message", "attachments": [{"contentType": kind, "content": card}]}:
            if kind != _CARD or card["type"] != "AdaptiveCard" or card["version"] > "1.5":
                yield f"no card: {kind}"
        case _:
            yield f"no message: {sorted(body)}"
            return
    if unknown := set(card) - _CARD_KEYS:
        yield f"unknown keys {unknown}"
    if _ALIVE.search(card.get("fallbackText", "")):
        yield "alive fallbackText"
    for element in card["body"]:
        match element:
            case {"type": "RichTextBlock", "inlines": [*runs], **rest} if not rest and runs:
                for run in runs:
                    yield from _teams_run(run)
            case _:
                yield f"not inert: {str(element)[:80]}"
    for action in card.get("actions", []):
        if set(action) != {"type", "title", "url"} or action["type"] != "Action.OpenUrl":
            yield f"action {action}"


def _teams_run(run: Mapping[str, Any]) -> Iterator[str]:
    if set(run) - {"type", "text", "size", "weight", "color", "isSubtle"}:
        yield f"unknown keys in {sorted(run)}"
    if run["type"] != "TextRun" or not run["text"] or _ALIVE.search(run["text"]):
        yield f"alive: {run['text'][:200]!r}"
    if run.get("color", "Default") not in {"Default", "Good", "Warning", "Attention"}:
        yield f"colour {run['color']}"
