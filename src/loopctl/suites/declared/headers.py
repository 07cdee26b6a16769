"""Headers that a loop file declares: what can be sent at all."""

from __future__ import annotations

import re
from collections.abc import Mapping

from loopctl.ports.suite import SuiteError

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)  # RFC 9110, token
_NOT_IN_A_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def sendable(headers: Mapping[str, str], where: str) -> Mapping[str, str]:
    """The headers, their names in lower case. Raises `SuiteError` for one that cannot be sent."""
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or _NOT_IN_A_VALUE.search(value):
            raise SuiteError(
                f"the header {name!r} cannot be sent",
                where=where,
                hint="a header's name has no white space, its value no line break",
            )
    return {name.lower(): value for name, value in headers.items()}
