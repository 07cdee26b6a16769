"""Reads a loop file: what may be read at all, and the text in it."""

from __future__ import annotations

import hashlib
import re
import stat
from pathlib import Path

from loopctl.errors import UsageError
from loopctl.loopfile.composer import compose_text
from loopctl.loopfile.marks import Mark, Source
from loopctl.loopfile.nodes import Table
from loopctl.loopfile.problems import Problems, refuse, start_of, unreadable

LIMIT_BYTES = 1024 * 1024

# The line ends that YAML 1.1 knows, so that our lines are the ones PyYAML counts.
_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def compose(path: Path, problems: Problems, data: bytes | None = None) -> Table:
    """The file as a tree. What is wrong but leaves a tree (duplicate keys) goes to `problems`.

    `data` is what would stand in it, where it is not written yet.

    Raises `UsageError` with one problem when there is no tree: the file cannot be read, is not
    UTF-8, is over a limit, or is not YAML.
    """
    source = _decode(path, read_bytes(path) if data is None else data)
    control = _CONTROL.search("\n".join(source.lines))
    if control:
        mark = _mark_of(source, control.start())
        refuse(mark, f"the control character U+{ord(control[0]):04X} is not allowed", quotes=False)
    root = compose_text(source, problems)
    problems.conceal(root)
    return root


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file of at most 1 MiB; the size is asked before anything is read."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise unreadable(path, "this is not a file")
        if status.st_size > LIMIT_BYTES:
            raise _too_large(path, status.st_size)
        with path.open("rb") as file:
            # Files of /proc say that they are empty and are not.
            data = file.read(LIMIT_BYTES + 1)
    except FileNotFoundError:
        raise unreadable(path, "there is no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise unreadable(path, f"it cannot be read: {reason or error}") from None
    if len(data) > LIMIT_BYTES:
        raise _too_large(path, len(data))
    return data


def _too_large(path: Path, size: int) -> UsageError:
    return unreadable(path, f"it has {size:,} bytes; the limit is {LIMIT_BYTES:,} (1 MiB)")


def _decode(path: Path, data: bytes) -> Source:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # From `object`, not `start`: with a byte order mark the codec counts from behind it.
        text = error.object[: error.start].decode("utf-8", "replace")
        source = Source(path, tuple(_LINE_END.split(text)), digest)
        refuse(
            Mark(source, len(source.lines), len(source.lines[-1]) + 1),
            f"this is not UTF-8 text: byte 0x{error.object[error.start]:02x}",
            "save the file as UTF-8",
            quotes=False,
        )
    source = Source(path, tuple(_LINE_END.split(text)), digest)
    if not text.strip():
        refuse(
            start_of(source),
            "the file is empty",
            "the README has an example to begin with",
            quotes=False,
        )
    return source


def _mark_of(source: Source, offset: int) -> Mark:
    for number, line in enumerate(source.lines, start=1):
        if offset <= len(line):
            return Mark(source, number, offset + 1)
        offset -= len(line) + 1
    return start_of(source)
