"""Whether a history can be spoken to at a URL: asked of fsspec's own list of filesystems."""

from __future__ import annotations

import re
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Final

from loopctl.loopfile.marks import quoted
from loopctl.model.plan import UrlPlace

_READ_ONLY: Final = frozenset(("http", "https", "data", "github", "gist", "git"))
_NAMED: Final = re.compile(r'"([A-Za-z][\w.-]*)"|[Ii]nstall ([A-Za-z][\w.-]*)')
_PLACES: Final = "a folder, gs://bucket/prefix, or another URL of fsspec's: s3://bucket/prefix, say"


_PASSWORD: Final = re.compile(r"://[^/@]*:[^/@]*@")


def has_password(url: str) -> bool:
    """Whether the URL tells a password."""
    return _PASSWORD.search(url) is not None


def place_fault(url: str) -> tuple[str, str] | None:
    """What keeps a history from being kept there, and what to do about it; None: nothing known."""
    if has_password(url):
        what = "this URL has a password in it, and is written down with every run"
        return what, "name the user alone; the password is for the filesystem's own configuration"
    place = UrlPlace.of_url(url)
    if place is None:
        what = f"{quoted(url)} names no place for a history"
        return what, f"{_PLACES}; no chain of them, and no query"
    if place.scheme in _READ_ONLY:
        return f"nothing can be written to {place.scheme}://", _PLACES
    return _unspoken(place.scheme)


def _unspoken(scheme: str) -> tuple[str, str] | None:
    # Slow to import, and few loops have such a history.
    from fsspec.registry import get_filesystem_class, known_implementations  # noqa: PLC0415

    known = known_implementations.get(scheme)
    if known is None:
        near = get_close_matches(scheme, known_implementations, 1)
        meant = f"did you mean {near[0]}://? " if near else ""
        return f"fsspec knows no filesystem {scheme}://", f"{meant}{_PLACES}"
    package = known["class"].partition(".")[0]
    if package != "fsspec":
        # Not imported: that takes half a second, and is done where it is spoken to.
        return None if find_spec(package) else _missing(scheme, package)
    try:
        get_filesystem_class(scheme)
    except ImportError as error:
        cause = getattr(error.__cause__, "name", None)
        told = _NAMED.search(str(error))
        return _missing(scheme, (told and (told[1] or told[2])) or cause or scheme)
    return None


def _missing(scheme: str, package: str) -> tuple[str, str]:
    # Where loopctl is, which may be another environment than that of the project.
    command = f"pip install {package.replace('_', '-')}"
    return (
        f"{scheme}:// wants a package that is not installed beside loopctl: {package}",
        f"{command} (with the Python that runs loopctl)",
    )
