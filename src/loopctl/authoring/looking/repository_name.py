"""What a repository calls itself: by its remote, else by its folder. Git itself is not run."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import Final

from loopctl.authoring.looking.facts import Certainty, Fact, Place

_REMOTE: Final = re.compile(r"([\w.-]+?)(?:\.git)?/?$", re.ASCII)
_LIMIT: Final = 64 * 1024


def read_name(root: Path) -> Fact[str]:
    """The name of the repository; of the folder where it is not a repository's top."""
    config = root / ".git" / "config"
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        if config.is_file() and not config.is_symlink() and config.stat().st_size <= _LIMIT:
            parser.read_string(config.read_text("utf-8", "replace"))
    except (OSError, configparser.Error, ValueError):
        parser = configparser.ConfigParser()
    for section in sorted(parser.sections(), key=lambda name: (name != 'remote "origin"', name)):
        url = parser.get(section, "url", fallback="") if section.startswith("remote ") else ""
        # A path of this machine is no name that a team knows.
        found = _REMOTE.search(url.strip()) if re.search(r"://|^[^/]+:", url) else None
        if found:
            return Fact(found[1], Place(".git/config"), how="the remote's name")
    return Fact(root.name, Place("."), Certainty.GUESSED, "the folder's name")
