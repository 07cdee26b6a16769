"""Writing a small JSON file so that a reader finds the old or the new one, never half of it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from loopctl.platforms.host.control import Fields, ProtocolError


def write_json(path: Path, document: Mapping[str, object]) -> None:
    """Replace `path`, mode 0600. Raises `OSError`."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_json(path: Path) -> Fields | None:
    """The object in `path`, None when there is no such file or no object in it.

    Raises `OSError` when there is one that cannot be read.
    """
    try:
        return Fields(json.loads(path.read_bytes()), path.name)
    except FileNotFoundError:
        return None
    except (ValueError, ProtocolError):
        return None
