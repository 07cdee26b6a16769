"""The text of an XML file as runners really write it, made fit for a strict XML parser.

A file that is valid UTF-8 is read as UTF-8, whatever it declares: nothing else looks like that by
accident. What XML 1.0 forbids (`ESC` of a coloured message, say) is shown as `\\x1b`, written as
a reference or as itself: one such character must not cost the cases after it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO

BLOCK = 256 * 1024

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    # Before those of UTF-16, which they begin with.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_DECLARED = re.compile(rb"""<\?xml[^>]{0,80}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_WIDE = ("utf-16", "utf-32")
# Production 2 of XML 1.0, 5th edition.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_REFERENCE = re.compile(r"&#(?:x([0-9a-fA-F]{1,8})|([0-9]{1,10}));")
_MAYBE_REFERENCE = re.compile(r"&(?:#(?:x[0-9a-fA-F]{0,8}|[0-9]{0,10}))?$")
_LAST_POINT = 0x10FFFF


def text_of(file: BinaryIO, at_most: int) -> Iterator[str]:
    """The text of a file, in pieces, of its first `at_most` bytes.

    Bytes that are not of its encoding show as `\\xff`. `file` must be seekable. Raises `OSError`,
    and `UnicodeError` of an encoding that cannot be read at all.
    """
    name = _encoding_of(file, at_most)
    decoder = codecs.getincrementaldecoder(name)(errors="backslashreplace")
    kept, begun = "", False
    for block in _blocks(file, at_most):
        text = kept + decoder.decode(block)
        # XML wants its declaration first; some runners print an empty line before it.
        text = text if begun else text.lstrip()
        begun = begun or bool(text)
        cut = _MAYBE_REFERENCE.search(text)
        kept = text[cut.start() :] if cut else ""
        yield _legible(text.removesuffix(kept) if kept else text)
    yield _legible(kept + decoder.decode(b"", final=True))


def _blocks(file: BinaryIO, at_most: int) -> Iterator[bytes]:
    file.seek(0)
    while block := file.read(min(BLOCK, at_most)):
        at_most -= len(block)
        yield block


def _encoding_of(file: BinaryIO, at_most: int) -> str:
    file.seek(0)
    start = file.read(256)
    marked = next((name for mark, name in _MARKS if start.startswith(mark)), None)
    if marked is not None:
        return marked
    declared = _DECLARED.search(start)
    name = declared[1].decode("ascii").lower() if declared else "utf-8"
    # Without a mark and with plain `<?xml` in front it is none of these, whatever it says.
    if name.startswith(_WIDE) or not _is_text_encoding(name) or _is_utf8(file, at_most):
        return "utf-8"
    return name


def _is_text_encoding(name: str) -> bool:
    try:
        # Of no bytes at all nothing is asked.
        b"x".decode(name)
    except (LookupError, UnicodeError):
        return False
    return True


def _is_utf8(file: BinaryIO, at_most: int) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for block in _blocks(file, at_most):
            decoder.decode(block)
    except UnicodeDecodeError:
        return False
    return True


def _legible(text: str) -> str:
    shown = _FORBIDDEN.sub(lambda match: _escaped(ord(match[0])), text)
    return _REFERENCE.sub(_referred, shown) if "&#" in shown else shown


def _referred(match: re.Match[str]) -> str:
    point = int(match[1], 16) if match[1] else int(match[2])
    if point <= _LAST_POINT and not _FORBIDDEN.match(chr(point)):
        return match[0]
    return _escaped(point)


def _escaped(point: int) -> str:
    return f"\\x{point:02x}" if point <= 0xFF else f"\\u{point:04x}"
