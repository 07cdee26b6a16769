"""The ways in which programs write one character of a value: as it is, or escaped.

Each family gives, for a character, all byte strings that may stand for it. Within a family no
choice is a prefix of another one's escape character, so a match never has to try combinations.
Letters and digits stand for themselves in all of them: that is what makes a fast search possible.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final

Family = Callable[[str], Iterable[bytes]]

_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}
_CONTROLS: Final = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f", "\v": "v", "\0": "0"}


def utf8(text: str) -> bytes:
    """The bytes of text; lone surrogates, which only broken input holds, are kept too."""
    return text.encode("utf-8", "surrogatepass")


def percent(char: str) -> Iterable[bytes]:
    """URL quoting with any set of safe characters, hex in either case, quoted once or twice."""
    codes = [f"%{byte:02x}" for byte in utf8(char)]
    for code in ("".join(codes), "".join(codes).replace("%", "%25")):
        yield from _both_cases(code)
    if char == " ":
        yield b"+"
    # A raw line feed would let a match cross lines, which the stream does not expect of a family.
    if char not in "%\n":
        yield utf8(char)


def html(char: str) -> Iterable[bytes]:
    """HTML and XML entities: named, decimal, hexadecimal."""
    point = ord(char)
    for entity in (f"&#{point};", f"&#{point:03d};", f"&#x{point:x};", f"&#x{point:X};"):
        yield entity.encode()
    if char in _ENTITIES:
        yield _ENTITIES[char].encode()
    if char not in "&\n":
        yield utf8(char)


def backslash(char: str) -> Iterable[bytes]:
    r"""JSON (with or without ASCII only), Python and JavaScript literals, `p\@ss` in a shell."""
    point = ord(char)
    units = char.encode("utf-16-be", "surrogatepass").hex()
    escapes = ["".join(rf"\u{units[at : at + 4]}" for at in range(0, len(units), 4))]
    escapes.append("".join(rf"\x{byte:02x}" for byte in utf8(char)))
    escapes.append(rf"\x{point:02x}" if point <= 0xFF else rf"\U{point:08x}")
    for escape in escapes:
        yield from _hex_in_both_cases(escape)
    if char in _CONTROLS:
        yield f"\\{_CONTROLS[char]}".encode()
    elif point < 0x80:
        yield f"\\{char}".encode()
    if char not in "\\\n":
        yield utf8(char)


def spelled(value: str, family: Family) -> tuple[bytes, int]:
    """A regular expression for value as the family may write it, and its longest match."""
    parts: list[bytes] = []
    longest = 0
    for char in value:
        plain = char.isascii() and char.isalnum()
        choices = {utf8(char)} if plain else set(family(char))
        parts.append(either(choices))
        longest += max(map(len, choices))
    return b"".join(parts), longest


def either(choices: Iterable[bytes]) -> bytes:
    """An expression for one of the literal choices, longest first."""
    ordered = sorted(set(choices), key=lambda choice: (-len(choice), choice))
    escaped = [re.escape(choice) for choice in ordered]
    return escaped[0] if len(escaped) == 1 else b"(?:" + b"|".join(escaped) + b")"


def _both_cases(code: str) -> Iterable[bytes]:
    return {code.encode(), code.upper().encode()}


def _hex_in_both_cases(escape: str) -> Iterable[bytes]:
    upper = re.sub(r"(?<=\\[uxU])[0-9a-f]+", lambda match: match[0].upper(), escape)
    return {escape.encode(), upper.encode()}
