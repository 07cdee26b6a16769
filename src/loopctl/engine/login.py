"""Who somebody is to an image registry, and who tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loopctl.redact import Secret


@dataclass(frozen=True, slots=True)
class Login:
    """A user and what proves it. `password` may be an access token that soon ends.

    `narrow`: it opens more than registries, and is shown to the registry's own host alone.
    `is_refresh_token`: it is no password, but what a token is asked for with.
    """

    user: str
    password: Secret
    narrow: bool = False
    is_refresh_token: bool = False


LoginSource = Callable[[str], Login | None]
"""The login at a registry's `host[:port]` for now, None where it knows of none.

Asked anew for each conversation: what it gave before may have ended. May raise `PortError`.
"""


def nobody(_: str) -> Login | None:
    """Knows no login."""
    return None
