"""Who may log in. Kept in memory: a new revision starts with no accounts."""

import asyncio
import hashlib
import hmac
import os
from dataclasses import dataclass

SHORTEST_PASSWORD = 8


class AccountRefused(Exception):
    """Signing up was refused; `taken` tells a used name from a bad one."""

    def __init__(self, reason: str, taken: bool = False) -> None:
        super().__init__(reason)
        self.taken = taken


@dataclass(frozen=True, slots=True)
class _Sealed:
    salt: bytes
    digest: bytes


class Accounts:
    """Names with their passwords, the passwords only as salted scrypt digests."""

    def __init__(self) -> None:
        self._sealed: dict[str, _Sealed] = {}
        self._nobody = _Sealed(os.urandom(16), b"")

    async def sign_up(self, user: str, password: str) -> None:
        """Add an account; raises AccountRefused."""
        if not user or len(user) > 64:
            raise AccountRefused("the user name must have 1 to 64 characters")
        if len(password) < SHORTEST_PASSWORD:
            raise AccountRefused(f"the password must have {SHORTEST_PASSWORD} characters or more")
        salt = os.urandom(16)
        sealed = _Sealed(salt, await _digest(password, salt))
        if self._sealed.setdefault(user, sealed) is not sealed:
            raise AccountRefused("that user name is taken", taken=True)

    async def knows(self, user: str, password: str) -> bool:
        """Whether this is that user's password."""
        # An unknown name costs as much as a known one, so timing does not tell them apart.
        sealed = self._sealed.get(user, self._nobody)
        return hmac.compare_digest(sealed.digest, await _digest(password, sealed.salt))


async def _digest(password: str, salt: bytes) -> bytes:
    # In a thread: scrypt is slow on purpose, and other sockets are waiting.
    return await asyncio.to_thread(
        hashlib.scrypt, password.encode("utf-8", "surrogatepass"), salt=salt, n=2**12, r=8, p=1
    )
