"""The names of a file system as far as it is known: what a COPY's source finds in it. Pure."""

from __future__ import annotations

import bisect
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from loopctl.builders.ignore_rules import BadPatternError, glob_regex

_WILD: Final = frozenset("*?[\\")
_MOST_LINKS: Final = 40


def rooted(path: str) -> str:
    """A path without `.`, `..` and double slashes, relative to the root; `""` is the root."""
    return posixpath.normpath("/" + path).lstrip("/")


def has_wildcard(source: str) -> bool:
    """Whether a COPY's source is a pattern."""
    return not _WILD.isdisjoint(source)


def followed(path: str, links: Mapping[str, str], *, last: bool = True) -> str | None:
    """Where a path leads through symbolic links; None where they go in a circle.

    `last`: whether its last name is followed too. A link cannot lead out of the root.
    """
    waiting, done = rooted(path).split("/")[::-1], ""
    for _ in range(_MOST_LINKS):
        while waiting:
            name = waiting.pop()
            here = rooted(f"{done}/{name}")
            if here in links and (waiting or last):
                text = links[here]
                done = "" if text.startswith("/") else done
                waiting.extend(part for part in text.split("/")[::-1] if part)
                break
            done = here
        else:
            return done
    return None


class Names:
    """Files and folders by their paths, relative to the root, and the links among them."""

    def __init__(self, files: Iterable[str], links: Mapping[str, str]) -> None:
        self._files = sorted(files)
        self._known = frozenset(self._files)
        self._links = links
        folders: set[str] = {""}
        for path in self._files:
            while (path := posixpath.dirname(path)) not in folders:
                folders.add(path)
        self._folders = frozenset(folders)
        self._all = sorted(self._known | folders - {""})

    def is_file(self, path: str) -> bool:
        """Whether a file or a link is known there."""
        return path in self._known

    def is_folder(self, path: str) -> bool:
        """Whether something is known below it."""
        return path in self._folders

    def follow(self, path: str) -> str | None:
        """Where a path leads through the links that are known."""
        return followed(path, self._links)

    def below(self, folder: str) -> Iterator[str]:
        """Every file and link below a folder."""
        return self._within(self._files, folder)

    def matched(self, source: str) -> Sequence[str]:
        """The paths that a COPY's source names: one, or what a pattern finds, sorted.

        As BuildKit does: links are followed before the first wildcard, and not behind it.
        Raises `BadPatternError`.
        """
        parts = rooted(source).split("/")
        plain = next((at for at, part in enumerate(parts) if _WILD & set(part)), len(parts))
        if plain == len(parts):
            return [rooted(source)]
        start = self.follow("/".join(parts[:plain]))
        if start is None:
            raise BadPatternError(f"{source} goes through links in a circle")
        pattern = glob_regex("/".join(parts[plain:]))
        skip = len(start) + 1 if start else 0
        # A pattern crosses no slash, so that what it finds lies all at one depth.
        return [path for path in self._within(self._all, start) if pattern.match(path[skip:])]

    @staticmethod
    def _within(among: Sequence[str], folder: str) -> Iterator[str]:
        prefix = folder + "/" if folder else ""
        for at in range(bisect.bisect_left(among, prefix), len(among)):
            if not among[at].startswith(prefix):
                return
            yield among[at]
