"""Characters that act instead of being seen, made visible."""

import json
import re
import unicodedata
from collections.abc import Iterable
from typing import Final

_TAB: Final = "    "

_CONTROLS: Final = (range(0x20), range(0x7F, 0xA0))
_SURROGATES: Final = (range(0xD800, 0xE000),)
_INVISIBLE: Final = (
    *(range(0xAD, 0xAE), range(0x61C, 0x61D), range(0x115F, 0x1161), range(0x180E, 0x180F)),
    range(0x200B, 0x2010),  # zero-width characters, marks of direction
    range(0x2028, 0x202F),  # line and paragraph separator, bidirectional overrides
    range(0x2060, 0x2070),  # word joiner, bidirectional isolates
    *(range(0x3164, 0x3165), range(0xFEFF, 0xFF00), range(0xFFA0, 0xFFA1)),
    range(0xFFF9, 0xFFFC),
    range(0xFFFE, 0x10000),
    range(0xE0000, 0xE0080),  # tag characters: a whole alphabet that shows as nothing
)
_NOT_IN_XML: Final = (range(0x09), range(0x0B, 0x20), range(0x7F, 0xA0), *_SURROGATES, *_INVISIBLE)


def decode(data: bytes) -> str:
    r"""UTF-8 bytes as text; every byte that is not UTF-8 shows as `\xNN`."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        # The codec's own backslashreplace calls back once per byte: seconds for 10 MB of noise.
        return data.decode("utf-8", "surrogateescape").translate(_UNDECODED)


def for_terminal(text: str, width: int | None = None, *, keep_newlines: bool = False) -> str:
    r"""Text that cannot move the cursor, colour, reorder or hide anything.

    Control characters (C0, DEL, C1), bidirectional overrides, zero-width and other invisible
    characters, line separators and lone surrogates show as `\x1b`, `\u202e`; a tab as 4 spaces.
    A newline shows as `\n` unless it is kept. With `width`, each line is cut to so many terminal
    columns, the last of them `…`.
    """
    if _UNSAFE.search(text):
        text = text.translate(_VISIBLE_LINES if keep_newlines else _VISIBLE)
    if width is None:
        return text
    return "\n".join(_fit(line, width) for line in text.split("\n"))


def one_line(text: str, limit: int = 200) -> str:
    """Text on one line: white space collapsed, controls shown, at most limit characters.

    What is cut is counted after the cut, in characters of the collapsed text:
    `connection refus… (+1204 characters)`. That note comes on top of the limit.
    """
    flat = " ".join(text.split())
    kept: list[str] = []
    room = limit
    for char in flat[: max(limit, 0)]:
        shown = for_terminal(char)
        if len(shown) > room:
            break
        kept.append(shown)
        room -= len(shown)
    cut = len(flat) - len(kept)
    return "".join(kept) + (f"… (+{cut} character{'s' * (cut > 1)})" if cut else "")


def for_xml(text: str) -> str:
    r"""Text of characters that XML 1.0 allows and that act nowhere; others show as `\x1b`.

    Newlines and tabs stay. Escaping of `<` and `&` is left to the XML library. Source: XML 1.0 (5th
    edition), production 2. Shown too are the C1 controls, which it discourages, and what reorders
    or hides text for whoever reads it out of the file again.
    """
    return text.translate(_XML) if _NOT_XML.search(text) else text


def for_json(document: str) -> str:
    r"""JSON that means the same, and in which nothing acts: `\u202e` is written as an escape.

    Outside of its strings JSON has no such character, and within them each may be an escape.
    """
    return _ACTS_IN_JSON.sub(lambda found: json.dumps(found[0])[1:-1], document)


def _fit(line: str, width: int) -> str:
    columns = fitting = 0
    for index, char in enumerate(line):
        columns += _columns(char)
        if columns > width:
            return line[:fitting] + "…" if width > 0 else ""
        # One column stays free for the mark that says that something is missing.
        if columns < width:
            fitting = index + 1
    return line


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _escape(point: int) -> str:
    if point <= 0xFF:
        return {0x0A: r"\n", 0x0D: r"\r"}.get(point, f"\\x{point:02x}")
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"


def _any_of(ranges: Iterable[range]) -> re.Pattern[str]:
    spans = (f"\\U{span[0]:08x}-\\U{span[-1]:08x}" for span in ranges)
    return re.compile(f"[{''.join(spans)}]")


def _table(ranges: Iterable[range], special: dict[int, str] | None = None) -> dict[int, int | str]:
    # str.translate raises and catches a LookupError for each character that the table lacks:
    # with the common ones in it as themselves it is several times faster.
    table: dict[int, int | str] = {point: point for point in range(0x250)}
    table |= {point: _escape(point) for span in ranges for point in span}
    return table | (special or {})


_HIDDEN: Final = (*_CONTROLS, *_SURROGATES, *_INVISIBLE)
_UNSAFE: Final = _any_of(_HIDDEN)
_VISIBLE: Final = _table(_HIDDEN, {0x09: _TAB})
_VISIBLE_LINES: Final = _VISIBLE | {0x0A: "\n"}
_ACTS_IN_JSON: Final = _any_of((range(0x7F, 0xA0), *_SURROGATES, *_INVISIBLE))
_NOT_XML: Final = _any_of(_NOT_IN_XML)
_XML: Final = _table(_NOT_IN_XML)
_UNDECODED: Final = _table((), {0xDC00 + byte: f"\\x{byte:02x}" for byte in range(0x80, 0x100)})
