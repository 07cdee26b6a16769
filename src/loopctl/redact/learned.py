"""Values that become secrets while loopctl runs: tokens that it asks for."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

from loopctl.redact.escapes import utf8
from loopctl.redact.forms import Form, forms_of
from loopctl.redact.secret import Secret

LONGEST: Final = 4096
"""Bytes: in none of its forms is a value of that length longer than what two windows share."""


class Learned:
    """What redactors hide beside the values that they were made with. Safe to share by threads.

    A value must be learned before anybody is given it. A token of several parts (`a.b.c`) is
    hidden in its parts too, but for the first, which says only how it is signed.
    """

    def __init__(self) -> None:
        self.forms: tuple[tuple[bytes, Form], ...] = ()
        self._known: set[Secret] = set()
        self._learning = threading.Lock()

    def learn(self, secret: Secret) -> None:
        """Hide it from now on. Raises `ValueError` for more than `LONGEST` bytes."""
        if len(utf8(secret.reveal())) > LONGEST:
            raise ValueError(f"{secret!r} is longer than {LONGEST} bytes")
        with self._learning:
            if secret in self._known:
                return
            self._known.add(secret)
            found = [form for value in _values(secret.reveal()) for form in forms_of(value)]
            # One assignment: who is searching meanwhile has the old forms or the new.
            self.forms = (*((label(secret.name), form) for form in found), *self.forms)


def _values(token: str) -> Sequence[str]:
    _, *parts = token.split(".")
    return (token, *(part for part in parts if len(part) > 8))


def label(name: str) -> bytes:
    """What stands in place of a value of that name."""
    return b"[redacted:" + utf8(name) + b"]"
