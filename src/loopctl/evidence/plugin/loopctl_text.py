"""Text as the stream holds it: any value, in UTF-8, and not too much of it.

A neighbour of `loopctl_evidence.py`: standard library only, Python >= 3.8. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

# Kept on both sides of a cut, for the reader to drop once it has redacted the text: half a secret
# at the edge could not be recognised.
_CUT_MARGIN = 4096


def clean(value: object, head: int, tail: int = 0) -> str:
    """Any value as text that UTF-8 can hold, cut in its middle to `head` + `tail` characters."""
    try:
        text = str(value)
    except Exception as problem:  # noqa: BLE001 - a user's __str__ may raise anything
        text = f"<unprintable {type(value).__name__}: {type(problem).__name__}>"
    cut = len(text) - head - tail
    if cut > 2 * _CUT_MARGIN:
        end = text[-tail - _CUT_MARGIN :] if tail else ""
        text = f"{text[: head + _CUT_MARGIN]}\n[... {cut} characters cut ...]\n{end}"
    return text.encode("utf-8", "replace").decode("utf-8")


def last(text: str, size: int) -> str:
    """The last `size` characters of a text, and of what was cut off how much it was."""
    cut = len(text) - size
    if cut > _CUT_MARGIN:
        text = f"\n[... {cut} characters cut ...]\n{text[-size - _CUT_MARGIN :]}"
    return text.encode("utf-8", "replace").decode("utf-8")
