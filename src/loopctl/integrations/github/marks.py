"""The hidden marks by which loopctl finds its own texts on GitHub again.

A mark is an HTML comment at the start of a line, which GitHub keeps and does not show. What is in
it comes from a small alphabet, so that nothing can end it early.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

_CAUSE: Final = re.compile(r"^<!-- loopctl:cause (v1:[0-9a-f]{32}) -->\s*$", re.MULTILINE)
_RUN: Final = re.compile(r"^<!-- loopctl:run ([A-Za-z0-9_-]{1,120}) -->\s*$", re.MULTILINE)

#: Around all that loopctl writes into the body of an issue; the rest is other people's.
BEGIN: Final = "<!-- loopctl:begin: what is between these marks is written again -->"
END: Final = "<!-- loopctl:end -->"
_BLOCK: Final = re.compile(
    r"^<!-- loopctl:begin\b[^\n]*-->[^\S\n]*\r?$.*?^<!-- loopctl:end -->[^\S\n]*\r?$",
    re.MULTILINE | re.DOTALL,
)


def cause_mark(fingerprint: str) -> str:
    """The mark of an issue; a fingerprint quotes messages, of which a hash tells nothing."""
    return f"<!-- loopctl:cause {cause_id(fingerprint)} -->"


def cause_id(fingerprint: str) -> str:
    """`v1:` and 32 hexadecimal digits."""
    return f"v1:{hashlib.sha256(fingerprint.encode('utf-8', 'replace')).hexdigest()[:32]}"


def causes_in(body: str) -> tuple[str, ...]:
    """The ids of the causes that a body has marks of."""
    return tuple(dict.fromkeys(_CAUSE.findall(body)))


def run_mark(run_id: str) -> str:
    """The mark of what was told of one run."""
    return f"<!-- loopctl:run {run_id} -->"


def runs_in(body: str) -> tuple[str, ...]:
    """The runs that a text has marks of."""
    return tuple(dict.fromkeys(_RUN.findall(body)))


def comment_mark(loop: str, environment: str) -> str:
    """The mark of the one comment on a pull request that is this loop's on this environment."""
    return f"<!-- loopctl:comment v1:{loop}/{environment} -->"


def has_line(body: str, mark: str) -> bool:
    """Whether a mark stands in a body, alone on its line."""
    return any(line.strip() == mark for line in body.splitlines())


def with_block(body: str, block: str) -> str:
    """The body with its block replaced, all else as it was; at the end where there was none."""
    found = _BLOCK.search(body)
    if found is None:
        return f"{body.rstrip()}\n\n{block}" if body.strip() else block
    return body[: found.start()] + block + body[found.end() :]
