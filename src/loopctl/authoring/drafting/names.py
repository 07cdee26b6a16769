"""Names of the loop file, made from whatever a repository calls its things."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

# With a candidate's tag a longer one is no label of an address: validate says so for Cloud Run.
LONGEST_SERVICE: Final = 38
_GENERIC: Final = frozenset({"src", "app", "docker", "build", "deploy", "deployment", "code", "."})


def service_name(text: str, taken: Collection[str], otherwise: str = "service") -> str:
    """Lower-case letters, digits and hyphens, from a letter; one that nobody has yet."""
    bare = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    # Not from a digit; and keys that start with `x-` are passed over.
    bare = re.sub(r"^(?:x-|[0-9-])+", "", bare)[:LONGEST_SERVICE].strip("-") or otherwise
    name, number = bare, 2
    while name in taken:
        name, number = f"{bare[: LONGEST_SERVICE - 4].strip('-')}-{number}", number + 1
    return name


def loop_name(text: str) -> str:
    """Letters, digits, - and _, from a letter or digit."""
    bare = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")[:60].strip("-_")
    return bare or "loop"


def of_folder(folder: str, repository: str) -> str:
    """What a service in that folder is called: by the folder, else by the repository."""
    for part in reversed(folder.split("/")):
        if part.lower() not in _GENERIC:
            return part
    return repository
