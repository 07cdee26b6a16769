"""Text as an attacker would have it, put wherever a text may stand, and parsers that look for life.

Each `…_alive` reads an output as its reader does and says what of the attack took effect.
"""

from __future__ import annotations

import dataclasses
import enum
import re
import types
import typing
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any, TypeVar

from ci_logs import commands_of
from markdown_it import MarkdownIt
from markdown_it.token import Token

T = TypeVar("T")

EVIL = (
    "\x1b[31mEVIL\x1b[0m\x1b]0;EVIL\x07\x9b2J\x1b[2J \x00 \udc80 \u202eLIVE\u202c \u2066x\u2069"
    " a\u200bb\ufeff\U000e0041\u2028c <script>EVIL()</script> <img src=x onerror=EVIL> <b>EVIL</b>"
    " <!-- EVIL --> --> </details> </summary> </td> ]]> &lt;EVIL&gt; [EVIL](https://evil.test/a)"
    " ![EVIL](https://evil.test/b) <https://evil.test/c> https://evil.test/d www.evil.test"
    " [EVIL](javascript:EVIL) **EVIL** __EVIL__ ~~EVIL~~ *EVIL* `EVIL` ``` $EVIL$ :boom: | EVIL |"
    " @evil @evil-org/team fixes #1 closes #2 GH-3 evil/evil#4 !5 <!channel> <@U0EVIL> <!here|EVIL>"
    " {{DATE(2017-02-14T06:00:00Z)}} ${EVIL} %EVIL% %0A::error::EVIL ::error file=a::EVIL"
    " ##[error]EVIL ##vso[task.x]EVIL ##teamcity[x EVIL]\rsection_start:0:EVIL[collapsed=true]\r"
    "\x1b[0K\r\n::error::EVIL\n  ::add-mask::EVIL\n##[group]EVIL\n::stop-commands::EVIL\n"
    "section_end:0:EVIL\r\x1b[0K\n# EVIL\n- EVIL\n1. EVIL\n> EVIL\nEVIL\n====\n    EVIL\n```\n~~~\n"
    "| EVIL | EVIL |\n|---|---|\n[evil]: https://evil.test/e\n</details>\n<details open>\n"
    '" onload="EVIL" \' <!-- loopctl:end --> <svg onload=EVIL> <at>EVIL</at>'
)

_ACTS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
_SECTION = re.compile(r"section_(?:start|end):\d*:([^\r\n]*)")
_WORD = re.compile("EVIL", re.IGNORECASE)


def poisoned(value: T, evil: str = EVIL, *, keep: frozenset[str] = frozenset()) -> T:
    """A copy of a value with `evil` behind every text in it that is one of no fixed set.

    The same text becomes the same, so that what refers to each other still does. `keep` are names
    of fields that are left alone.
    """
    return typing.cast(T, _poisoned(value, None, evil, keep))


def _poisoned(value: Any, hint: Any, evil: str, keep: frozenset[str]) -> Any:
    match value:
        case enum.Enum() | bool() | None:
            return value
        case str():
            return value if _is_fixed(hint) else value + evil
        case tuple() | list() | frozenset():
            inner = _inner(hint)
            return type(value)(_poisoned(each, inner, evil, keep) for each in value)
        case dict():
            return {
                _poisoned(k, None, evil, keep): _poisoned(v, None, evil, keep)
                for k, v in value.items()
            }
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            hints = typing.get_type_hints(type(value))
            return dataclasses.replace(
                value,
                **{
                    each.name: _poisoned(getattr(value, each.name), hints[each.name], evil, keep)
                    for each in dataclasses.fields(value)
                    if each.name not in keep and each.init
                },
            )
        case _:
            return value


def _is_fixed(hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_is_fixed(each) for each in typing.get_args(hint))
    return origin is typing.Literal


def _inner(hint: Any) -> Any:
    arguments = [each for each in typing.get_args(hint) if each is not Ellipsis]
    return arguments[0] if len(arguments) == 1 else None


def terminal_alive(text: str) -> list[str]:
    """What moves, colours, hides or reorders anything; newlines and tabs are the caller's."""
    return [repr(found[0]) for found in _ACTS.finditer(text)]


def ci_alive(output: str) -> list[str]:
    """Commands and sections that are not loopctl's own, which have names of its own."""
    own = {"group", "endgroup", "error", "warning", "notice"}
    commands = commands_of(output)
    foreign = [str(each)[:200] for each in commands if each.name not in own]
    # What is of ours has its data disarmed, and begins with a word of ours.
    foreign += [str(each)[:200] for each in commands if each.data.startswith("EVIL")]
    sections = [s for s in _SECTION.findall(output) if not s.startswith("loopctl_")]
    other = re.findall(r"##(?:vso|teamcity)\[", output)
    return [*foreign, *sections, *other]


def xml_alive(data: bytes, tags: frozenset[str]) -> list[str]:
    """Elements and attributes that are none of ours, and texts that act where they are shown."""
    found: list[str] = []
    for element in ET.fromstring(data).iter():
        found += [] if element.tag in tags else [element.tag]
        found += [name for name in element.attrib if _WORD.search(name)]
        for text in (element.text or "", element.tail or "", *element.attrib.values()):
            found += terminal_alive(text)
    return found


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen += [tag, *(f"{tag} {name}" for name, _ in attrs)]

    def handle_comment(self, data: str) -> None:
        self.seen += [] if data.startswith(" loopctl:") else [f"<!--{data}"]


_HTML = frozenset({"details", "summary"})
_REFERENCE = re.compile(r"@\w|(?<!&)#\d|\bGH-\d|:boom:|(?<![\w&])!\d")
# These are looked for before rendering: a character reference is enough against them.
_SOURCE = re.compile(r"://|www\.|\$")
_CODE = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)


def markdown_alive(text: str, *, links: tuple[str, ...] = ()) -> list[str]:
    """What GitHub or GitLab would render or obey of it; `links` is where ours may lead."""
    environment: dict[str, Any] = {}
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = reader.parse(text, environment)
    found = [f"a link's name: {name}" for name in environment.get("references", {})]
    for token in tokens:
        found += _token_alive(token, links)
    return found


def _token_alive(token: Token, links: tuple[str, ...]) -> Iterator[str]:
    match token.type:
        case "html_block" | "html_inline":
            tags = _Tags()
            tags.feed(token.content)
            yield from (f"html {each}" for each in tags.seen if each not in _HTML)
            if _WORD.search(re.sub(r"<!-- loopctl:[^>]*-->", "", token.content)):
                yield f"in html: {token.content[:80]!r}"
        case "fence":
            if token.info not in ("text", "mermaid", "console", "sh"):
                yield f"fence {token.info!r}"
            yield from terminal_alive(token.content)
        case "inline":
            if token.content.strip() == "EVIL":
                yield "a block of its own"
            bare = _CODE.sub("", token.content)
            for url in links:
                bare = bare.replace(f"({url})", "")
            if acts := _SOURCE.search(bare):
                yield f"source {bare[max(0, acts.start() - 40) : acts.end() + 20]!r}"
            yield from _children_alive(token.children or [], links)
        case "code_block":
            yield f"indented: {token.content[:80]!r}"
        case _:
            return


def _children_alive(children: list[Token], links: tuple[str, ...]) -> Iterator[str]:
    for before, child in zip([None, *children], children, strict=False):
        if child.type == "link_open" and not str(child.attrs["href"]).startswith(links or ("\0",)):
            yield f"link {child.attrs['href']}"
        elif child.type == "image":
            yield f"image {child.attrs['src']}"
        elif child.type == "text" and (acts := _REFERENCE.search(child.content)):
            yield f"reference {child.content[max(0, acts.start() - 20) : acts.end() + 20]!r}"
        elif child.type == "code_inline" and child.content == "EVIL":
            yield "code of its own"
        elif before is not None and before.type.endswith("_open") and child.content == "EVIL":
            yield before.type
        if child.type == "html_inline":
            yield from _token_alive(child, links)
        elif child.type == "text":
            yield from terminal_alive(child.content.replace("\u200b", ""))
        elif child.type == "code_inline":
            yield from terminal_alive(child.content)
