"""Which secrets and keys the steps of a Dockerfile mount."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

_COMMENT: Final = re.compile(r"^[ \t]*#.*(?:\n|\Z)", re.MULTILINE)
_ESCAPE: Final = re.compile(r"^[ \t]*#[ \t]*escape[ \t]*=[ \t]*([\\`])", re.IGNORECASE)
_RUN: Final = re.compile(r"^[ \t]*(?:ONBUILD[ \t]+)?RUN[ \t]+((?:--\S+[ \t]+)+)", re.I | re.M)
_MOUNT: Final = re.compile(r"--mount=(\S+)")


@dataclass(frozen=True, slots=True)
class SessionMounts:
    """What only a client on the command line can hand to a build. True where there is any.

    `secrets` are the ids in their order, each once; `ssh`: a key of the agent is wanted.
    """

    secrets: tuple[str, ...]
    ssh: bool

    def __bool__(self) -> bool:
        return self.ssh or bool(self.secrets)


def needs_cli(dockerfile: str) -> SessionMounts:
    """The `RUN --mount=type=secret` and `type=ssh` of a Dockerfile's text, of every stage.

    An id is what docs.docker.com/reference/dockerfile says: `id`, else the last part of `target`.
    """
    secrets: dict[str, None] = {}
    ssh = False
    for flags in _RUN.findall(_joined(dockerfile)):
        for mount in _MOUNT.findall(flags):
            options = _options(mount)
            ssh = ssh or options.get("type") == "ssh"
            if options.get("type") == "secret":
                secrets[options.get("id") or _last_part(options)] = None
    return SessionMounts(tuple(secrets), ssh)


def _options(mount: str) -> dict[str, str]:
    """`type=secret,"id=a"` as names and values; both may be quoted as words of CSV."""
    pairs = (option.strip("\"'").partition("=") for option in mount.split(","))
    return {name.lower(): value.strip("\"'") for name, _, value in pairs}


def _last_part(options: dict[str, str]) -> str:
    target = options.get("target") or options.get("dst") or options.get("destination") or ""
    return PurePosixPath(target).name


def _joined(dockerfile: str) -> str:
    """Every instruction on one line, without comments, as a Dockerfile's parser joins them."""
    text = dockerfile.removeprefix("\ufeff").replace("\r\n", "\n")
    found = _ESCAPE.match(text)
    escape = re.escape(found.group(1) if found else "\\")
    return re.sub(rf"{escape}[ \t]*\n", " ", _COMMENT.sub("", text))
