"""Small JSON files that a reader finds whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from loopctl.files import write_atomic
from loopctl.platforms.host.control import Fields, ProtocolError


def write_json(path: Path, document: Mapping[str, object]) -> None:
    """Replace `path`, mode 0600. Raises `StorageError`."""
    write_atomic(path, json.dumps(document))


def read_json(path: Path) -> Fields | None:
    """The object in `path`, None when there is no such file or no object in it.

    Raises `OSError` when there is one that cannot be read.
    """
    try:
        return Fields(json.loads(path.read_bytes()), path.name)
    except (FileNotFoundError, ValueError, ProtocolError):
        return None
