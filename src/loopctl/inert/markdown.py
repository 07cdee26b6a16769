"""Text in Markdown, as GitHub and GitLab render it."""

import re
from typing import Final, Literal

from loopctl.inert.characters import for_terminal

# GitHub and GitLab look for these after rendering, so no backslash or entity helps; a zero-width
# space after the sign does. Own text cannot bring one along: for_terminal shows them.
_REFERENCES: Final = tuple(
    (sign, re.compile(sign + before_what, re.ASCII))
    for sign, before_what in (
        *(("@", r"(?=\w)"), ("#", r"(?=\d)"), ("GH-", r"(?=\d)")),
        *(("!", r"(?=\d)"), ("&", r"(?=\d)")),
        (":", r"(?<!\d:)(?=[A-Za-z0-9_+-]{1,64}:)"),
    )
)
_ZERO_WIDTH_SPACE: Final = "\u200b"

# In this order: what a later row looks for must not be made by an earlier one.
_ESCAPES: Final = (
    *((char, f"\\{char}") for char in "\\`*[]~"),
    *(("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "&#124;")),
    *(("$", "&#36;"), ("://", "&#58;//"), ("www.", "www&#46;")),
)
# Within a word it is no markup, and names of tests are read by people before they are rendered.
_UNDERSCORE: Final = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_LINE_START: Final = re.compile(r"( *\d*)([-+=#.)])")


def for_markdown(text: str) -> str:
    """Text for the inside of a Markdown line or table cell, which renders as itself.

    No markup, HTML, table pipe, @mention, #reference or :emoji: of it takes effect. An address
    stays readable, but is not made a link.
    """
    shown = for_terminal(text)
    for sign, reference in _REFERENCES:
        if sign in shown:
            shown = reference.sub(sign + _ZERO_WIDTH_SPACE, shown)
    for char, escape in _ESCAPES:
        shown = shown.replace(char, escape)
    shown = _UNDERSCORE.sub(r"\\_", shown)
    if start := _LINE_START.match(shown):
        return f"{start[1]}\\{start[2]}{shown[start.end() :]}"
    return shown


def code_span(text: str, *, in_table: bool = False) -> str:
    """Text as inline code; `in_table` escapes pipes, which GFM wants in tables and only there."""
    shown = for_terminal(text) or " "
    if in_table:
        shown = shown.replace("|", "\\|")
    fence = "`" * (_longest_backticks(shown) + 1)
    # Markdown takes one space off each end when both have one: these are for it to take.
    pad = " " if shown.strip() and (shown[0] in "` " or shown[-1] in "` ") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def code_block(
    text: str,
    limit_lines: int = 40,
    limit_chars: int = 8000,
    *,
    keep: Literal["head", "tail"] = "head",
) -> str:
    """Text as a fenced block, which nothing inside can close.

    `keep` says which end is shown of a text that is too long; a line of the block's own says how
    much is not shown.
    """
    lines = text.removesuffix("\n").split("\n")
    first = max(len(lines) - limit_lines, 0)
    body = "\n".join(lines[:limit_lines] if keep == "head" else lines[first:])
    spare = max(len(body) - limit_chars, 0)
    kept = body[:limit_chars] if keep == "head" else body[spare:]
    shown = [for_terminal(kept, keep_newlines=True)]
    if note := _not_shown(first, spare):
        shown.insert(1 if keep == "head" else 0, note)
    block = "\n".join(shown)
    fence = "`" * max(3, _longest_backticks(block) + 1)
    return f"{fence}text\n{block}\n{fence}"


def _not_shown(lines: int, characters: int) -> str:
    counts = ((lines, "line"), (characters, "character"))
    parts = [f"{count} more {name}{'s' * (count > 1)}" for count, name in counts if count]
    return f"… {' and '.join(parts)}" if parts else ""


def _longest_backticks(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
